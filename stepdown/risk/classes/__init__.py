"""Form equivalence classes and find special uniques."""
