"""Fitting a tokenizer: objective, training loop, log and metrics."""
