"""Scan, count and apply: the only place that knows the engine."""

from stepdown.engine.session import Session, file_literal, literals, open_session, quote

__all__ = ["Session", "file_literal", "literals", "open_session", "quote"]
