"""A small dataset's config, snapshot and candidate, written by hand for the suites' tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from attack_case import green_attacks
from opening import opened_alone
from partner_case import write_partner

from expectations import judge, plainly, validate
from expectations.checks import Answer, Check
from expectations.disclosure import Rows
from expectations.frames import FileFrames
from expectations.listed import Frame
from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, load_config
from stepdown.reports import DeriveReport, RiskReport, Verdict
from stepdown.vocabulary import Tier

CONFIG = """
dataset: tests
title: Invented tests
contact: nobody@example.org
source: {path: raw.csv}
columns:
  person: {role: subject, partner: pseudonym}
  name: {role: direct_identifier}
  note: {role: free_text}
  age:
    role: quasi_identifier
    type: integer
    kind: age
    between: [0, 120]
  sex: {role: quasi_identifier, allowed: [female, male], hierarchy: {tree: {any: [female, male]}}}
  seen: {role: insensitive, because: a clinic's own calendar, override: no person's, type: date}
  result: {role: sensitive}
  weight: {role: weight, type: number}
tiers:
  internal: {}
  partner: {PARTNER}
  public: {PUBLIC}
"""

DAY = dt.date(2026, 1, 5)


@dataclass(frozen=True)
class Sample:
    """What a test gives to ``validate_tier``, and changes one thing of."""

    loaded: LoadedConfig
    candidate: Candidate
    risk: RiskReport
    scratch: Path

    def validate(self) -> tuple[Verdict, ...]:
        """The verdicts of the tier's suite."""
        with opened_alone(self.candidate, self.candidate.data, self.loaded) as opened:
            return validate.validate_tier(opened, self.risk, both_ways)

    def with_risk(self, **facts: Any) -> Sample:
        return replace(self, risk=replace(self.risk, **facts))

    def with_report(self, **facts: Any) -> Sample:
        report = replace(self.candidate.report, **facts)
        return replace(self, candidate=replace(self.candidate, report=report))


def both_ways(
    file: FileFrames, checks: Sequence[Check], rows: Mapping[Frame, Rows]
) -> dict[str, Answer]:
    """What Great Expectations answers; it passes every check where there is no doubt without it."""
    found = judge.answers(file, checks, rows)
    if plainly.all_pass(file, checks, rows):
        assert found == {check.name: Answer.PASSED for check in checks}
    return found


def write_config(folder: Path, partner: str = "{}", public: str = "{}") -> LoadedConfig:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tests.yaml"
    path.write_text(
        CONFIG.replace("{PARTNER}", partner).replace("{PUBLIC}", "{licence: CC0-1.0, " + public[1:])
    )
    write_partner(folder, "tests", ["person", "sex", "result"], "institute", reference="A1")
    return load_config(path)


def write_table(path: Path, columns: dict[str, tuple[pa.DataType, list[Any]]]) -> ArtifactRef:
    arrays = [pa.array(values, kind) for kind, values in columns.values()]
    table = pa.table(arrays, names=list(columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return ArtifactRef(str(path), sha256_of(path), table.num_rows)


def raw_columns(rows: int = 24) -> dict[str, tuple[pa.DataType, list[Any]]]:
    return {
        "person": (pa.string(), [f"p{i}" for i in range(rows)]),
        "name": (pa.string(), [f"Name {i}" for i in range(rows)]),
        "note": (pa.string(), [None] * rows),
        "age": (pa.int64(), [20 + i for i in range(rows)]),
        "sex": (pa.string(), ["female", "male"] * (rows // 2)),
        "seen": (pa.date32(), [DAY] * rows),
        "result": (pa.string(), ["positive", "negative"] * (rows // 2)),
        "weight": (pa.float64(), [1.5] * rows),
    }


def public_columns(rows: int = 24) -> dict[str, tuple[pa.DataType, list[Any]]]:
    return {
        "age": (pa.string(), ["[20, 25)"] * rows),
        "sex": (pa.string(), ["female"] * (rows // 2) + ["male"] * (rows // 2)),
        "seen": (pa.date32(), [DAY] * rows),
        "result": (pa.string(), ["positive", "negative"] * (rows // 2)),
    }


def make_sample(
    folder: Path,
    tier: Tier = Tier.PUBLIC,
    columns: dict[str, tuple[pa.DataType, list[Any]]] | None = None,
    recipient: str | None = None,
    partner: str = "{}",
    public: str = "{}",
) -> Sample:
    """A candidate that meets its suite, unless ``columns`` or the rules say otherwise."""
    loaded = write_config(folder / "configs", partner, public)
    data = write_table(
        folder / "data/part-00000.parquet", public_columns() if columns is None else columns
    )
    labels = [
        ("age", "20", 0, "20"),
        ("age", "20", 2, "[20, 25)"),
        ("age", None, 2, None),
        ("sex", "female", 0, "female"),
        ("sex", "male", 0, "male"),
        ("sex", "female", 1, "any"),
    ]
    hierarchies = write_table(
        folder / "hierarchies.parquet",
        {
            "column": (pa.string(), [row[0] for row in labels]),
            "leaf": (pa.string(), [row[1] for row in labels]),
            "level": (pa.int64(), [row[2] for row in labels]),
            "label": (pa.string(), [row[3] for row in labels]),
        },
    )
    report = DeriveReport(
        sha256=data.sha256,
        parent_sha256="0" * 64,
        rows=data.rows,
        parent_rows=25,
        levels={"age": 2, "sex": 0},
        top_levels={"age": 3, "sex": 2},
        dropped_columns={},
        suppressed_records=1,
        lost_to_consent=0,
        lost_to_rows_per_subject=0,
        suppressed_cells={},
        information_loss=0.25,
        lattice_size=12,
        nodes_checked=4,
        proven=True,
        gap=0.0,
    )
    risk = RiskReport(
        sha256=data.sha256,
        rows=data.rows,
        subjects=data.rows,
        classes=2,
        smallest_class=12,
        smallest_class_wildcard=12,
        highest_risk=1 / 12,
        average_risk=1 / 12,
        expected_reidentifications=0.24,
        expected_reidentifications_share=0.01,
        household_expected_reidentifications=None,
        household_linkable=False,
        smallest_trajectory_class=None,
        lone_trajectories=None,
        distinct_l={"result": 2},
        t={"result": 0.1},
        nested=True,
        nesting_problems=(),
        residue=0,
        residue_problems=(),
        rare_values=(),
        alone_share=0.0,
        attacks=green_attacks(data.sha256),
    )
    own = (pa.int64(), list(range(data.rows)))
    lineage = write_table(
        folder / "lineage.parquet",
        dict.fromkeys(("_row_id", "_subject_id"), own),
    )
    candidate = Candidate(tier, recipient, str(folder), data, lineage, hierarchies, report)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return Sample(loaded, candidate, risk, scratch)
