"""Send alerts to a webhook, or to any service that apprise knows."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from stepdown.release.publishing.delivery import send_text
from stepdown.sharing.readers.access_alerts import Alert

_LOG = logging.getLogger("stepdown.serve")


def send_alerts(url: str | None, alerts: Sequence[Alert]) -> None:
    """Send alerts in one message; they stand in the ledger whether or not it arrives."""
    if url is None:
        return
    text = "\n".join(f"{each.at} {each.rule}: {each.what}" for each in alerts)
    if not send_text(url, f"stepdown: {len(alerts)} alert(s)", text):
        # Its URL may hold a password.
        _LOG.warning("watch.webhook took no alert; `stepdown serve` goes on")
