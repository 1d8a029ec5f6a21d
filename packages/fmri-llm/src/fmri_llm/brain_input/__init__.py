"""Brain codes as input embeddings of the language model."""
