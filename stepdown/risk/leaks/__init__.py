"""Find what a release gives away beside its rows: nesting, texts, keys that join."""
