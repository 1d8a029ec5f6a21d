"""Images to regional means: volumes, labels, coverage and confounds."""
