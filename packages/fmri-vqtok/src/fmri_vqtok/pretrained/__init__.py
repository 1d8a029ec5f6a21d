"""A saved tokenizer: its folder, model card, region order, and the Hugging Face Hub."""
