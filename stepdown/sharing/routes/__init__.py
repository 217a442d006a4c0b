"""Answer the HTTP requests."""
