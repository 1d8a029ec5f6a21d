"""Cohort norms: robust z-scores fitted on training subjects."""
