"""Files, processes, Arrow arrays, YAML and table cells, for all rooms of the package."""
