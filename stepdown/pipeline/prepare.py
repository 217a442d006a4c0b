"""Prepare a run: repair what a crash left, check its keys, recall what was published before."""

from __future__ import annotations

from typing import Any

from stepdown.anonymise.tiers.source_tokens import recall, remember_snapshot
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Earlier
from stepdown.ingest import Snapshot
from stepdown.keyring import forget_keys, load_keyring
from stepdown.pipeline.run import Run, open_keyring, wanted_keys
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind
from stepdown.release.ledger.store import open_store
from stepdown.release.reading import earlier_releases
from stepdown.release.reading.leftovers import make_ready
from stepdown.vocabulary import Tier


def recover(run: Run) -> tuple[str, ...]:
    """Finish or undo what a killed process left, then delete what nobody points to."""
    return make_ready(run.workspace, open_store(run.store), run.config.dataset)


def ever_published(run: Run) -> list[Earlier]:
    """Every version of the dataset that somebody may hold, with tokens in place of raw values."""
    workspace, keyring = run.workspace, open_keyring(run)
    known = earlier_releases.ever_published(open_ledger(workspace), workspace, run.config.dataset)
    return [
        recall(run.config, version, keyring, workspace.memory, workspace.scratch)
        for version in known
    ]


def remember(run: Run, snapshot: Snapshot) -> ArtifactRef:
    """The pinned source as tokens, to be compared with those of earlier versions."""
    workspace = run.workspace
    return remember_snapshot(
        run.config, snapshot.ref, open_keyring(run), workspace.memory, workspace.scratch
    )


def reports_before(run: Run) -> dict[str, dict[str, Any]]:
    """The full report of the live version of every tier and copy, by its name in an address."""
    ledger = open_ledger(run.workspace)
    return earlier_releases.live_reports(ledger, run.workspace, run.config.dataset)


def weakened_since(run: Run) -> dict[str, tuple[str, ...]]:
    """Compare each tier's and copy's rules with those of its newest version."""
    return earlier_releases.weakened_since(open_ledger(run.workspace), run.workspace, run.config)


def load_keys(run: Run) -> None:
    """See that every key is there; make one only where the ledger knows of no use of it."""
    wanted = wanted_keys(run)
    ledger = open_ledger(run.workspace)
    # Held, or the first runs of two datasets would each write a keyring without the other's keys.
    with exclusively(run.workspace):
        with ledger.reading() as reader:
            used, shredded = reader.keys(), reader.shredded()
        forget_keys(run.workspace.keyring, shredded)  # one whose destruction was cut short
        fresh = [key for key in wanted if key not in used]
        load_keyring(run.workspace.keyring, wanted, may_create=fresh)
        with ledger.writing() as writer:
            for name in fresh:
                series = Series(run.config.dataset, Tier.INTERNAL)
                writer.append(EventKind.KEY, series, None, run.actor, {"name": name})
