"""Measure what an intruder could do with a file, on its written bytes."""
