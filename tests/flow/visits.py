"""A small raw table in which people come twice, with its config to be changed test by test."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from governance_case import govern

from flows.outcome import RunOutcome
from stepdown.keyring import write_keyring
from stepdown.vocabulary import Tier

REGIONS = {"north": ("Alder", "Birch"), "south": ("Cedar", "Dogwood")}
TOWNS = [town for towns in REGIONS.values() for town in towns]
NAMES = ("Ottokarine", "Philibertus", "Quirinella", "Rigobertha", "Sigismundo", "Theophania")
NOBODY: dict[str, Any] = {
    "licence": "CC0-1.0",
    "sign_off": {"roles": [], "people": 0},
    "t_closeness": 1.0,
    "because": "A test of something else",
}
"""Rules of a tier that publishes without a signature."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Visits:
    """The dataset's folder, and a way to run commands on it."""

    root: Path
    command: Callable[..., Done]

    @property
    def config(self) -> Path:
        return self.root / "visits.yaml"

    @property
    def raw(self) -> Path:
        return self.root / "visits.csv"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def places(self) -> list[str]:
        return ["--work", str(self.work), "--store", str(self.store)]

    def __call__(self, *words: str) -> Done:
        """Run a command on this workspace and store."""
        return self.command(*words, *self.places)

    def run(self, *words: str) -> Done:
        return self("run", str(self.config), "--json", *words)

    def change(self, change: Callable[[dict[str, Any]], Any] = lambda config: None) -> None:
        """Write the config, changed."""
        config = base_config()
        change(config)
        self.config.write_text(json.dumps(config), encoding="utf-8")

    def write(self, rows: list[dict[str, Any]]) -> None:
        with open(self.raw, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def published(self) -> dict[str, bytes]:
        """Every file of the store with its bytes."""
        files = sorted(path for path in self.store.rglob("*") if path.is_file())
        return {str(path.relative_to(self.store)): path.read_bytes() for path in files}

    def notes(self) -> Iterator[str]:
        """Every refusal note of the workspace."""
        return (path.read_text("utf-8") for path in sorted((self.work / "refusals").glob("*.md")))


def raw_rows(people: int = 300) -> list[dict[str, Any]]:
    """Two visits of each person, in towns that tell the person's pair of visits apart."""
    chance = random.Random(7)
    rows = []
    for person in range(people):
        name = f"{NAMES[person % 6]}{chr(97 + person % 26)} {NAMES[person % 5]}{person:04}"
        who = {
            "person": f"subject-{person:05}",
            "full_name": name,
            "national_id": f"NID{person * 7919 + 10_000_000}",
            "phone": f"+44 7700 {900_000 + person}",
        }
        for visit in range(2):
            rows.append(
                who
                | {
                    "note": f"Visit {visit + 1}, ask {name} again.",
                    "sex": "fm"[person % 2],
                    "age": (20, 25, 40, 45)[person // 2 % 4] + person % 5,
                    "town": chance.choice(TOWNS),
                    "ward": "AB"[visit],
                    "illness": ("cholera", "measles", "none")[chance.randrange(3)],
                }
            )
    return rows


def base_config() -> dict[str, Any]:
    return {
        "dataset": "visits",
        "title": "Visits to four clinics",
        "contact": "steward@clinics.example",
        "source": {"path": "visits.csv", "as_of": "2026-11-01"},
        "columns": {
            "person": {"role": "subject"},
            "full_name": {"role": "direct_identifier"},
            "national_id": {"role": "direct_identifier"},
            "phone": {"role": "direct_identifier"},
            "note": {"role": "free_text"},
            "sex": {"role": "quasi_identifier", "partner": "keep", "public": "keep"},
            "age": {"role": "quasi_identifier", "type": "integer", "kind": "age"},
            "town": {
                "role": "quasi_identifier",
                "hierarchy": {"tree": {region: list(towns) for region, towns in REGIONS.items()}},
            },
            "ward": {"role": "insensitive", "because": "Where the desk stands"},
            "illness": {"role": "sensitive", "not_sensitive": ["none"]},
        },
        "tiers": {"internal": {}, "partner": dict(NOBODY), "public": dict(NOBODY)},
    }


def make_visits(root: Path, command: Callable[..., Done]) -> Visits:
    """Write raw table and config into a folder."""
    root.mkdir(parents=True, exist_ok=True)
    visits = Visits(root, command)
    visits.write(raw_rows())
    visits.change()
    govern(root, "visits")
    visits.work.mkdir(mode=0o700)
    write_keyring(visits.work / "keyring.json", known_keys())
    return visits


def known_keys() -> dict[str, bytes]:
    """Keys that are the same in every session, as are the rows that they draw or hold back."""
    tiers = ("memory", "draws", "subjects", "internal", "partner", "public")
    copies = ("partner/clinic", "partner/ministry")
    names = [f"visits/{owner}/1" for owner in (*tiers, *copies)]
    return {name: hashlib.sha256(name.encode()).digest() for name in names}


def in_this_process(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs a command in this process, as the shell would."""
    from flows.cli import main

    def command(*words: Any) -> Done:
        monkeypatch.setattr(sys, "argv", ["stepdown", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return command


def run_without_prefect(
    config: Path,
    work: Path,
    store: str,
    tiers: Sequence[Tier] = (),
    as_of: dt.date | None = None,
    *,
    publish: bool = True,
    again: bool = False,
) -> RunOutcome:
    """The steps of the flow in their order, carried by nothing."""
    from flows.dataset_run import run_dataset

    last = max(tiers, key=list(Tier).index) if tiers else None
    return run_dataset(config, work, store, last, as_of, publish, again=again)


def release(visits: Visits) -> None:
    """Publish the next version of every tier."""
    outcome = run_without_prefect(visits.config, visits.work, str(visits.store))
    assert [end.state for end in outcome.ends.values()] == ["published"] * 3


def no_command(*words: str) -> Done:
    """For what is made before a test has a way to run commands."""
    raise AssertionError(words)
