"""The suites a table must meet, judged by Great Expectations and failing closed."""
