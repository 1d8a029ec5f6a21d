"""One module a layout on disk, each giving a `Source`."""
