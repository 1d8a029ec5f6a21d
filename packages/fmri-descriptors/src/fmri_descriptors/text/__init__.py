"""Values to sentences: words for numbers, templates, captions."""
