"""Serve published releases over HTTP, and fetch them."""
