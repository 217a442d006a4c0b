"""Define the commands and the flows: what comes after what."""
