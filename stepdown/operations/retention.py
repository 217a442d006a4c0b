"""Delete what is no longer needed: raw snapshots, readings of the register, old candidates.

What was ever published is remembered as tokens first (``anonymise/tiers/source_tokens.py``), so
that later versions are held against it as if nothing had been deleted. The ledger's line comes
before the file goes: a run that is killed in between leaves a file that the next call deletes.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stepdown.anonymise.tiers.keys import next_name
from stepdown.anonymise.tiers.source_tokens import MEMORY, remember_hierarchies, remember_snapshot
from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import (
    HIERARCHIES_FILE,
    STEWARD_PAGE,
    SUBJECTS_FILE,
)
from stepdown.config import LoadedConfig
from stepdown.keyring import Keyring, load_keyring
from stepdown.release.documents.documents import FULL_REPORT
from stepdown.release.documents.manifest import MANIFEST
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import Ledger, Reader, open_ledger
from stepdown.release.ledger.line_times import time_of
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.publishing.kept_versions import may_be_kept
from stepdown.release.reading.earlier_releases import (
    ancestors,
    candidate_of,
    in_place,
    snapshot_path,
    source_sha256,
)
from stepdown.scratch import clear
from stepdown.vocabulary import LAPSED, ReleaseState, Tier
from stepdown.workspace import Workspace

_PENDING = (ReleaseState.CANDIDATE, ReleaseState.AWAITING_APPROVAL)
_LIVE = (ReleaseState.PUBLISHED, ReleaseState.SUSPENDED)
_ENDINGS = (
    EventKind.REFUSAL,
    EventKind.REJECTION,
    EventKind.EXPIRED,
    EventKind.NUMBER_GIVEN_UP,
    EventKind.SUPERSEDED,
    EventKind.WITHDRAWN,
)
_INTERNAL_ONLY = (HIERARCHIES_FILE, MANIFEST, SUBJECTS_FILE, STEWARD_PAGE)
"""With the data, of an internal release that is no longer live: nobody holds it beside anything."""


@dataclass(frozen=True)
class Deletion:
    """One file that goes.

    Args:
        what: ``snapshot``, ``consent register``, ``candidate`` or ``hierarchies``.
        file: relative to the workspace. sha256: of its bytes.
        release: address of the release that it is of, if of one.
        tokens: ``file`` in the memory and ``sha256`` of what stands in for it.
    """

    what: str
    file: str
    sha256: str
    release: str | None = None
    tokens: dict[str, str] | None = None


def retain(
    workspace: Workspace, loaded: LoadedConfig, day: dt.date, actor: str, *, dry_run: bool = False
) -> tuple[Deletion, ...]:
    """Delete what the config's ``retention`` no longer keeps.

    The newest snapshot and reading of the register stay, and whatever a release that is live or
    waits was made from.

    Args:
        dry_run: say what would go, and delete nothing.

    Raises:
        TransientError: a run of the dataset is under way.
        KeyMissing: the key of the memory is missing.
        StoreCorrupt: a file to be remembered is not the one that was written.
    """
    with workspace.only_run(loaded.config.dataset), exclusively(workspace):
        if not dry_run:
            clear(workspace.scratch)  # a process that was killed left rows there
        ledger = open_ledger(workspace)
        due = list({each.file: each for each in _due(workspace, ledger, loaded, day)}.values())
        if dry_run or not due:
            return tuple(due)
        made = tuple(_remembered(workspace, ledger, loaded, due))
        series = Series(loaded.config.dataset, Tier.INTERNAL)
        with ledger.writing() as writer:
            noted = {
                (line["facts"]["file"], line["facts"]["sha256"]): time_of(line)
                for line in writer.lines(EventKind.DELETED)
            }
            for each in made:
                # What was cut short is told once; a source that came back since is told again, or
                # what stands in for it now would not be found.
                if noted.get((each.file, each.sha256), "") < _written(workspace.root / each.file):
                    writer.append(EventKind.DELETED, series, None, actor, asdict(each))
        # A snapshot goes after its hierarchies: without it, the next call would not find them.
        for each in reversed(made):
            delete_file(workspace.root / each.file)
        return made


def delete_file(path: Path) -> None:
    """Delete a file, and the folder that held nothing else."""
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def _due(
    workspace: Workspace, ledger: Ledger, loaded: LoadedConfig, day: dt.date
) -> Iterator[Deletion]:
    dataset, keep = loaded.config.dataset, loaded.config.retention
    with ledger.reading() as reader:
        releases = [in_place(release, workspace) for release in reader.releases(dataset)]
        sources = {r.id: _source(reader, r, workspace) for r in releases}
        ended = {r.id: _ended(reader, r) for r in releases}
        in_use = {
            above.id
            for release in releases
            if release.state in (*_PENDING, *_LIVE)
            for above in ancestors(reader, release)
        }
    needed = {sources[r.id] for r in releases if r.state in (*_PENDING, *_LIVE)}
    for path in _old(_named(workspace.snapshots, dataset), day, keep.snapshots_days):
        if path.name not in needed:
            yield _deletion("snapshot", workspace, path)
            # A hierarchy's leaves are raw values of the snapshot, so they go along with it.
            for release in releases:
                leaves = Path(release.folder) / HIERARCHIES_FILE
                if sources[release.id] == path.name and leaves.is_file():
                    yield _deletion("hierarchies", workspace, leaves, release)
    registers = _named(workspace.snapshots, f"{dataset}.consent")
    for readings in (registers, _named(workspace.consent, dataset)):
        for path in _old(readings, day, keep.snapshots_days):
            yield _deletion("consent register", workspace, path)
    # A refusal without a table has no folder, and an empty path is where the command was called.
    for release in (r for r in releases if r.folder):
        # A live release is verified against the files above it, superseded though they may be.
        end = ended[release.id]
        if release.id not in in_use and end and (day - end).days > keep.candidates_days:
            for path in _no_longer_needed(release):
                yield _deletion("candidate", workspace, path, release)
    for path in _of_nobody(workspace, releases, day, keep.candidates_days):
        yield _deletion("candidate", workspace, path)


def _of_nobody(
    workspace: Workspace, releases: list[Release], day: dt.date, days: int
) -> list[Path]:
    """Old files of candidates that became no release: an unchanged one's, say."""
    kept = {Path(release.folder) for release in releases if release.folder}
    if not releases or not (folder := workspace.candidates / releases[0].dataset).is_dir():
        return []
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    own = [path.parent.parent if path.parent.name == "data" else path.parent for path in files]
    pairs = zip(files, own, strict=True)
    return [path for path, of in pairs if of not in kept and _age(path, day) > days]


def _no_longer_needed(release: Release) -> Iterator[Path]:
    folder = Path(release.folder)
    if release.state in LAPSED:
        # A copy's files are in a folder of their own below the base's.
        yield from (path for path in sorted(folder.glob("*")) if path.is_file())
        yield from (path for path in sorted((folder / "data").glob("*")) if path.is_file())
    elif release.state not in (*_PENDING, *_LIVE):
        names = [SUBJECTS_FILE, STEWARD_PAGE]
        if release.tier is Tier.INTERNAL:
            held = sorted((folder / "data").glob("*"))
            # The data go before the manifest that lists them: the last named goes first.
            names = [*_INTERNAL_ONLY, *(f"data/{path.name}" for path in held)]
        # Whoever withdraws consent must still be found in what is served.
        gone = [name for name in names if name != SUBJECTS_FILE or not may_be_kept(release)]
        yield from (folder / name for name in gone if (folder / name).is_file())


def _remembered(
    workspace: Workspace, ledger: Ledger, loaded: LoadedConfig, due: list[Deletion]
) -> Iterator[Deletion]:
    """The same deletions, after tokens were written of what later versions are held against."""
    with ledger.reading() as reader:
        keyring = _keyring(workspace, loaded, reader.shredded())
        out = {
            release.address: release
            for release in reader.releases(loaded.config.dataset)
            if release.published_at and release.version and release.tier is not Tier.INTERNAL
        }
        sources = {address: _source(reader, r, workspace) for address, r in out.items()}
    places = (keyring, workspace.memory, workspace.scratch)
    for each in due:
        path, kept = workspace.root / each.file, None
        if each.what == "snapshot" and path.name in sources.values():
            kept = remember_snapshot(loaded.config, _reference(path), *places)
        elif each.what == "hierarchies" and each.release in out:
            source = workspace.snapshots / sources[each.release]
            candidate = candidate_of(in_place(out[each.release], workspace))
            kept = remember_hierarchies(loaded.config, candidate, _reference(source), *places)
        tokens = {"file": Path(kept.path).name, "sha256": kept.sha256} if kept else None
        yield replace(each, tokens=tokens)


def _keyring(workspace: Workspace, loaded: LoadedConfig, shredded: set[str]) -> Keyring:
    wanted = next_name(loaded.config.dataset, MEMORY, None, shredded)
    return load_keyring(workspace.keyring, [wanted])


def _reference(path: Path) -> ArtifactRef:
    return ArtifactRef(str(path), sha256_of(path), 0)


def _deletion(
    what: str, workspace: Workspace, path: Path, release: Release | None = None
) -> Deletion:
    address = release.address if release else None
    return Deletion(what, os.path.relpath(path, workspace.root), sha256_of(path), address)


def _source(reader: Reader, release: Release, workspace: Workspace) -> str:
    """Name of the snapshot that a release goes back to; empty where nobody knows."""
    root = in_place(ancestors(reader, release)[-1], workspace)
    reports = [Path(each.folder) / FULL_REPORT for each in (release, root)]
    if not all(report.is_file() for report in reports):
        return ""
    return snapshot_path(workspace, release.dataset, source_sha256(release, root)).name


def _named(folder: Path, name: str) -> list[Path]:
    pattern = re.compile(re.escape(name) + r"-[0-9a-f]{16}\.parquet")
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if pattern.fullmatch(path.name)]


def _old(paths: list[Path], day: dt.date, days: int) -> list[Path]:
    """Those that were last written too long ago, but for the newest."""
    by_age = sorted(paths, key=lambda path: (path.stat().st_mtime, path.name))
    return [path for path in by_age[:-1] if _age(path, day) > days]


def _ended(reader: Reader, release: Release) -> dt.date | None:
    """The day on which a release stopped waiting or being live; a file's time may move."""
    lines = reader.lines_of(release, *_ENDINGS)
    own = [line for line in lines if line["facts"]["run"] == release.run]
    # A number is given up when another candidate takes it, which is long after the end perhaps.
    days = [str(line["facts"].get("ended") or time_of(line))[:10] for line in own]
    return max(map(dt.date.fromisoformat, days), default=None)


def _age(path: Path, day: dt.date) -> int:
    return (day - dt.date.fromisoformat(_written(path)[:10])).days


def _written(path: Path) -> str:
    """When a file was last written, as the ledger writes times."""
    moment = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    return moment.isoformat(timespec="seconds")
