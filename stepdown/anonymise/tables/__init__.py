"""Anonymise one table outside any dataset, and write the result."""
