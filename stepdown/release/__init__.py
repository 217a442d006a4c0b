"""Judge, publish, record and withdraw releases."""
