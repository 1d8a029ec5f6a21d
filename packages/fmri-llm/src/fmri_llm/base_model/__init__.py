"""The base language model: where it is, what it must support, its chat template."""
