"""A real server over the releases of ``release_case``, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pyarrow as pa
from forked import Script
from partner_case import write_security_policy
from release_case import Case

from stepdown.sharing.readers.tokens import Terms as Terms
from stepdown.sharing.readers.tokens import Token, issue
from stepdown.vocabulary import Tier

MAIN = "from flows.cli import main\nmain()"
FAR = "2099-01-01T00:00:00+00:00"


@dataclass
class Served:
    """A case, and the server in front of it."""

    case: Case
    url: str
    process: Script | subprocess.Popen[str]
    secrets: dict[str, str] = field(default_factory=dict)

    def token(self, who: str, **terms: Any) -> tuple[Token, str]:
        """A token of somebody, and its secret."""
        return issue(self.case.ledger, Terms(who, **{"expires_at": FAR, **terms}), "tester")

    def client(self, who: str = "", **terms: Any) -> httpx.Client:
        """A client with a token of somebody, or with none."""
        secret = self.token(who, **terms)[1] if who else ""
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=30)

    def profile(self, path: Path, who: str, **terms: Any) -> Path:
        """A profile file of somebody."""
        facts = {
            "shareCredentialsVersion": 1,
            "endpoint": f"{self.url}/delta-sharing",
            "bearerToken": self.token(who, **terms)[1],
            "expirationTime": "2099-01-01T00:00:00.000Z",
        }
        path.write_text(json.dumps(facts))
        return path


def publish_all(
    case: Case, internal: dict[str, pa.Array] | None = None, part_rows: int = 1_000_000
) -> None:
    """Internal, of other columns where given; partner's base, the clinic's copy and public.

    Args:
        part_rows: most rows of a data file of internal.
    """
    case.part_rows = part_rows
    case.submit(Tier.INTERNAL, columns=internal)
    case.part_rows = 1_000_000
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    case.submit(Tier.PARTNER, "clinic", parent="wells/partner/v1")
    case.approve("wells/partner/clinic/v1")
    case.submit(Tier.PUBLIC, parent="wells/partner/v1")
    publish_public(case, "wells/public/v1")


def publish_public(case: Case, address: str) -> None:
    """The three signatures that a public release waits for."""
    for role in ("steward", "risk_officer", "subject_representative"):
        case.approve(address, role)


@contextmanager
def serving(
    case: Case,
    port: int | None = 0,
    start: tuple[str, ...] = (),
    **environment: str,
) -> Iterator[Served]:
    """A server over a case until the block ends; its settings as ``STEPDOWN_SERVE_…``.

    Args:
        port: to listen on, 0 for a free one, None for what the settings say.
        start: what a new Python is to run; without it, a process is forked that has imported all.
    """
    write_security_policy(case.root)
    words = ["serve", "--json"]
    words += [] if port is None else ["--port", str(port)]
    words += ["--work", str(case.root / "work"), "--store", case.store.url]
    process: Script | subprocess.Popen[str]
    with patch.dict(os.environ, environment):
        process = (
            subprocess.Popen([sys.executable, *start, *words], stdout=subprocess.PIPE, text=True)
            if start
            else Script(MAIN, *words)
        )
    try:
        assert process.stdout is not None
        said = ""
        while not said.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, "the server ended before it answered"
            said += line
        yield Served(case, json.loads(said)["url"], process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        assert process.stdout is not None
        process.stdout.close()
