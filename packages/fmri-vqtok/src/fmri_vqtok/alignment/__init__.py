"""Losses that bring brain tokens into the text space (equations 2 and 3)."""
