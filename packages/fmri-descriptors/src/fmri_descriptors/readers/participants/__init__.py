"""Subjects and their phenotypes: canonical labels, tables and joins."""
