"""Count what is asked of the engine: databases opened, and scans of a Parquet file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stepdown import artifacts
from stepdown.engine import session as engine


class EngineUse:
    """What was asked: ``databases``, and by file name ``scans`` and ``hashed``."""

    def __init__(self) -> None:
        self.databases = 0
        self.scans: Counter[str] = Counter()
        self.hashed: Counter[str] = Counter()

    def scans_of(self, path: str | Path) -> int:
        """How many statements read rows of a file."""
        return self.scans[Path(path).name]


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[EngineUse]:
    """Count until the end, by what the engine itself reports of every statement.

    Args:
        folder: for the engine's reports.
    """
    use, report = EngineUse(), folder / "profile.json"
    connect, prepared, sha256_of = duckdb.connect, engine._prepared, artifacts.sha256_of

    def connecting(*args: Any, **options: Any) -> Any:
        use.databases += 1
        return connect(*args, **options)

    def profiling(connection: Any) -> Any:
        connection.execute("SET enable_profiling = 'json'")
        connection.execute(f"SET profiling_output = '{report}'")
        return prepared(connection)

    def watching(method: Any) -> Any:
        def watched(session: Any, *args: Any) -> Any:
            report.unlink(missing_ok=True)
            answer = method(session, *args)
            if report.is_file():
                use.scans.update(_scanned(json.loads(report.read_text() or "{}")))
            return answer

        return watched

    def hashing(path: str | Path) -> str:
        use.hashed[Path(path).name] += 1
        return sha256_of(path)

    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "connect", connecting)
        patch.setattr(engine, "_prepared", profiling)
        patch.setattr(artifacts, "sha256_of", hashing)
        for name in ("run", "fetch", "scalar"):
            patch.setattr(engine.Session, name, watching(getattr(engine.Session, name)))
        yield use


def _scanned(node: Any) -> set[str]:
    """Names of the files that a statement's operators read."""
    if isinstance(node, list):
        return {name for each in node for name in _scanned(each)}
    if not isinstance(node, dict):
        return set()
    named = node.get("extra_info", {}) if isinstance(node.get("extra_info"), dict) else {}
    own = {Path(named["Filename(s)"]).name} if "Filename(s)" in named else set()
    return own | {name for child in node.values() for name in _scanned(child)}
