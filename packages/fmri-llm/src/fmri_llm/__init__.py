"""One language model over brain tokens and text."""
