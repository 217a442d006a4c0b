"""List what a release must have before it may be published."""
