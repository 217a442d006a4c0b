"""The commands and the flows: what comes after what."""
