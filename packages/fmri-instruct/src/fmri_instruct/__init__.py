"""Tasks, prompts, instruction tuning and evaluation for fMRI language models."""
