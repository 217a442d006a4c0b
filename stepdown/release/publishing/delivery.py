"""Send notices by any service that apprise knows, most of them as e-mail."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from stepdown.errors import InputWrong
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.publishing.notices import Notice, mark_told, open_notices
from stepdown.workspace import Workspace

TEMPLATE = "STEPDOWN_NOTIFY"
"""Environment variable that holds the service's URL; ``{contact}`` in it is whom it goes to."""
_CONTACT = "{contact}"


@dataclass(frozen=True)
class Delivery:
    """What became of the open notices."""

    sent: tuple[Notice, ...]
    failed: tuple[Notice, ...]


def send_notices(workspace: Workspace, template: str, actor: str) -> Delivery:
    """Send every open notice and mark each as told once it is on its way.

    One that fails stays open. A process that dies between the two sends again: told twice is
    better than not told. No lock is held while a server is waited for.

    Args:
        template: an apprise URL, from STEPDOWN_NOTIFY.

    Raises:
        InputWrong: there is no template.
        WorldFailed: the ledger failed.
    """
    if not template:
        raise InputWrong(
            f"{TEMPLATE} is not set, so nothing can be sent",
            where="--send",
            next="Set it to a service's URL, for instance mailtos://USER:PASSWORD@HOST?to={contact}",
        )
    ledger = open_ledger(workspace)
    with ledger.reading() as reader:
        notices = open_notices(reader)
    sent, failed = [], []
    for notice in notices:
        if not _send(template, notice):
            failed.append(notice)
            continue
        with ledger.writing() as writer:
            if notice in open_notices(writer):
                mark_told(writer, notice, "sent", actor)
        sent.append(notice)
    return Delivery(tuple(sent), tuple(failed))


def message(notice: Notice) -> str:
    """A notice as it is sent, or pasted."""
    return f"To: {notice.whom}\n\n{notice.text}\n\n{notice.release}, {notice.at}\n"


def send_text(url: str, title: str, text: str) -> bool:
    """Send a text to a service that apprise knows by its URL; whether it was taken."""
    import apprise

    with _silent():
        try:
            service = apprise.Apprise()
            return service.add(url) and service.notify(text, title=title) is True
        except Exception:
            # Whatever a service's driver says may quote the URL, which holds a password.
            return False


def _send(template: str, notice: Notice) -> bool:
    if _CONTACT in template and not notice.contact:
        return False
    url = template.replace(_CONTACT, quote(notice.contact, safe=""))
    return send_text(url, f"stepdown: {notice.release}", message(notice))


@contextmanager
def _silent() -> Iterator[None]:
    logger = logging.getLogger("apprise")
    before = logger.disabled
    logger.disabled = True
    try:
        # Its drivers import modules that Python is about to drop; nobody here can change that.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.disabled = before
