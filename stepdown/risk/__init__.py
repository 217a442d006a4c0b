"""What an intruder could do with a file, measured on its bytes."""
