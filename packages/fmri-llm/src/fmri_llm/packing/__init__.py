"""Packed sequences: the token grid, segments, positions and attention masks."""
