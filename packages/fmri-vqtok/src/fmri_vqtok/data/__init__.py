"""Scans of a cohort as training windows."""
