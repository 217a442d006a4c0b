"""Keep figures for Prometheus; none of them names a reader or a release."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """One server's figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "stepdown_requests", "Requests answered.", ["status"], registry=self.registry
        )
        self.bytes = Counter("stepdown_sent_bytes", "Bytes of files sent.", registry=self.registry)
        self.alerts = Counter("stepdown_alerts", "Alerts raised.", ["rule"], registry=self.registry)

    def follow(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A gauge whose value is asked anew whenever somebody looks."""
        Gauge(name, what, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
