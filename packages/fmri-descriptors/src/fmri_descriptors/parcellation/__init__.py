"""Atlases: the regions of a parcellation, their table, networks and order."""
