"""Methods without a language model, and the numbers that they see of a scan."""
