"""Alerts to a webhook, or to any service that apprise knows."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.release.delivery import send_text
from stepdown.sharing.watch import Alert


def send_alerts(url: str | None, alerts: Sequence[Alert]) -> bool:
    """Send alerts in one message; they stand in the ledger whether or not it arrives."""
    if url is None:
        return True
    text = "\n".join(f"{each.at} {each.rule}: {each.what}" for each in alerts)
    return send_text(url, f"stepdown: {len(alerts)} alert(s)", text)
