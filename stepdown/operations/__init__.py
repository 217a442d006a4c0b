"""Verify, retain, recheck, shred: the upkeep of a workspace and its releases."""
