"""No cell of a withheld column or record reaches a log, report, ledger or exception."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from visits import REGIONS, Done, Visits, make_visits, raw_rows

from flows.local_run import run_release
from stepdown.errors import WorldFailed

CANARY = "kanarienvogel"
WITHHELD = ("person", "full_name", "national_id", "phone", "note", "town", "illness")
"""Columns that hold the canary in one row whose sex nobody shares: no tier below may keep it."""


@pytest.fixture
def planted(tmp_path: Path, stepdown: Callable[..., Done]) -> Visits:
    """Every identifying cell of every row holds the canary, and every text of one rare row."""
    visits = make_visits(tmp_path / "visits", stepdown)
    rows = raw_rows()
    for row in rows:
        row |= {name: f"{row[name]} {CANARY}" for name in WITHHELD[:5]}
    rows.append(
        {name: f"{CANARY}-{name}" for name in WITHHELD} | {"sex": "x", "age": 41, "ward": "A"}
    )
    visits.write(rows)
    tree = {region: list(towns) for region, towns in REGIONS.items()}
    lines = [f"{town};{region}" for region, towns in tree.items() for town in towns]
    path = visits.root / "towns.csv"
    path.write_text("\n".join([*lines, f"{CANARY}-town;south"]) + "\n", encoding="utf-8")
    visits.change(lambda c: c["columns"]["town"].update(hierarchy={"file": "towns.csv"}))
    return visits


def places_of_values(visits: Visits) -> Iterator[Path]:
    """Where raw values belong: raw files, snapshots, and the data and lineage that say so."""
    yield from (visits.raw, visits.root / "towns.csv")
    yield from (visits.work / "snapshots").glob("*.parquet")
    yield from (visits.work / "candidates").glob("*/*/internal/data/*.parquet")
    yield from (visits.work / "candidates").rglob("hierarchies.parquet")
    yield from (visits.store / "visits" / "internal").rglob("*.parquet")


def sightings(visits: Visits, database: Path) -> list[str]:
    """Files that hold the canary and should not, by name or content, and the run's database."""
    allowed = set(places_of_values(visits))
    files = [path for path in visits.root.rglob("*") if path.is_file() and path not in allowed]
    seen = [str(path) for path in files if CANARY in path.name or CANARY in content(path)]
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        dump = "\n".join(connection.iterdump())
    assert "visits" in dump, "the run has left nothing in Prefect's database: look elsewhere"
    return [*seen, "Prefect's database"] if CANARY in dump else seen


def content(path: Path) -> str:
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pydict()) + str(pq.read_schema(path))
    return path.read_bytes().decode("latin-1")


def test_a_published_run_shows_no_withheld_cell(planted: Visits, prefect_server: Path) -> None:
    done = planted.run()
    assert done.code == 0, done
    assert done.json["tiers"]["partner"]["suppressed"] == 1
    assert CANARY not in done.out + done.err
    assert sightings(planted, prefect_server) == []
    assert CANARY in content(next((planted.work / "snapshots").glob("*.parquet")))


def test_a_refused_run_shows_no_withheld_cell(planted: Visits, prefect_server: Path) -> None:
    config = planted.config.read_text(encoding="utf-8")
    allowed = '"not_sensitive": ["none"], "allowed": ["cholera", "measles", "none"]'
    planted.config.write_text(config.replace('"not_sensitive": ["none"]', allowed))
    done = planted.run()
    assert done.code == 1, done
    assert CANARY not in done.out + done.err
    assert list(planted.notes())
    assert sightings(planted, prefect_server) == []


def test_a_hierarchy_without_the_cell_does_not_quote_it(
    planted: Visits, prefect_server: Path
) -> None:
    path = planted.root / "towns.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    done = planted.run()
    assert done.code == 2, done
    assert CANARY not in done.out + done.err
    assert sightings(planted, prefect_server) == []


def explode(*_: Any, **__: Any) -> Any:
    try:
        raise KeyError(f"{CANARY}-first")
    except KeyError as error:
        raise ValueError(f"could not convert {CANARY}") from error


@pytest.mark.parametrize(
    "step",
    [
        "stepdown.pipeline.ingest.read_source",
        "stepdown.pipeline.derive.derive.derive_tier",
        "stepdown.pipeline.assess.measures.assess_risk",
        "stepdown.pipeline.submit.submission.submit",
    ],
)
def test_a_foreign_exception_that_quotes_a_cell_is_not_passed_on(
    planted: Visits, prefect_server: Path, monkeypatch: pytest.MonkeyPatch, step: str, capfd: Any
) -> None:
    monkeypatch.setattr(step, explode)
    with pytest.raises(WorldFailed) as caught:
        run_release(planted.config, planted.work, str(planted.store))
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in str(error)
        error = error.__cause__ or error.__context__
    assert "ValueError" in str(caught.value)
    captured = capfd.readouterr()
    assert CANARY not in captured.out + captured.err
    assert sightings(planted, prefect_server) == []
    assert not planted.published()
