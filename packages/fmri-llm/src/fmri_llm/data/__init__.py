"""Training examples: captions, token windows and their batches."""
