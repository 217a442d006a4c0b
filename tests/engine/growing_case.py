"""A table that grows month after month, as an invented clinic would keep it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from derive_case import LOOSE, Case, make_case
from opening import subtracted
from test_derive_history import partner, with_rows

from stepdown.candidate import Candidate, Earlier
from stepdown.reports import AttackResult
from stepdown.vocabulary import Tier

COLUMNS: dict[str, Any] = {
    "person": {"role": "subject", "partner": "drop"},
    "age": {
        "role": "quasi_identifier",
        "type": "integer",
        "hierarchy": {"intervals": [{"width": 10}, {"width": 20}, {"width": 40}]},
        "partner": {"generalise": {"at_least": 2}},
        "public": {"generalise": {"at_least": 2}},
    },
    "sex": {"role": "quasi_identifier", "hierarchy": {"tree": {"any": ["f", "m"]}}},
    "district": {
        "role": "quasi_identifier",
        "hierarchy": {"tree": {"any": {"north": ["n1", "n2"], "south": ["s1", "s2"]}}},
        "partner": {"generalise": {"at_least": 1}},
        "public": {"generalise": {"at_least": 1}},
    },
    "illness": {"role": "sensitive"},
    "treated": {"role": "sensitive"},
}
COPIES = {
    "ministry": ["age", "sex", "illness"],
    "university": ["age", "district", "illness", "treated"],
}


@dataclass
class Month:
    """One month's candidates: each with what differencing found."""

    files: dict[str, Candidate]
    rows: int
    found: dict[str, list[AttackResult]]

    def lacks(self, name: str) -> float:
        """Share of the source's rows that a file lacks."""
        return 1 - self.files[name].data.rows / self.rows

    @property
    def isolated(self) -> dict[str, int]:
        """Groups that subtraction isolates, by file."""
        return {
            name: sum(result.successes or 0 for result in results)
            for name, results in self.found.items()
        }


class Clinic:
    """People who join, leave and change; a seed makes the same every time."""

    def __init__(self, folder: Path, people: int, recoding: str, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.people: list[tuple[Any, ...]] = []
        self.serial = 0
        self.join(people)
        rules = LOOSE | {"distinct_l": 2, "recoding": recoding, "suppressed_records": 0.1}
        tiers = {
            "internal": {},
            "partner": rules | {"smallest_class": 5},
            "public": rules | {"smallest_class": 11},
        }
        self.case: Case = make_case(folder, self.table(), COLUMNS, tiers, recipients=COPIES)
        self.published: list[Earlier] = []

    def join(self, many: int) -> None:
        ages = np.clip(self.rng.normal(40, 18, many), 0, 99).astype(int)
        for age in ages:
            self.serial += 1
            self.people.append((f"p{self.serial}", int(age), *self._rest()))

    def _rest(self) -> tuple[str, ...]:
        pick = self.rng.choice
        return (
            str(pick(["f", "m"])),
            str(pick(["n1", "n2", "s1", "s2"])),
            str(pick(["flu", "cholera", "measles"], p=[0.5, 0.3, 0.2])),
            str(pick(["yes", "no"])),
        )

    def pass_a_month(self, joining: int, leaving: int, changing: int) -> None:
        gone = set(self.rng.choice(len(self.people), leaving, replace=False).tolist())
        self.people = [person for i, person in enumerate(self.people) if i not in gone]
        for i in self.rng.choice(len(self.people), changing, replace=False):
            self.people[i] = (*self.people[i][:2], *self._rest())
        self.join(joining)

    def table(self) -> dict[str, list[Any]]:
        return dict(zip(COLUMNS, map(list, zip(*self.people, strict=True)), strict=True))

    def release(self, number: int) -> Month:
        now = with_rows(self.case, self.table(), f"month {number}")
        run = f"run {number}"
        internal = now.derive(Tier.INTERNAL, run=run)
        made = {"partner": partner(now, *self._of(Tier.PARTNER), run=run)}
        for name in COPIES:
            made[name] = now.copy(
                name, made["partner"], internal, run, self._of(Tier.PARTNER, name)
            )
        made["public"] = now.derive(
            Tier.PUBLIC, made["partner"], run=run, earlier=self._of(Tier.PUBLIC)
        )
        found = {
            name: [
                subtracted(file, before, now.snapshot, now.loaded)
                for before in self._of(file.tier, file.recipient)
            ]
            for name, file in made.items()
        }
        self.published += [
            Earlier(f"clinic/{name}/v{number}", file, now.snapshot) for name, file in made.items()
        ]
        return Month(made, len(self.people), found)

    def _of(self, tier: Tier, recipient: str | None = None) -> list[Earlier]:
        return [each for each in self.published if each.is_of(tier, recipient)]
