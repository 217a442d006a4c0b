"""Limit what one reader may ask for: requests per minute, bytes per day."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from stepdown import clock
from stepdown.release.ledger.ledger import Reader
from stepdown.release.ledger.line_times import time_of
from stepdown.release.ledger.records import EventKind
from stepdown.release.reading.access import ANYBODY

_MOST_READERS = 100_000


@dataclass
class Rate:
    """A token bucket per key, full at the start and refilled over a minute; any thread may ask."""

    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_seconds(self, key: str, per_minute: int) -> float:
        """0 where one more is allowed, which is then counted; else how long to wait."""
        with self._lock:  # a bucket that another thread holds would look like a full one
            now = time.monotonic()
            left, at = self._buckets.pop(key, (float(per_minute), now))
            left = min(float(per_minute), left + (now - at) * per_minute / 60)
            wait = 0.0 if left >= 1 else (1 - left) * 60 / per_minute
            self._buckets[key] = (left if wait else left - 1, now)
            if len(self._buckets) > _MOST_READERS:
                self._buckets.popitem(last=False)
            return wait


@dataclass
class Volume:
    """Bytes of today per reader."""

    _day: str = ""
    _sent: dict[str, int] = field(default_factory=dict)

    def learn(self, reader: Reader) -> None:
        """Take what the ledger says was sent today."""
        today = clock.today().isoformat()
        for line in reader.lines(EventKind.ACCESS):
            facts = line["facts"]
            if time_of(line).startswith(today) and "bytes" in facts:
                known = "" if facts["who"] == ANYBODY else facts["who"]
                self.add(facts["token"] or known or facts["address"], facts["bytes"])

    def add(self, key: str, count: int) -> None:
        sent = self._today()
        sent[key] = sent.get(key, 0) + count

    def sent(self, key: str) -> int:
        return self._today().get(key, 0)

    def _today(self) -> dict[str, int]:
        today = clock.today().isoformat()
        if self._day != today:
            self._day, self._sent = today, {}
        return self._sent
