"""Adapters for the evaluation suites of others; none of them is imported here."""
