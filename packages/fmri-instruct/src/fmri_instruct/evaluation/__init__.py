"""Scores on held-out subjects, with intervals, baselines and comparisons."""
