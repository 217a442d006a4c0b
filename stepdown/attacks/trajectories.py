"""Recognise people and households by the set of their rows, where an id holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from stepdown.artifacts import ArtifactRef
from stepdown.attacks.written import Written, open_written
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, tier_policy
from stepdown.config.policy import persisting_share
from stepdown.reports import AttackResult, stable
from stepdown.risk.classes.classes import build_classes
from stepdown.risk.classes.persisting import find_persisting, held_sharers
from stepdown.risk.measures.trajectories import trajectory_class_sizes
from stepdown.vocabulary import Role


def trajectories(
    candidate: Candidate,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    scratch: str | Path | None = None,
) -> list[AttackResult]:
    """Share of data subjects, and of households, whose rows together are shared by fewer than k.

    An id that stays the same over rows shows an intruder all rows of one person: who knows what is
    known of each of them looks for the multiset. A household's rows are its members'. k is the
    tier's smallest class.

    Args:
        candidate: the written file with its lineage.
        snapshot: the pinned source, for the households.
        loaded: the dataset's config.
        scratch: folder in which the engine may spill.

    Values that are the same in all rows of more people than the defaults allow, and rare elsewhere,
    stand in for an id that is not kept.

    Returns:
        one result per id that the file keeps: of the subject column (or of a rekeyed direct
        identifier), of the household's; one without a column where it keeps none.

    Raises:
        StoreCorrupt: a file is missing or no longer the one that was written.
    """
    k = tier_policy(loaded.config, candidate.tier).smallest_class
    with open_written(candidate, loaded, scratch, snapshot) as written:
        build_classes(written.session, written.quasi_identifiers())
        results = []
        if written.keeps_an_id():
            subject = (written.names(Role.SUBJECT) or _rekeyed(written))[0]
            results.append(_result(written, "subject", subject, k))
        else:
            results += _by_values(written, k)
        results += [
            _result(written, "household", name, k) for name in written.names(Role.HOUSEHOLD)
        ]
    note = "the file keeps no id that holds rows together, nor values that stand in for one"
    return results or [AttackResult("trajectories", 0.0, 0, note=note)]


def _by_values(written: Written, k: int) -> list[AttackResult]:
    """The same where no id is kept, of the people whose rows agree in values that are rare."""
    ids = (Role.SUBJECT, Role.HOUSEHOLD)
    columns = {
        name: written.alias(name)
        for name in written.columns
        if written.config.columns[name].role not in ids and not written.is_rekeyed(name)
    }
    found = find_persisting(written.session, "subject", columns, max(k, 2))
    if not found or found[0].share <= persisting_share(written.tier):
        return []
    most = found[0]
    sharers = held_sharers(written.session)
    alone = int(np.sum(sharers < k))
    return [
        AttackResult(
            "trajectories",
            stable(alone / len(sharers)),
            attempts=len(sharers),
            successes=alone,
            note=f"{', '.join(most.columns)} hold together the rows of {most.held:,} of "
            f"{most.holders:,} people with several; {alone:,} of all who are held together share "
            f"their rows with fewer than {k}",
            columns=most.columns,
        )
    ]


def _rekeyed(written: Written) -> list[str]:
    return [name for name in written.names(Role.DIRECT_IDENTIFIER) if written.is_rekeyed(name)]


def _result(
    written: Written, of: Literal["subject", "household"], column: str, k: int
) -> AttackResult:
    sizes = trajectory_class_sizes(written.session, of)
    held, found = int(sizes.sum()), int(sizes[sizes < k].sum())
    return AttackResult(
        "trajectories",
        stable(found / held) if held else 0.0,
        attempts=held,
        successes=found,
        column=column,
        note=f"of {held:,} {of}s, {int(np.sum(sizes == 1)):,} are the only ones with their rows; "
        f"{found:,} share them with fewer than {k}",
    )
