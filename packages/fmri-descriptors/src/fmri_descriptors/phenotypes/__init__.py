"""What is known about a subject besides the scan: its dictionary and its sentences."""
