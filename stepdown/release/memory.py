"""What was ever published of a dataset, as files that can be held beside a new candidate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import DATA_FILE, HIERARCHIES_FILE, LINEAGE_FILE, Candidate, Earlier
from stepdown.errors import StoreCorrupt
from stepdown.release.documents import FULL_REPORT, read_full_report
from stepdown.release.ledger import Ledger, Reader, Release
from stepdown.reports import DeriveReport
from stepdown.vocabulary import ReleaseState
from stepdown.workspace import Workspace


def ever_published(ledger: Ledger, workspace: Workspace, dataset: str) -> list[Earlier]:
    """Every version of every tier and copy that was published once, oldest first.

    Superseded and withdrawn ones are among them: whoever fetched them still holds them.

    Raises:
        StoreCorrupt: the workspace no longer has the files of one. What it shows together with a
            new version cannot be measured then.
    """
    with ledger.reading() as reader:
        releases = [r for r in reader.releases(dataset) if r.published_at and r.version]
        return [_earlier(reader, release, workspace) for release in releases]


def live_reports(ledger: Ledger, workspace: Workspace, dataset: str) -> dict[str, dict[str, Any]]:
    """The full report of every live release, by tier or ``partner/<recipient>``.

    It is for comparison: one that can no longer be read is left out.
    """
    with ledger.reading() as reader:
        live = [r for r in reader.releases(dataset) if r.state is ReleaseState.PUBLISHED]
    reports = {}
    for release in live:
        name = f"{release.tier}/{release.recipient}" if release.recipient else release.tier.value
        report = read_full_report(in_place(release, workspace).folder)
        if report is not None:
            reports[name] = report
    return reports


def full_report(release: Release) -> dict[str, Any]:
    """The steward's report of a release, as it was written beside its candidate."""
    facts: dict[str, Any] = json.loads((Path(release.folder) / FULL_REPORT).read_bytes())
    return facts


def candidate_of(release: Release) -> Candidate:
    """A release's files and what its derivation reported, as they lie in the workspace.

    The hash of its hierarchies is that of today's bytes: the ledger keeps none of theirs.
    """
    folder, rows = Path(release.folder), release.rows or 0
    hierarchies = folder / HIERARCHIES_FILE
    return Candidate(
        release.tier,
        release.recipient,
        release.folder,
        ArtifactRef(str(folder / DATA_FILE), release.data_sha256 or "", rows),
        ArtifactRef(str(folder / LINEAGE_FILE), release.lineage_sha256 or "", rows),
        ArtifactRef(str(hierarchies), sha256_of(hierarchies), 0),
        DeriveReport(**full_report(release)["derive"]),
    )


def ancestors(reader: Reader, release: Release) -> list[Release]:
    """A release, the one that it was made from, and so on up to internal."""
    chain = [release]
    while chain[-1].parent is not None:
        chain.append(reader.release(chain[-1].parent))
    return chain


def snapshot_of(internal: Release, workspace: Workspace) -> ArtifactRef | None:
    """The pinned source that an internal release was made from; None where it is not kept."""
    sha256 = str(full_report(internal)["derive"]["parent_sha256"])
    path = workspace.snapshots / f"{internal.dataset}-{sha256[:16]}.parquet"
    if not path.is_file():
        return None
    return ArtifactRef(str(path), sha256, pq.read_metadata(path).num_rows)


def in_place(release: Release, workspace: Workspace) -> Release:
    """The release with its folder as it is now: a workspace may have been moved since."""
    folder = workspace.candidate(release.dataset, release.run, release.tier, release.recipient)
    return replace(release, folder=str(folder)) if folder.is_dir() else release


def _earlier(reader: Reader, release: Release, workspace: Workspace) -> Earlier:
    release = in_place(release, workspace)
    folder = Path(release.folder)
    lacking = [n for n in (DATA_FILE, LINEAGE_FILE, HIERARCHIES_FILE) if not (folder / n).is_file()]
    root = in_place(ancestors(reader, release)[-1], workspace)
    snapshot = None
    if not lacking and (Path(root.folder) / FULL_REPORT).is_file():
        snapshot = snapshot_of(root, workspace)
    if lacking or snapshot is None:
        what = ", ".join(lacking) or "its snapshot"
        raise StoreCorrupt(
            f"{release.address} was published, and the workspace no longer has {what}: what it "
            "shows beside a new version cannot be measured",
            where=str(folder),
            next="Bring the workspace back from its backup.",
        )
    return Earlier(release.address, candidate_of(release), snapshot)
