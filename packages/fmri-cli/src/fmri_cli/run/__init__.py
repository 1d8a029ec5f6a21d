"""Runs: stages, workspaces, records, locks, and what is up to date."""
