"""Scan, count and apply: the only place that knows the engine."""

from stepdown.engine.session import Session, literals, open_session, quote

__all__ = ["Session", "literals", "open_session", "quote"]
