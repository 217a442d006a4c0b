"""Derive a tier or copy of a dataset from the tier above it."""
