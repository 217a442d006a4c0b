"""Find what was ever published of a dataset, as files to compare a new candidate with."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import (
    DATA_FILES,
    HIERARCHIES_FILE,
    LINEAGE_FILE,
    PARENT_LINEAGE_FILE,
    Candidate,
    Earlier,
)
from stepdown.config import ReleaseConfig
from stepdown.config.weakened import weakened
from stepdown.errors import PolicyInvalid, StoreCorrupt
from stepdown.release.documents.documents import FULL_REPORT, read_full_report, read_kept_config
from stepdown.release.documents.manifest import MANIFEST, data_entries, read_manifest
from stepdown.release.ledger.ledger import Ledger, Reader
from stepdown.release.ledger.records import EventKind, Release
from stepdown.reports import DeriveReport
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import Workspace


def ever_published(ledger: Ledger, workspace: Workspace, dataset: str) -> list[Earlier]:
    """Every version of every tier and copy that was published once, oldest first.

    Superseded and withdrawn ones are among them: whoever fetched them still holds them. Where
    retention has deleted the source or the hierarchies, their tokens stand in for them.

    Raises:
        StoreCorrupt: the workspace no longer has the files of one. What it shows together with a
            new version cannot be measured then.
    """
    with ledger.reading() as reader:
        releases = [r for r in reader.releases(dataset) if r.published_at and r.version]
        deleted = deleted_files(reader)
        # Internal stays inside: nobody holds it beside anything, so it may have been deleted.
        known = [r for r in releases if r.tier is not Tier.INTERNAL or _is_kept(r, workspace)]
        return [_earlier(reader, release, workspace, deleted) for release in known]


def deleted_files(reader: Reader) -> dict[str, dict[str, str]]:
    """Path of a deleted file in the workspace → ``file`` in the memory, and ``sha256``, of the
    tokens that stand in for it."""
    lines = reader.facts(EventKind.DELETED)
    return {line["file"]: line["tokens"] for line in lines if line["tokens"]}


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


def weakened_since(
    ledger: Ledger, workspace: Workspace, config: ReleaseConfig
) -> dict[str, tuple[str, ...]]:
    """Compare a config with the one that the newest version ever published was made under.

    By tier, or ``partner/<recipient>``; a copy without an earlier version goes by its tier's.
    """
    with ledger.reading() as reader:
        out = [r for r in reader.releases(config.dataset) if r.published_at and r.version]
    newest = {(r.tier, r.recipient): in_place(r, workspace) for r in out}
    copies = [(Tier.PARTNER, name) for name in config.recipients]
    told = {}
    for tier, recipient in [*((tier, None) for tier in config.tier_names()), *copies]:
        release = newest.get((tier, recipient)) or newest.get((tier, None))
        if release is not None:
            name = f"{tier}/{recipient}" if recipient else tier.value
            told[name] = tuple(_weakened(release, config, tier))
    return told


def _weakened(release: Release, config: ReleaseConfig, tier: Tier) -> list[str]:
    try:
        before = read_kept_config(release.folder)
        return [f"less than {release.address}: {each}" for each in weakened(before, config, tier)]
    except (OSError, ValueError, PolicyInvalid):
        return [f"whether it asks less than {release.address} is unknown: its config is missing"]


def full_report(release: Release) -> dict[str, Any]:
    """The steward's report of a release, as it was written beside its candidate."""
    facts: dict[str, Any] = json.loads((Path(release.folder) / FULL_REPORT).read_bytes())
    return facts


def data_of(release: Release) -> ArtifactRef:
    """A release's data files in its folder, as its manifest there lists them.

    Raises:
        StoreCorrupt: they are not those that the ledger recorded.
    """
    folder, recorded = Path(release.folder), release.data_sha256 or ""
    path = folder / MANIFEST
    several = (folder / DATA_FILES.format(1)).is_file()
    if not path.is_file() and several:
        raise StoreCorrupt(
            "is missing, and only it lists the data files",
            where=str(path),
            next="Bring the workspace's folder back from a backup.",
        )
    manifest = read_manifest(path.read_bytes(), str(path)) if path.is_file() else None
    listed = data_entries(manifest.content) if manifest else []
    if len(listed) < 2 or manifest is None:
        return ArtifactRef(str(folder / DATA_FILES.format(0)), recorded, release.rows or 0)
    data = ArtifactRef.of(
        [
            ArtifactRef(str(folder / each["path"]), each["sha256"], each.get("rows", 0))
            for each in listed
        ]
    )
    same = release.manifest_sha256 in (None, manifest.sha256)
    if not same or (data.sha256, data.rows) != (recorded, release.rows or 0):
        raise StoreCorrupt(
            "does not list the data files that the ledger recorded",
            where=str(path),
            next="Find out who or what changed it.",
        )
    return data


def candidate_of(release: Release, hierarchies: ArtifactRef | None = None) -> Candidate:
    """A release's files in the workspace, and what its derivation reported.

    Args:
        hierarchies: where they are no longer in its folder. Else their hash is that of today's
            bytes: the ledger keeps none of theirs.
    """
    folder, rows = Path(release.folder), release.rows or 0
    if hierarchies is None:
        path = folder / HIERARCHIES_FILE
        hierarchies = ArtifactRef(str(path), sha256_of(path), 0)
    report = DeriveReport(**full_report(release)["derive"])
    above = ArtifactRef(
        str(folder / PARENT_LINEAGE_FILE), report.parent_lineage_sha256, report.parent_rows
    )
    return Candidate(
        release.tier,
        release.recipient,
        release.folder,
        data_of(release),
        ArtifactRef(str(folder / LINEAGE_FILE), release.lineage_sha256 or "", rows),
        hierarchies,
        report,
        above if above.sha256 else None,
    )


def ancestors(reader: Reader, release: Release) -> list[Release]:
    """A release, the one that it was made from, and so on up to internal."""
    chain = [release]
    while chain[-1].parent is not None:
        chain.append(reader.release(chain[-1].parent))
    return chain


def source_sha256(release: Release, root: Release) -> str:
    """Hash of the pinned source that a release goes back to.

    The release's own report says so, and where it is from before reports did, the internal one's at
    the root of its chain. They differ where a run found the tier above unchanged: what came of
    another source had the same bytes.
    """
    own = full_report(release)["derive"].get("snapshot_sha256")
    return str(own or full_report(root)["derive"]["parent_sha256"])


def snapshot_of(release: Release, root: Release, workspace: Workspace) -> ArtifactRef | None:
    """The pinned source that a release goes back to; None where it is not kept.

    Args:
        root: the internal release at the end of its chain.
    """
    sha256 = source_sha256(release, root)
    path = snapshot_path(workspace, release.dataset, sha256)
    if not path.is_file():
        return None
    return ArtifactRef(str(path), sha256, pq.read_metadata(path).num_rows)


def snapshot_path(workspace: Workspace, dataset: str, sha256: str) -> Path:
    """Where a pinned source of this hash is, if it is kept."""
    return workspace.snapshots / f"{dataset}-{sha256[:16]}.parquet"


def in_place(release: Release, workspace: Workspace) -> Release:
    """The release with its folder as it is now: a workspace may have been moved since."""
    folder = workspace.candidate(release.dataset, release.run, release.tier, release.recipient)
    return replace(release, folder=str(folder)) if folder.is_dir() else release


def _is_kept(release: Release, workspace: Workspace) -> bool:
    return _are_there(data_of(in_place(release, workspace)))


def _are_there(data: ArtifactRef) -> bool:
    return all(Path(file.path).is_file() for file in data.files)


def _tokens(
    workspace: Workspace, deleted: dict[str, dict[str, str]], gone: Path
) -> ArtifactRef | None:
    """The tokens that stand in for a file that retention deleted."""
    tokens = deleted.get(os.path.relpath(gone, workspace.root))
    path = workspace.memory / tokens["file"] if tokens else None
    if tokens is None or path is None or not path.is_file():
        return None
    return ArtifactRef(str(path), tokens["sha256"], pq.read_metadata(path).num_rows)


def _earlier(
    reader: Reader, release: Release, workspace: Workspace, deleted: dict[str, dict[str, str]]
) -> Earlier:
    release = in_place(release, workspace)
    folder = Path(release.folder)
    lacking = [n for n in (LINEAGE_FILE, FULL_REPORT) if not (folder / n).is_file()]
    if not _are_there(data_of(release)):
        lacking.append("data")
    root = in_place(ancestors(reader, release)[-1], workspace)
    snapshot = None
    if not lacking and (Path(root.folder) / FULL_REPORT).is_file():
        source = snapshot_path(workspace, release.dataset, source_sha256(release, root))
        snapshot = snapshot_of(release, root, workspace) or _tokens(workspace, deleted, source)
    hierarchies = folder / HIERARCHIES_FILE
    if not lacking and not hierarchies.is_file():
        stand_in = _tokens(workspace, deleted, hierarchies)
        if stand_in and snapshot:
            return Earlier(release.address, candidate_of(release, stand_in), snapshot)
        lacking.append(HIERARCHIES_FILE)
    if lacking or snapshot is None:
        what = ", ".join(lacking) or "its snapshot"
        raise StoreCorrupt(
            f"{release.address} was published, and the workspace no longer has {what}: what it "
            "shows beside a new version cannot be measured",
            where=str(folder),
            next="Bring the workspace back from its backup.",
        )
    return Earlier(release.address, candidate_of(release), snapshot)
