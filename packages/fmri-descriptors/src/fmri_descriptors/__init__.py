"""Resting-state fMRI scans to imaging features, cohort z-scores and sentences."""
