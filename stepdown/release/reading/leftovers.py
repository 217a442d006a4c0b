"""Delete files with people's data that a dead run left and nothing points to."""

from __future__ import annotations

import shutil
from pathlib import Path

from stepdown.release.ledger.chain import check_whole
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.kept import check_kept
from stepdown.release.publishing.recovery import recover
from stepdown.scratch import clear
from stepdown.workspace import Workspace


def make_ready(workspace: Workspace, store: Store, dataset: str) -> tuple[str, ...]:
    """Finish or undo what a killed process left, then delete what nobody points to.

    Every run begins so. Not before the ledger was found whole: whatever is measured rests on its
    answers. Nor before the store was found to hold what the ledger says is out.

    Returns:
        one sentence per thing that was done.
    """
    ledger = open_ledger(workspace)
    check_whole(ledger)
    check_kept(ledger, store, dataset)
    mended = recover(workspace, store)
    return mended + clear_leftovers(workspace, dataset)


def clear_leftovers(workspace: Workspace, dataset: str) -> tuple[str, ...]:
    """Delete the leftovers; call it while holding the dataset (``Workspace.only_run``).

    A run is dead when it did not write its outcome and nobody holds its dataset. Of its
    candidates those stay that a release in the ledger points to. Other datasets' are not touched.

    Returns:
        one sentence per kind of thing that was deleted.
    """
    counts = {
        "candidate file": _candidates(workspace, dataset),
        "unfinished file": _unfinished(workspace, dataset),
        "spilled folder": clear(workspace.scratch),
    }
    return tuple(
        f"{dataset}: {count} {what}{'s' if count != 1 else ''} of a run that was killed deleted"
        for what, count in counts.items()
        if count
    )


def _candidates(workspace: Workspace, dataset: str) -> int:
    folder = workspace.candidates / dataset
    runs = list(folder.iterdir()) if folder.is_dir() else []
    dead = [run for run in runs if not (workspace.runs / f"{run.name}.json").exists()]
    if not dead:
        return 0
    with open_ledger(workspace).reading() as reader:
        # Named anew instead of read: a workspace may have been moved since.
        kept = {
            workspace.candidate(release.dataset, release.run, release.tier, release.recipient)
            for release in reader.releases(dataset)
            if release.folder
        }
    return sum(_delete_all_but(kept, run) for run in dead)


def _delete_all_but(kept: set[Path], run: Path) -> int:
    """Delete what belongs to no kept candidate, whose files are in it and in its ``data/``."""
    below = sorted(run.rglob("*"), reverse=True)
    orphans = [
        path
        for path in below
        if path.is_file()
        and path.parent not in kept
        and not (path.parent.name == "data" and path.parent.parent in kept)
    ]
    if len(orphans) == sum(path.is_file() for path in below):
        shutil.rmtree(run)
        return len(orphans)
    for path in orphans:
        path.unlink()
    for path in below:
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return len(orphans)


def _unfinished(workspace: Workspace, dataset: str) -> int:
    # Whoever writes one of these holds the dataset or the lock, so none is a living process's.
    with exclusively(workspace):
        left = [
            *workspace.snapshots.glob(f".{dataset}.*.tmp"),
            *workspace.root.glob(".*.tmp"),
            *workspace.refusals.glob(".*.tmp"),
            *workspace.runs.glob(".*.tmp"),
            *workspace.memory.glob(f".{dataset}-*.tmp"),
        ]
        for path in left:
            path.unlink()
    return len(left)
