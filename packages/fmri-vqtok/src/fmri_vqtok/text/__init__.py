"""The frozen text side: language models, corpora, features and their cache."""
