"""Answers of a model about one scan: probabilities, orders of the options, parsing."""
