"""Figures of the report, each drawn to an SVG data URI; nothing here reads a file."""
