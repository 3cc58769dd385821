"""What is shipped to a target; each file runs there alone."""
