"""Codes of a cohort, written in shards and read as a dataset."""
