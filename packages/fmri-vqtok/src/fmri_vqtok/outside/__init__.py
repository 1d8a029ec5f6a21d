"""What lets other people's evaluation suites run a tokenizer; neither suite is needed to import it."""
