"""A tiny dataset, its config and its keyring, from a table and a few words per column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from partner_case import partner_facts

from stepdown.anonymise.tiers.derive import derive_copy, derive_tier
from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import Candidate, Earlier
from stepdown.config import LoadedConfig, ReleaseConfig
from stepdown.config.partners import Partner
from stepdown.keyring import Keyring
from stepdown.opened import open_source
from stepdown.vocabulary import Tier

AS_OF = date(2026, 3, 1)
KEYS = {f"clinic/{name}/1": bytes([i + 1]) * 32 for i, name in enumerate(
    ["internal", "partner", "public", "partner/ministry", "partner/university", "draws"]
)}  # fmt: skip
LOOSE = {
    "smallest_class": 1,
    "distinct_l": 1,
    "t_closeness": 1.0,
    "expected_reidentifications": 1.0,
    "suppressed_records": 1.0,
    "because": "a test of something else",
}
"""Rules of a tier that ask for nothing."""


@dataclass
class Case:
    """One dataset in a folder of its own."""

    loaded: LoadedConfig
    snapshot: ArtifactRef
    folder: Path
    keyring: Keyring

    def derive(
        self,
        tier: Tier,
        parent: Candidate | None = None,
        run: str = "run",
        earlier: Sequence[Earlier] = (),
    ) -> Candidate:
        folder = self.folder / run / tier
        with self.rows(tier, parent) as rows:
            return derive_tier(rows, self.keyring, folder, earlier)

    @contextmanager
    def rows(self, tier: Tier, parent: Candidate | None = None) -> Iterator[TierRows]:
        with (
            open_source(self.snapshot, self.loaded, self.folder) as source,
            TierRows(source, tier, parent) as rows,
        ):
            yield rows

    def copy(
        self,
        recipient: str,
        base: Candidate,
        internal: Candidate,
        run: str = "copies",
        earlier: Sequence[Earlier] = (),
    ) -> Candidate:
        folder = self.folder / run / recipient
        with open_source(self.snapshot, self.loaded, self.folder) as source:
            return derive_copy(source, recipient, base, internal, self.keyring, folder, earlier)


def make_case(
    folder: Path,
    rows: dict[str, list[Any]] | pa.Table,
    columns: dict[str, dict[str, Any]],
    tiers: dict[str, Any] | None = None,
    keys: dict[str, bytes] | None = None,
    recipients: dict[str, list[str]] | None = None,
) -> Case:
    """Columns default to the role insensitive."""
    table = rows if isinstance(rows, pa.Table) else pa.table(rows)
    stated = {name: {"role": "insensitive", "because": "test"} | columns[name] for name in columns}
    config = ReleaseConfig.model_validate(
        {
            "dataset": "clinic",
            "title": "A test",
            "contact": "steward@example.org",
            "source": {"path": "raw.csv"},
            "columns": stated,
            "tiers": tiers or {"internal": {}},
            "recipients": {
                name: Partner.model_validate(partner_facts("clinic", agreed, name)).as_recipient(
                    "clinic"
                )
                for name, agreed in (recipients or {}).items()
            },
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "snapshot.parquet"
    pq.write_table(table.select(list(columns)), path)
    snapshot = ArtifactRef(str(path), sha256_of(path), table.num_rows)
    loaded = LoadedConfig(config, folder / "clinic.yaml")
    return Case(loaded, snapshot, folder, Keyring(KEYS if keys is None else keys))


def released(candidate: Candidate) -> dict[str, list[Any]]:
    return dict(pq.read_table(candidate.data.path).to_pydict())


def lineage(candidate: Candidate) -> dict[str, list[int]]:
    """Places in the file, the tier above and the snapshot, and the data subject, of every row."""
    ids, subjects = pq.read_table(candidate.lineage.path).to_pydict().values()
    above = ids if candidate.parent_lineage is None else ids_in(candidate.parent_lineage)
    # Ids count a snapshot's rows, so internal's parent has them as its places.
    places = {row_id: place for place, row_id in enumerate(above)}
    parents = ids if candidate.parent_lineage is None else [places[row_id] for row_id in ids]
    return {
        "row": list(range(len(ids))),
        "parent_row": parents,
        "source_row": ids,
        "subject": subjects,
    }


def ids_in(lineage: ArtifactRef) -> list[int]:
    return list(pq.read_table(lineage.path)["_row_id"].to_pylist())
