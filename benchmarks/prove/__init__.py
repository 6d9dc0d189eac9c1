"""What is done first on a new kind of GPU: does it work, does it stay right, does it leak, how fast is it."""
