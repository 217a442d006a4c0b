"""Read, check and build generalisation hierarchies."""
