"""Independent components: decomposition, measures of the components and published maps."""
