"""Whether a model's text depends on the scan that it is about."""
