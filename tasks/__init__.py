"""Wrap library functions as thin Prefect tasks, each of the same name."""
