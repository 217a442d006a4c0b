"""Derive a safer table from a table: build hierarchies, search their levels, recode."""
