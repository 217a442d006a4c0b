"""A release's data and the metadata beside it, written without a gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from partner_case import write_partner
from release_case import green_derive

from stepdown.artifacts import ArtifactRef, canonical_json, sha256_of
from stepdown.candidate import Candidate
from stepdown.config import load_config
from stepdown.release.documents.data_package import data_package, file_schema
from stepdown.release.documents.description import Description, describe
from stepdown.release.documents.metadata import metadata_files
from stepdown.vocabulary import Tier

CONFIG = """
dataset: wells
title: |
  Wells "in use",
  Brunnen in Österreich
description: Who fetches water where – 漢字.
contact: steward@example.org
creators:
  - {name: "Muster, Ann", orcid: 0000-0002-1825-0097}
  - {name: Water Board, kind: organisation}
publisher: Wasser für alle e.V.
keywords: [wells, Brunnen]
source: {path: raw.csv}
columns:
  person: {role: subject}
  age:
    role: quasi_identifier
    type: integer
    description: In years
    hierarchy: {intervals: [{width: 5}]}
  illness: {role: sensitive, description: "Told by \\"the nurse\\""}
  water drawn, in l: {role: insensitive, type: number, because: no harm}
  Größe: {role: insensitive, type: integer, because: no harm}
  dug: {role: insensitive, type: date, because: no harm, override: a test}
  seen: {role: insensitive, type: timestamp, because: no harm, override: a test}
  dry: {role: insensitive, type: boolean, because: no harm}
tiers: {partner: {}, public: {licence: CC-BY-4.0, doi: 10.5281/zenodo.1}}
"""
BARE = """
dataset: wells
title: Wells
contact: The steward
source: {path: raw.csv}
columns:
  age: {role: quasi_identifier, type: integer, hierarchy: {intervals: [{width: 5}]}}
"""
PUBLISHED_AT = "2026-11-27T15:08:45+00:00"


def write_release(
    folder: Path,
    columns: dict[str, pa.Array],
    config: str = CONFIG,
    tier: Tier = Tier.PUBLIC,
    recipient: str | None = None,
    part_rows: int = 1_000_000,
) -> tuple[Path, Description]:
    """A folder with data, ``datapackage.json`` and the metadata files; and what they say."""
    folder.mkdir(parents=True)
    (folder / "wells.yaml").write_text(config, encoding="utf-8")
    if recipient:
        write_partner(folder, "wells", list(columns), recipient)
    loaded = load_config(folder / "wells.yaml").config
    release = folder / "release"
    (release / "data").mkdir(parents=True)
    table = pa.table(columns)
    parts = []
    for start in range(0, max(1, table.num_rows), part_rows):
        data = release / "data" / f"part-{len(parts):05}.parquet"
        part = table.slice(start, part_rows)
        pq.write_table(part, data)
        parts.append(ArtifactRef(str(data), sha256_of(data), part.num_rows))
    ref = ArtifactRef.of(parts)
    candidate = Candidate(tier, recipient, str(release), ref, ref, ref, green_derive(ref.sha256))
    told = [
        column | {"description": loaded.columns[column["name"]].description}
        for column in file_schema(candidate)
    ]
    package = data_package(loaded, candidate, told)
    (release / "datapackage.json").write_bytes(canonical_json(package))
    files = [
        {
            "path": Path(part.path).relative_to(release).as_posix(),
            "bytes": Path(part.path).stat().st_size,
            "sha256": part.sha256,
        }
        for part in parts
    ]
    address = ["wells", tier.value, *filter(None, [recipient]), "v3"]
    document: dict[str, Any] = {
        "release": "/".join(address),
        "version": "v3",
        "tier": tier.value,
        "published_at": PUBLISHED_AT,
    }
    described = describe(package, {"files": files}, document)
    for name, content in metadata_files(described).items():
        (release / name).write_bytes(content)
    return release, described
