"""From a table to a safer table: hierarchies, search, recoding, derivation."""
