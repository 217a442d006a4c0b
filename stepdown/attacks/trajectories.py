"""Recognise people and households by the set of their rows, where an id holds them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from stepdown.config import tier_policy
from stepdown.config.policy import persisting_share
from stepdown.opened import Opened
from stepdown.reports import AttackResult, stable
from stepdown.risk.classes.classes import candidate_classes
from stepdown.risk.classes.persisting import candidate_persisting, held_sharers
from stepdown.risk.measures.trajectories import trajectory_class_sizes
from stepdown.vocabulary import Role


def trajectories(opened: Opened) -> list[AttackResult]:
    """Share of data subjects, and of households, whose rows together are shared by fewer than k.

    An id that stays the same over rows shows an intruder all rows of one person: who knows what is
    known of each of them looks for the multiset. A household's rows are its members'. k is the
    tier's smallest class.

    Values that are the same in all rows of more people than the defaults allow, and rare elsewhere,
    stand in for an id that is not kept.

    Returns:
        one result per id that the file keeps: of the subject column (or of a rekeyed direct
        identifier), of the household's; one without a column where it keeps none.
    """
    k = tier_policy(opened.config, opened.tier).smallest_class
    with opened.aside() as opened:
        candidate_classes(opened)
        results = []
        if opened.keeps_an_id():
            subject = (opened.names(Role.SUBJECT) or _rekeyed(opened))[0]
            results.append(_result(opened, "subject", subject, k))
        else:
            results += _by_values(opened, k)
        results += [_result(opened, "household", name, k) for name in opened.names(Role.HOUSEHOLD)]
    note = "the file keeps no id that holds rows together, nor values that stand in for one"
    return results or [AttackResult("trajectories", 0.0, 0, note=note)]


def _by_values(opened: Opened, k: int) -> list[AttackResult]:
    """The same where no id is kept, of the people whose rows agree in values that are rare."""
    found = candidate_persisting(opened, "subject")
    if not found or found[0].share <= persisting_share(opened.tier):
        return []
    most = found[0]
    sharers = held_sharers(opened.session)
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


def _rekeyed(opened: Opened) -> list[str]:
    return [name for name in opened.names(Role.DIRECT_IDENTIFIER) if opened.is_rekeyed(name)]


def _result(
    opened: Opened, of: Literal["subject", "household"], column: str, k: int
) -> AttackResult:
    sizes = trajectory_class_sizes(opened.session, of)
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
