"""Typed columns of delimited text and of Arrow tables."""
