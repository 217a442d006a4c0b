"""Recode locally: choose a generalisation for each record."""
