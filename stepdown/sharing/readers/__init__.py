"""Authenticate readers and decide what each may have."""
