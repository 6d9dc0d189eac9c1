"""What the command line shows while it works, in words for a person or as JSON."""
