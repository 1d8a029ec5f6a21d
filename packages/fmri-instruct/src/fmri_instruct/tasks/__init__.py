"""What is asked of a cohort: task definitions and their true answers."""
