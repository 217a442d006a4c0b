"""A case whose public release is a table of the test's own, of any size."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from governance_case import govern
from partner_case import write_partner
from release_case import CONFIG, Case, green_derive

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import Candidate
from stepdown.vocabulary import Tier


@dataclass
class LargeCase(Case):
    """Releases of 40 rows above public.

    Args:
        table: of public; ``age`` and ``illness``, and what ``types`` names.
        types: more columns and their types.
        written: options of the Parquet file.
    """

    table: pa.Table | None = None
    types: dict[str, str] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True)
        why = "because: made up, override: made up"
        more = "".join(
            f"  {name}: {{role: insensitive, type: {kind}, {why}}}\n"
            for name, kind in self.types.items()
        )
        (self.root / "wells.yaml").write_text(CONFIG.replace("tiers:\n", f"{more}tiers:\n"))
        govern(self.root, "wells")
        write_partner(self.root, "wells", ["age", "illness"])
        super().__post_init__()

    def candidate(
        self,
        tier: Tier,
        recipient: str | None = None,
        age: str = "[20, 25)",
        parent: str = "p",
        columns: dict[str, pa.Array] | None = None,
    ) -> Candidate:
        made = super().candidate(tier, recipient, age, parent, columns)
        if tier is not Tier.PUBLIC:
            return made
        path, rows = Path(made.data.path), self.table.num_rows
        pq.write_table(self.table, path, **self.written)
        data = ArtifactRef(str(path), sha256_of(path), rows)
        report = green_derive(data.sha256, rows, parent_sha256=parent)
        return Candidate(tier, recipient, made.folder, data, made.lineage, made.hierarchies, report)
