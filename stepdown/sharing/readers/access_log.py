"""Log who was sent what, in the ledger within a second, while no download waits for it.

Once a second what was sent since is added up per reader and file and written to a journal in the
workspace, and from there to the ledger in one transaction, as soon as nobody else holds it. A
download that still runs has its first line at once and its bytes when it ends; until then they
stand in the journal. A server that is killed leaves its journal behind, and the next one takes it
over.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from stepdown.artifacts import canonical_json, write_durably
from stepdown.errors import WorldFailed
from stepdown.file_lock import lock
from stepdown.release.ledger.ledger import Ledger
from stepdown.release.ledger.records import EventKind, Release
from stepdown.sharing.readers.access_alerts import Alert, Watcher
from stepdown.sharing.readers.tokens import NO_SERIES

ACTOR = "serve"
EVERY_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""So long may the ledger be away before nothing more is handed out."""


@dataclass(frozen=True)
class Sent:
    """One reader, one file, one way, as a line of the log tells it.

    Args:
        who: a recipient or person; "anybody" for a reader of public without a token.
        how: ``delta sharing``, ``http`` or ``page``.
        address: where they came from. client: what their program calls itself.
        grant: of the signed URL, else empty.
    """

    release: Release
    who: str
    how: str
    file: str
    address: str
    client: str
    token: str
    grant: str

    @property
    def facts(self) -> dict[str, Any]:
        names = ("who", "how", "file", "address", "client", "token", "grant")
        return {"note": "", **{name: getattr(self, name) for name in names}}


@dataclass
class Tally:
    """The bytes sent of one file to one reader since its last line."""

    sent: Sent
    bytes: int = 0
    requests: int = 0
    running: int = 0
    begun: bool = False


@dataclass
class Transfer:
    """One answer on its way; count every byte that left."""

    tally: Tally
    counted: Callable[[int], None]

    def add(self, count: int) -> None:
        self.tally.bytes += count
        self.counted(count)

    def end(self) -> None:
        self.tally.running -= 1


@dataclass
class AccessLog:
    """Collects on the event loop, writes in a thread.

    Args:
        watcher: looks at every line; its alerts go into the same transaction.
        on_alerts: is called with alerts once they are written.
    """

    ledger: Ledger
    folder: Path
    watcher: Watcher
    on_alerts: Callable[[Sequence[Alert]], None]
    _tallies: dict[Any, Tally] = field(default_factory=dict)
    _pending: list[dict[str, Any]] = field(default_factory=list)
    _alerts: list[Alert] = field(default_factory=list)
    _stuck_since: dict[str, float] = field(default_factory=dict)
    _file: IO[str] | None = None
    _kept: bool = False
    _teller: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> int:
        """Answers on their way."""
        return sum(tally.running for tally in self._tallies.values())

    @property
    def waiting(self) -> int:
        """Lines that are not in the ledger yet."""
        return len(self._pending)

    @property
    def is_stuck(self) -> bool:
        """Whether ledger or journal took no lines for too long for more to be handed out."""
        now = time.monotonic()
        return any(now - since > PATIENCE_SECONDS for since in list(self._stuck_since.values()))

    def begin(self, sent: Sent, counted: Callable[[int], None]) -> Transfer:
        """Count an answer that is about to be sent; ``counted`` is called for every piece."""
        key = (sent.release.id, *sent.facts.values())
        tally = self._tallies.setdefault(key, Tally(sent))
        tally.requests += 1
        tally.running += 1
        return Transfer(tally, counted)

    async def run(self) -> None:
        """Write once a second until ``stop``; what is left is written before it returns."""
        writing = asyncio.create_task(asyncio.to_thread(self._write))
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), EVERY_SECONDS)
            await self._keep()
            if writing.done():  # a ledger that somebody holds does not hold up the journal
                await writing
                writing = asyncio.create_task(asyncio.to_thread(self._write))
        await writing
        await asyncio.to_thread(self._write)
        await asyncio.to_thread(self._teller.shutdown)

    def stop(self) -> None:
        """Let ``run`` finish."""
        self._stopping.set()

    def recover(self) -> int:
        """Put into the ledger what killed servers left in their journals; how many lines."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        found = 0
        for path in sorted(self.folder.glob("*.lock")):
            with open(path, "r+") as file:
                if lock(file.fileno(), path):  # else its server lives
                    found += self._take_over(path.with_suffix(".json"))
                    path.unlink()
        self._file = self._journal()
        return found

    def close(self) -> None:
        """Close the journal, and delete it where all of it is in the ledger."""
        assert self._file is not None
        if not self._pending:
            Path(self._file.name).with_suffix(".json").unlink(missing_ok=True)
            Path(self._file.name).unlink()
        self._file.close()

    def _collect(self) -> list[dict[str, Any]]:
        lines = []
        for key, tally in list(self._tallies.items()):
            if tally.running == 0:
                lines.append(_line(tally, ends=True))
                del self._tallies[key]
            elif not tally.begun:
                lines.append(_line(tally, ends=False))
                tally.begun = True
        for line in lines:
            self.watcher.sent(line)
        return lines

    async def _keep(self) -> None:
        """Write the journal: lines that wait for the ledger, and what runs as if it ended now."""
        self._pending += self._collect()
        self._alerts += self.watcher.raised()
        running = [_line(tally, ends=True) for tally in self._tallies.values()]
        lines = self._pending + running
        if not lines and not self._kept:
            return
        try:
            await asyncio.to_thread(self._write_journal, canonical_json({"lines": lines}))
        except WorldFailed:
            self._fails("journal")
            return
        self._kept = bool(lines)
        self._works("journal")

    def _write(self) -> None:
        """Move what waits into the ledger; a journal that names it still is not believed."""
        lines, alerts = list(self._pending), list(self._alerts)
        if not lines and not alerts:
            return
        try:
            with self.ledger.writing() as writer:
                for line in lines:
                    release = writer.release(line["release"])
                    writer.note(EventKind.ACCESS, release, ACTOR, line["facts"])
                for alert in alerts:
                    writer.append(EventKind.ALERT, NO_SERIES, None, ACTOR, alert.facts)
        except WorldFailed:
            self._fails("ledger")
            return
        self._works("ledger")
        del self._pending[: len(lines)], self._alerts[: len(alerts)]
        if alerts:  # in a thread of its own, since a webhook may hang
            self._teller.submit(self.on_alerts, alerts)

    def _fails(self, what: str) -> None:
        self._stuck_since.setdefault(what, time.monotonic())

    def _works(self, what: str) -> None:
        self._stuck_since.pop(what, None)

    def _journal(self) -> IO[str]:
        path = self.folder / f"{os.getpid()}-{secrets.token_hex(4)}.lock"
        file = open(path, "w")  # noqa: SIM115 - held as long as the server lives
        lock(file.fileno(), path, wait=True)
        return file

    def _write_journal(self, content: bytes) -> None:
        assert self._file is not None
        write_durably(Path(self._file.name).with_suffix(".json"), content, mode=0o600)

    def _take_over(self, path: Path) -> int:
        if not path.exists():  # it was killed before it sent anything
            return 0
        lines = json.loads(path.read_bytes())["lines"]
        with self.ledger.writing() as writer:
            known = {facts.get("entry") for facts in writer.facts(EventKind.ACCESS)}
            new = [line for line in lines if line["facts"]["entry"] not in known]
            for line in new:
                release = writer.release(line["release"])
                writer.note(EventKind.ACCESS, release, ACTOR, line["facts"])
        path.unlink()
        return len(new)


def _line(tally: Tally, *, ends: bool) -> dict[str, Any]:
    counted = {
        "bytes": tally.bytes if ends else 0,
        "requests": tally.requests if ends else 0,
        "ended": ends,
    }
    facts = {**tally.sent.facts, **counted, "entry": secrets.token_hex(8)}
    return {"release": tally.sent.release.id, "facts": facts}
