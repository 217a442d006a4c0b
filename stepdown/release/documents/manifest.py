"""Write and read the manifest: each file of a release with its hash, for approvals to sign.

Content only: no clock, no path of a machine, no approval, and nothing of the source or of the tier
above, whose hash would confirm a guess of what was withheld. Equal releases have equal manifests,
whatever they were made from; what that was is in the ledger.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import stepdown
from stepdown.artifacts import (
    ArtifactRef,
    canonical_json,
    check_bytes,
    sha256_of,
    write_durably,
)
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, released_hash
from stepdown.errors import StoreCorrupt
from stepdown.release.documents.data_package import file_schema
from stepdown.release.documents.documents import (
    PUBLISHED,
)
from stepdown.release.documents.gate import Decision
from stepdown.release.documents.report_facts import public_checks

MANIFEST = "manifest.json"
_LIBRARIES = ("duckdb", "pyarrow", "numpy", "faker", "vl-convert-python")
"""Those whose version can change a byte of the data or of a drawing."""


@dataclass(frozen=True)
class Manifest:
    """A manifest as it is written, and its hash."""

    content: dict[str, Any]
    sha256: str

    @property
    def files(self) -> dict[str, str]:
        """Path in the release → SHA-256, the manifest's own file not among them."""
        return {entry["path"]: entry["sha256"] for entry in self.content["files"]}


def data_entries(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a manifest that are data, in the order of their rows."""
    return [entry for entry in content["files"] if entry["path"].endswith(".parquet")]


def write_manifest(
    loaded: LoadedConfig, candidate: Candidate, decision: Decision, as_of: dt.date
) -> Manifest:
    """Write the manifest, which names every file of the release, beside the judged documents.

    Raises:
        StoreCorrupt: the data file or a document is not the one that was judged.
    """
    check_bytes(candidate.data)
    for name in PUBLISHED:
        _check_file(candidate.path / name, decision.documents.get(name), "that were judged")
    content = build_manifest(loaded, candidate, decision, as_of)
    raw = canonical_json(content)
    write_durably(candidate.path / MANIFEST, raw)
    return Manifest(content, hashlib.sha256(raw).hexdigest())


def build_manifest(
    loaded: LoadedConfig, candidate: Candidate, decision: Decision, as_of: dt.date
) -> dict[str, Any]:
    """The manifest's content, of the files that are in the candidate's folder now."""
    data = candidate.data.files
    schema = file_schema(candidate)
    return {
        "manifest_version": 2,
        "dataset": loaded.config.dataset,
        "tier": candidate.tier.value,
        "recipient": candidate.recipient,
        "title": loaded.config.title,
        "as_of": as_of.isoformat(),
        "config_sha256": released_hash(
            loaded.config,
            candidate.tier,
            [column["name"] for column in schema],
            candidate.recipient,
        ),
        "rows": candidate.data.rows,
        "columns": schema,
        "files": sorted(
            [
                *(_data_entry(candidate.path, part, alone=len(data) == 1) for part in data),
                *(_entry(candidate.path, name) for name in PUBLISHED),
            ],
            key=lambda entry: entry["path"],
        ),
        "decision": {
            "outcome": decision.outcome.value,
            "checks": public_checks(loaded.config, candidate, decision),
        },
        "versions": {
            "stepdown": stepdown.__version__,
            **{name: version(name) for name in _LIBRARIES},
        },
    }


def read_manifest(raw: bytes, where: str, sha256: str | None = None) -> Manifest:
    """A manifest from its bytes.

    Raises:
        StoreCorrupt: the bytes are no manifest, or not the one with this hash.
    """
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256:
        raise StoreCorrupt(
            f"the manifest's SHA-256 is {found}, {sha256} was recorded",
            where=where,
            next="Find out who or what changed it; withdraw the release if it was published.",
        )
    try:
        content = json.loads(raw)
        manifest = Manifest(content, found)
        _ = manifest.files
    except (ValueError, KeyError, TypeError):
        raise StoreCorrupt("is not a manifest", where=where) from None
    return manifest


def check_candidate(folder: Path, sha256: str, *, documents_only: bool = False) -> Manifest:
    """The manifest of a candidate, after every byte it names was hashed again.

    Args:
        documents_only: the data are not in the folder; those who sign a report need not hold them.

    Raises:
        StoreCorrupt: a file is missing or changed since the manifest was written.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreCorrupt(
            "the candidate is missing", where=str(path), next="Run the release again."
        )
    manifest = read_manifest(path.read_bytes(), str(path), sha256)
    for name, expected in manifest.files.items():
        file = folder / name
        if documents_only and name.endswith(".parquet"):
            continue
        _check_file(file, expected, "in the manifest")
    return manifest


def _check_file(file: Path, expected: str | None, told: str) -> None:
    if not file.is_file() or sha256_of(file) != expected:
        raise StoreCorrupt(
            f"the file is missing or its bytes are not those {told}",
            where=str(file),
            next="Run the release again; find out who or what changed the file.",
        )


def _data_entry(folder: Path, part: ArtifactRef, *, alone: bool) -> dict[str, Any]:
    """A data file; where there are several, with its rows."""
    entry = _entry(folder, Path(part.path).relative_to(folder).as_posix())
    return entry if alone else {**entry, "rows": part.rows}


def _entry(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    return {"path": name, "bytes": file.stat().st_size, "sha256": sha256_of(file)}
