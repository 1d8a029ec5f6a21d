"""Scores of given answers: metrics, intervals over subjects, and paired comparisons."""
