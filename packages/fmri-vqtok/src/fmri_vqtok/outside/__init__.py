"""What lets the evaluation suites of others run a tokenizer; none of them is imported here."""
