"""What a language model is given of a scan, as input embeddings."""
