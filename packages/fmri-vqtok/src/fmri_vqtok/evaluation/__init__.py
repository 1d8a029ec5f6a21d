"""Adapters for external evaluation suites, which are imported only when they are used."""
