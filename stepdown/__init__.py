"""From one sensitive dataset to nested, gated internal, partner and public releases."""

__version__ = "0.1.0"
