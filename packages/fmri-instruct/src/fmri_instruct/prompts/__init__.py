"""Prompts: their wording, the instruction data, and checks that they give no answer away."""
