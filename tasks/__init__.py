"""Thin Prefect tasks, each named after the library function it calls."""
