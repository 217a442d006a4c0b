"""A tiny dataset and a partner candidate of it by hand, so that a test may spoil one thing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from partner_case import write_partner

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, load_config
from stepdown.opened import Opened, open_candidate
from stepdown.reports import DeriveReport, RiskReport
from stepdown.risk.assess import assess_risk
from stepdown.vocabulary import Tier

R = TypeVar("R")

LOOSE = (
    "{licence: CC0-1.0, smallest_class: 2, distinct_l: 1, t_closeness: 1, "
    "expected_reidentifications: 1, "
    "suppressed_records: 1, information_loss: 1, because: a test}"
)
CONFIG = f"""
dataset: people
title: Invented people
contact: nobody@example.org
source: {{path: raw.csv}}
columns:
  person: {{role: subject, partner: pseudonym}}
  name: {{role: direct_identifier}}
  phone: {{role: direct_identifier, internal: pseudonym}}
  note: {{role: free_text}}
  house: {{role: household}}
  age: {{role: quasi_identifier, type: integer, hierarchy: {{intervals: [{{width: 10}}]}}}}
  sex: {{role: quasi_identifier, partner: keep}}
  income: {{role: sensitive, type: number, partner: {{code: {{round: 10, top: 100}}}}}}
  seen: {{role: insensitive, type: date, because: a test, partner: {{date: month}},
    public: {{date: year}}}}
  zip: {{role: insensitive, because: a test, partner: {{prefix: 2}}}}
  result:
    role: sensitive
    not_sensitive: [invalid]
    partner: {{suppress_cells: {{fewer_than: 2}}}}
  weight: {{role: weight, type: number}}
tiers: {{internal: {{}}, partner: {LOOSE}, public: {LOOSE}}}
"""
REPORT = DeriveReport("", "", 0, 0, {}, {}, {}, 0, 0, 0, {}, 0.0, 0, 0, True, 0.0)


def snapshot_columns() -> dict[str, list[Any]]:
    """Six rows of five people in three households; the last row is in no release."""
    return {
        "person": ["P-00001", "P-00002", "P-00003", "P-00004", "P-00004", "P-00005"],
        "name": ["Ann Ames", "Bob Brontosaur", "Cy Cole", "Di Dunn", "Di Dunn", "Ed Evergreen"],
        "phone": ["555-010-1001", "555-010-1002", "555-010-1003", None, None, "555-010-1005"],
        "note": [None, "called her uncle Tobias on Monday", None, None, "fine", None],
        "house": ["H1", "H1", "H2", "H2", "H2", "H3"],
        "age": [31, 35, 42, 44, 47, 80],
        "sex": ["f", "f", "m", "m", "m", "f"],
        "income": [12.0, 18.0, 50.0, 51.0, 140.0, 7.0],
        "seen": [dt.date(2026, 1, day) for day in (3, 9, 10, 11, 12, 30)],
        "zip": ["12345", "12346", "13001", "13002", "13003", "99999"],
        "result": ["negative", "positive", "invalid", "negative", "negative", "rare"],
        "weight": [10.0, 20.0, 30.0, 40.0, 40.0, 50.0],
    }


def partner_columns() -> dict[str, list[Any]]:
    """The first five rows as partner may have them."""
    return {
        "age": ["30-39", "30-39", "40-49", "40-49", "40-49"],
        "sex": ["f", "f", "m", "m", "m"],
        "income": [10.0, 20.0, 50.0, 50.0, 100.0],
        "seen": [dt.date(2026, 1, 1)] * 5,
        "zip": ["12", "12", "13", "13", "13"],
        "result": ["negative", None, "invalid", "negative", "negative"],
        "weight": [10.0, 20.0, 30.0, 40.0, 40.0],
    }


@dataclass
class RiskCase:
    """What ``assess_risk`` needs; change a part, then ``assess``."""

    folder: Path
    config: str = CONFIG
    snapshot: dict[str, list[Any]] = field(default_factory=snapshot_columns)
    parent: dict[str, list[Any]] = field(default_factory=snapshot_columns)
    data: dict[str, list[Any]] = field(default_factory=partner_columns)
    parent_row: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    source_row: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    subject: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 3])
    tier: Tier = Tier.PARTNER
    recipient: str | None = None
    types: dict[str, pa.DataType] = field(default_factory=dict)
    ancestors: dict[str, dict[Any, tuple[str, ...]]] = field(
        default_factory=lambda: {
            "age": {str(a): (f"{a // 10 * 10}-{a // 10 * 10 + 9}", "*") for a in range(90)}
        }
    )

    def loaded(self) -> LoadedConfig:
        path = self.folder / "config.yaml"
        path.write_text(self.config)
        columns = ["person", "age", "sex", "result"]
        write_partner(self.folder, "people", columns, "institute", reference="A1")
        return load_config(path)

    def snapshot_ref(self) -> ArtifactRef:
        return write(self.folder / "snapshot.parquet", pa.table(self.snapshot))

    def candidate(self) -> Candidate:
        data = pa.table(
            {name: pa.array(values, self.types.get(name)) for name, values in self.data.items()}
        )
        lineage = lineage_table(self.source_row, self.subject)
        # A row above that the file lacks is one of the source's, too, and nobody knows whose.
        own = zip(self.source_row, self.subject, strict=True)
        made = dict(zip(self.parent_row, own, strict=True))
        height = max(len(cells) for cells in self.parent.values())
        names = [made.get(row, (10_000 + row, None)) for row in range(height)]
        above = lineage_table(*([name[i] for name in names] for i in (0, 1)))
        long = [
            {"column": column, "leaf": leaf, "level": level, "label": label}
            for column, leaves in self.ancestors.items()
            for leaf, labels in leaves.items()
            for level, label in enumerate((leaf, *labels))
        ]
        texts = ("column", "leaf", "label")
        schema = pa.schema([(c, pa.string()) for c in texts]).append(pa.field("level", pa.int64()))
        return Candidate(
            tier=self.tier,
            recipient=self.recipient,
            folder=str(self.folder),
            data=write(self.folder / "data" / "part-00000.parquet", data),
            lineage=write(self.folder / "lineage.parquet", lineage),
            hierarchies=write(
                self.folder / "hierarchies.parquet", pa.Table.from_pylist(long, schema)
            ),
            report=REPORT,
            parent_lineage=write(self.folder / "above.parquet", above),
        )

    def assess(self) -> RiskReport:
        return self.measure(assess_risk)

    def measure(self, measure: Callable[[Opened], R], candidate: Candidate | None = None) -> R:
        """What a measure finds in the candidate, or in another one."""
        parent = write(self.folder / "parent.parquet", pa.table(self.parent))
        made, snapshot = candidate or self.candidate(), self.snapshot_ref()
        with open_candidate(made, parent, snapshot, self.loaded(), self.folder) as opened:
            return measure(opened)


def lineage_table(row_ids: Iterable[int], subjects: Iterable[int | None]) -> pa.Table:
    """Whose the rows of a file are, in their order."""
    columns = {"_row_id": list(row_ids), "_subject_id": list(subjects)}
    return pa.table({name: pa.array(ids, pa.int64()) for name, ids in columns.items()})


def write(path: Path, table: pa.Table, **options: Any) -> ArtifactRef:
    """Clean Parquet and its reference."""
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, **({"store_schema": False} | options))
    return ArtifactRef(str(path), sha256_of(path), table.num_rows)
