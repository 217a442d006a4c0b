"""A small dataset whose three tiers and one copy are written by hand, ready for the gate."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from all_documents import write_documents
from attack_case import green_attacks
from governance_case import govern, key_of, words
from partner_case import write_partner

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, load_config, tier_policy
from stepdown.release.decisions.approvals import approve, reject
from stepdown.release.documents.documents import tier_report
from stepdown.release.documents.gate import Decision, judge
from stepdown.release.ledger.ledger import Ledger, open_ledger
from stepdown.release.ledger.store import Store, open_store
from stepdown.release.publishing.submit import SubmissionResult, submit
from stepdown.reports import DeriveReport, RiskReport, Verdict
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import Workspace, open_workspace

CONFIG = """
dataset: wells
title: People and the wells they use
contact: steward@example.org
source: {path: raw.csv}
columns:
  person: {role: subject}
  age: {role: quasi_identifier, type: integer, kind: age}
  illness: {role: sensitive}
tiers:
  internal: {}
  partner: {sign_off: {roles: [owner], people: 1}}
  public: {licence: CC-BY-4.0}
"""

AS_OF = dt.date(2026, 11, 1)
GREEN = (Verdict("suite_check", True, "as expected"),)


def green_derive(sha256: str = "d", rows: int = 40, **facts: Any) -> DeriveReport:
    known: dict[str, Any] = {
        "sha256": sha256,
        "parent_sha256": "p",
        "rows": rows,
        "parent_rows": rows,
        "levels": {"age": 1},
        "top_levels": {"age": 3},
        "dropped_columns": {},
        "suppressed_records": 0,
        "lost_to_consent": 0,
        "lost_to_rows_per_subject": 0,
        "suppressed_cells": {},
        "information_loss": 0.2,
        "lattice_size": 4,
        "nodes_checked": 2,
        "proven": True,
        "gap": 0.0,
    }
    return DeriveReport(**(known | facts))


def green_risk(sha256: str = "d", rows: int = 40, **facts: Any) -> RiskReport:
    known: dict[str, Any] = {
        "sha256": sha256,
        "rows": rows,
        "subjects": rows,
        "classes": 2,
        "smallest_class": 20,
        "smallest_class_wildcard": 20,
        "highest_risk": 0.05,
        "average_risk": 0.05,
        "expected_reidentifications": 1.0,
        "expected_reidentifications_share": 0.025,
        "household_expected_reidentifications": None,
        "household_linkable": False,
        "smallest_trajectory_class": None,
        "lone_trajectories": None,
        "distinct_l": {"illness": 2},
        "t": {"illness": 0.1},
        "nested": True,
        "nesting_problems": (),
        "residue": 0,
        "residue_problems": (),
        "rare_values": (),
        "alone_share": 0.0,
        "attacks": green_attacks(sha256),
    }
    return RiskReport(**(known | facts))


@dataclass
class Case:
    """A workspace, a store and the runs made in them.

    Args:
        beside: more columns that the config knows, all insensitive.
        store_url: of the store, a folder beside the workspace where none is given.
        part_rows: most rows of a data file.
    """

    root: Path
    beside: tuple[str, ...] = ()
    store_url: str = ""
    runs: int = 0
    part_rows: int = 1_000_000
    parents: dict[str, Candidate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / "wells.yaml"
        if not path.exists():
            insensitive = "{role: insensitive, because: made up}"
            more = "".join(f"  {json.dumps(name)}: {insensitive}\n" for name in self.beside)
            path.write_text(CONFIG.replace("tiers:\n", f"{more}tiers:\n"))
            govern(self.root, "wells")
            write_partner(self.root, "wells", ["age", "illness"])
        self.loaded: LoadedConfig = load_config(path)
        url = self.store_url or str(self.root / "store")
        self.workspace: Workspace = open_workspace(self.root / "work", url)
        self.store: Store = open_store(url)
        self.runs = len(list((self.workspace.candidates / "wells").glob("*")))

    @property
    def ledger(self) -> Ledger:
        return open_ledger(self.workspace)

    def candidate(
        self,
        tier: Tier,
        recipient: str | None = None,
        age: str = "[20, 25)",
        parent: str = "p",
        columns: dict[str, pa.Array] | None = None,
    ) -> Candidate:
        """A file of 40 rows, or of these columns; another ``age`` makes other bytes."""
        self.runs += 1
        run = f"run-{self.runs}-{os.getpid()}"
        folder = self.workspace.candidate("wells", run, tier, recipient)
        columns = columns or {"age": pa.array([age] * 40), "illness": pa.array(["a", "b"] * 20)}
        table = pa.table(columns)
        data = ArtifactRef.of(
            [
                _write(folder / f"data/part-{number:05}.parquet", part)
                for number, part in enumerate(_cut(table, self.part_rows))
            ]
        )
        rows = pa.array(range(data.rows), pa.int64())
        names = ("_row_id", "_subject_id")
        lineage = _write(folder / "lineage.parquet", dict.fromkeys(names, rows))
        texts = pa.array([], pa.string())
        hierarchies = _write(folder / "hierarchies.parquet", {"column": texts})
        report = green_derive(data.sha256, data.rows, parent_sha256=parent)
        return Candidate(tier, recipient, str(folder), data, lineage, hierarchies, report)

    def judge(self, candidate: Candidate, **facts: Any) -> tuple[RiskReport, Decision]:
        risk = green_risk(candidate.data.sha256, candidate.data.rows, **facts)
        policy = tier_policy(self.loaded.config, candidate.tier)
        return risk, judge(candidate.report, risk, GREEN, policy, candidate.data.sha256)

    def submit(
        self,
        tier: Tier,
        recipient: str | None = None,
        *,
        age: str = "[20, 25)",
        columns: dict[str, pa.Array] | None = None,
        parent: str | None = None,
        as_of: dt.date = AS_OF,
        actor: str = "tester",
        **facts: Any,
    ) -> SubmissionResult:
        """Write a candidate, judge it, submit it; ``facts`` change the risk report."""
        above = "p"
        if parent is not None:
            with self.ledger.reading() as reader:
                known = {r.address: r for r in reader.releases()}
            above = known[parent].data_sha256 or ""
        candidate = self.candidate(tier, recipient, age, above, columns)
        risk, decision = self.judge(candidate, **facts)
        report = tier_report(self.loaded, candidate, risk)
        return submit(
            self.workspace,
            self.store,
            self.loaded,
            candidate,
            write_documents(self.loaded, candidate, report, decision, as_of),
            run=Path(candidate.folder).parts[-2 if recipient is None else -3],
            as_of=as_of,
            parent=parent,
            actor=actor,
        )

    def approve(
        self, address: str, role: str = "owner", reason: str = "looked at it"
    ) -> SubmissionResult:
        """Sign as the person in a role, who has looked at whatever waits there now."""
        with self.ledger.reading() as reader:
            nth = next((r.candidate for r in reader.releases() if r.address == address), 1)
        places, key = (self.workspace, self.store), key_of(role)
        return approve(*places, address, key, words(role, reason), candidate=nth)

    def reject(self, address: str, reason: str, role: str = "owner") -> SubmissionResult:
        """Turn it down as the person in a role."""
        return reject(self.workspace, self.store, address, key_of(role), words(role, reason))

    def state(self, address: str) -> ReleaseState:
        with self.ledger.reading() as reader:
            return next(r.state for r in reader.releases() if r.address == address)

    def live(self, series: str) -> str | None:
        """What a plain reader finds through ``current.json``."""
        release: str | None = json.loads(self.store.read(f"{series}/current.json"))["release"]
        return release


def _cut(table: pa.Table, rows: int) -> list[pa.Table]:
    starts = range(0, max(1, table.num_rows), rows)
    return [table.slice(start, rows) for start in starts]


def _write(path: Path, columns: dict[str, pa.Array] | pa.Table) -> ArtifactRef:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, path)
    return ArtifactRef(str(path), sha256_of(path), table.num_rows)
