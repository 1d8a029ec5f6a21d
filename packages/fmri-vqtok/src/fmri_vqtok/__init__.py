"""A text-aligned discrete tokenizer for fMRI and other (time, regions) signals."""
