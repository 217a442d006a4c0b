from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from release_case import Case

from stepdown.errors import InputWrong
from stepdown.release.ledger.records import EventKind
from stepdown.release.publishing.delivery import send_notices
from stepdown.release.publishing.notices import mark_told_by_hand, open_notices, tell
from stepdown.release.reading.catalogue import find_release
from stepdown.vocabulary import Tier

SECRET = "pass-of-the-mail-server"


class Mailbox:
    """A real mail server's handler: keeps what it is handed."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Any]] = []
        self.refused: str = ""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refused and self.refused in str(envelope.rcpt_tos):
            return "550 no such mailbox"
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, f"mailto://127.0.0.1:{port}/?from=steward@example.org&to={{contact}}"
    server.stop()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Three people are to be told of the internal release."""
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    note(case, "clinic", "clinic@example.org")
    note(case, "Ann", "ann+wells@example.org")
    return case


def note(case: Case, whom: str, contact: str) -> None:
    release = find_release(case.ledger, "wells/internal/v1")
    with case.ledger.writing() as writer:
        tell(writer, release, whom, contact, f"{whom}: delete your copy & say so.", "Stu")


def waiting(case: Case) -> list[str]:
    with case.ledger.reading() as reader:
        return [notice.whom for notice in open_notices(reader)]


def test_each_is_told_once_at_their_own_address(case: Case, mailbox: tuple[Mailbox, str]) -> None:
    box, url = mailbox
    assert len(send_notices(case.workspace, url, "Stu").sent) == 2
    assert [to for to, _ in box.mails] == [["clinic@example.org"], ["ann+wells@example.org"]]
    subject, text = box.mails[0][1]["subject"], box.mails[0][1].get_body().get_content()
    assert subject == "stepdown: wells/internal/v1"
    assert "delete your copy" in text
    assert waiting(case) == []
    assert send_notices(case.workspace, url, "Stu").sent == ()
    assert len(box.mails) == 2


def test_a_failed_delivery_stays_open_and_is_tried_again(
    case: Case, mailbox: tuple[Mailbox, str]
) -> None:
    box, url = mailbox
    box.refused = "clinic"
    done = send_notices(case.workspace, url, "Stu")
    assert [notice.whom for notice in done.failed] == waiting(case) == ["clinic"]
    box.refused = ""
    assert [notice.whom for notice in send_notices(case.workspace, url, "Stu").sent] == ["clinic"]


def test_no_message_says_the_services_secret(
    case: Case, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for url in (
        f"mailto://user:{SECRET}@127.0.0.1:1/?to={{contact}}&from=a@example.org",
        f"nosuchservice://{SECRET}",
        f"json://user:{SECRET}@127.0.0.1:1",
        f"mailto://user:{SECRET}@",  # apprise logs what it cannot read, whole
    ):
        assert len(send_notices(case.workspace, url, "Stu").failed) == 2
    captured = capfd.readouterr()
    assert SECRET not in captured.out + captured.err + caplog.text
    with case.ledger.reading() as reader:
        assert SECRET not in str(reader.events())


def test_a_contact_cannot_add_a_receiver(case: Case, mailbox: tuple[Mailbox, str]) -> None:
    box, url = mailbox
    note(case, "mallory", "m@example.org&bcc=spy@example.org")
    send_notices(case.workspace, url, "Stu")
    assert "spy@example.org" not in [address for to, _ in box.mails for address in to]


def test_one_without_an_address_stays_open_until_it_is_told_by_hand(
    case: Case, mailbox: tuple[Mailbox, str]
) -> None:
    note(case, "stranger", "")
    (failed,) = send_notices(case.workspace, mailbox[1], "Stu").failed
    assert failed.whom == "stranger"
    mark_told_by_hand(case.workspace, failed.number, "Stu")
    assert waiting(case) == []
    with case.ledger.reading() as reader:
        ways = [facts["how"] for facts in reader.facts(EventKind.TOLD)]
    assert ways == ["sent", "sent", "by hand"]
    with pytest.raises(InputWrong, match="no notice 9999 is open"):
        mark_told_by_hand(case.workspace, 9999, "Stu")


def test_nothing_is_sent_without_a_service(case: Case) -> None:
    with pytest.raises(InputWrong, match="STEPDOWN_NOTIFY is not set"):
        send_notices(case.workspace, "", "Stu")
