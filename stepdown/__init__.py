"""Turn one sensitive dataset into nested, gated internal, partner and public releases."""

__version__ = "0.1.0"
