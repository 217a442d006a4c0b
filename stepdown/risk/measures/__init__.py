"""Measure disclosure risk on equivalence classes."""
