"""Recipes and settings: reading, validation, paths and tables of defaults."""
