"""Judge a candidate and write the documents that travel with it."""
