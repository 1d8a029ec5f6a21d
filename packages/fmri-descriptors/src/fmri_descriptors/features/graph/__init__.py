"""Graph measures of the connectome."""
