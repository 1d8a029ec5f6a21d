"""A cohort folder: splits, writing and reading."""
