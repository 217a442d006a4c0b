"""Raise alerts for a steward from the access log; none of them refuses anything.

An alert is raised once per rule, subject and day, so that a flood of requests is one line.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepdown import clock
from stepdown.release.ledger.ledger import Reader
from stepdown.release.ledger.line_times import time_of
from stepdown.release.ledger.records import EventKind
from stepdown.release.reading.access import ANYBODY
from stepdown.sharing.readers.settings import Watch

HISTORY_DAYS = 30
_WINDOW_SECONDS = 600.0
_MOST_SUBJECTS = 10_000
"""Addresses that are remembered at once: a scan must not fill the memory."""


@dataclass(frozen=True)
class Alert:
    """Something unusual.

    Args:
        rule: ``volume``, ``new network``, ``hours``, ``unknown names``, ``after expiry`` or
            ``failed tokens``.
        subject: the reader or address it is about.
        what: one sentence, with the figures.
    """

    rule: str
    subject: str
    address: str
    what: str
    at: str

    @property
    def facts(self) -> dict[str, Any]:
        """What the ledger holds of it."""
        return {
            "rule": self.rule,
            "subject": self.subject,
            "address": self.address,
            "what": self.what,
        }


@dataclass
class Watcher:
    """Remembers thirty days of every known reader, and ten minutes of every address.

    Any thread may tell it of names and tokens.
    """

    rules: Watch
    _bytes: dict[str, dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    _networks: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _unknown: dict[str, deque[tuple[float, str]]] = field(default_factory=dict)
    _failed: dict[str, deque[tuple[float, str]]] = field(default_factory=dict)
    _raised: list[Alert] = field(default_factory=list)
    _said: set[tuple[str, str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, reader: Reader) -> None:
        """Take the history from the ledger, and what was already raised today."""
        today = clock.today()
        since = (today - dt.timedelta(days=HISTORY_DAYS)).isoformat()
        for line in reader.lines(EventKind.ACCESS):
            if time_of(line) >= since and "bytes" in line["facts"]:
                self._remember(time_of(line)[:10], line["facts"])
        for line in reader.lines(EventKind.ALERT):
            if time_of(line)[:10] == today.isoformat():
                facts = line["facts"]
                self._said.add((facts["rule"], facts["subject"], time_of(line)[:10]))

    def sent(self, line: Mapping[str, Any]) -> None:
        """Look at a line of the log that is about to be written."""
        facts = line["facts"]
        who, address, at = facts["who"], facts["address"], clock.now()
        day = at[:10]
        if who != ANYBODY:
            network = network_of(address)
            known = self._networks[who]
            if known and network not in known:
                self._raise("new network", who, address, f"{who} came from {network} first", at)
            if self.rules.hours and not _within(self.rules.hours, at[11:16]):
                what = f"{who} fetched at {at[11:16]} UTC, outside {self.rules.hours}"
                self._raise("hours", who, address, what, at)
        self._remember(day, facts)
        subject = _subject(facts)
        days = self._bytes[subject]
        most = max((sent for other, sent in days.items() if other != day), default=0)
        if most and days[day] > max(self.rules.volume_floor_bytes, self.rules.volume_factor * most):
            what = f"{days[day]:,} bytes today, {most:,} on the fullest of the last 30 days"
            self._raise("volume", subject, address, what, at)

    def unknown_name(self, address: str, name: str) -> None:
        """Count a request for what does not exist, or is not theirs."""
        if self._count(self._unknown, address, name[:200], self.rules.unknown_names):
            what = f"{self.rules.unknown_names} different unknown names in ten minutes"
            self._raise("unknown names", address, address, what, clock.now())

    def failed_token(self, address: str) -> None:
        """Count a request with a token that was never issued."""
        if self._count(self._failed, address, str(time.monotonic()), self.rules.failed_tokens):
            what = f"{self.rules.failed_tokens} wrong tokens in ten minutes"
            self._raise("failed tokens", address, address, what, clock.now())

    def after_end(self, who: str, address: str, why: str) -> None:
        """Raise an alert: a token was used that no longer works."""
        self._raise("after expiry", who, address, f"{who}: {why.partition(':')[0]}", clock.now())

    def raised(self) -> list[Alert]:
        """The alerts since the last call."""
        with self._lock:
            raised, self._raised = self._raised, []
            return raised

    def _remember(self, day: str, facts: Mapping[str, Any]) -> None:
        days = self._bytes[_subject(facts)]
        days[day] += facts["bytes"]
        for old in sorted(days)[:-HISTORY_DAYS]:
            del days[old]
        if facts["who"] != ANYBODY:
            self._networks[facts["who"]].add(network_of(facts["address"]))
        elif len(self._bytes) > _MOST_SUBJECTS:
            # Never a known reader's history: strangers could push it out and then take what it hid.
            del self._bytes[next(each for each in self._bytes if each not in self._networks)]

    def _count(
        self, seen: dict[str, deque[tuple[float, str]]], address: str, what: str, most: int
    ) -> bool:
        with self._lock:
            if len(seen) > _MOST_SUBJECTS:
                del seen[next(iter(seen))]
            times = seen.setdefault(address, deque(maxlen=10 * most))
            now = time.monotonic()
            times.append((now, what))
            return len({name for at, name in times if now - at < _WINDOW_SECONDS}) >= most

    def _raise(self, rule: str, subject: str, address: str, what: str, at: str) -> None:
        with self._lock:
            if (rule, subject, at[:10]) not in self._said:
                self._said.add((rule, subject, at[:10]))
                self._raised.append(Alert(rule, subject, address, what, at))


def _subject(facts: Mapping[str, Any]) -> str:
    """Whose history a line belongs to: a known reader's, else an address's."""
    return str(facts["address"] if facts["who"] == ANYBODY else facts["who"])


def network_of(address: str) -> str:
    """The /24 or /48 that an address is in; the text itself where it is no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))


def alerts(reader: Reader) -> list[dict[str, Any]]:
    """Every alert of the ledger, newest first."""
    lines = [{"at": time_of(line), **line["facts"]} for line in reader.lines(EventKind.ALERT)]
    return list(reversed(lines))


def _within(hours: str, time_of_day: str) -> bool:
    first, last = hours.split("-")
    if first <= last:
        return first <= time_of_day < last
    return time_of_day >= first or time_of_day < last
