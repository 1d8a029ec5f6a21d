"""Which files are one recording: BIDS names, sidecars and one rule for all layouts."""
