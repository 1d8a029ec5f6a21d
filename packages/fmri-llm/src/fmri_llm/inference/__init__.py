"""Answers of the model: likelihoods and generated text."""
