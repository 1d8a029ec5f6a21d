"""The `fmri` command: scans in; answers, scores and a report out."""
