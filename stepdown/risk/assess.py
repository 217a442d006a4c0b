"""Measure a candidate: what an intruder could do with the bytes that were written."""

from __future__ import annotations

from typing import Any

import numpy as np

from stepdown.config import tier_policy
from stepdown.config.policy import persisting_share
from stepdown.engine import Session
from stepdown.opened import Opened
from stepdown.reports import Persisting, RiskReport, stable
from stepdown.risk.classes.alone import columns_to_drop, share_alone
from stepdown.risk.classes.classes import ClassTable, Ints, candidate_classes
from stepdown.risk.classes.persisting import candidate_persisting, held_sharers
from stepdown.risk.classes.wildcard import smallest_wildcard_class
from stepdown.risk.leaks.insensitive import insensitive_problems
from stepdown.risk.leaks.nesting import nesting_problems
from stepdown.risk.leaks.residue import find_residue
from stepdown.risk.measures.bins import BINNED, BINS, DATED, sensitive_bin
from stepdown.risk.measures.class_models import (
    ClassValues,
    equal_distances,
    least_telling_l,
    ranked_distance,
)
from stepdown.risk.measures.harmless import is_harmless
from stepdown.risk.measures.households import household_expected_reidentifications
from stepdown.risk.measures.individual import class_risk, prosecutor_risk
from stepdown.risk.measures.rare_in_candidate import rare_values
from stepdown.risk.measures.trajectories import trajectory_class_sizes
from stepdown.vocabulary import Role, Tier


def assess_risk(opened: Opened) -> RiskReport:
    """What an intruder could do with a candidate, measured on its written bytes.

    Where a class measure has no record to measure it fails closed: a smallest class of 0, a risk
    and a t of 1, an l of 0.
    """
    problems = nesting_problems(opened)
    residue = find_residue(opened)
    with opened.aside() as opened:
        session, config = opened.session, opened.config
        quasi_identifiers = opened.aliases(Role.QUASI_IDENTIFIER)
        classes = candidate_classes(opened)
        risk = class_risk(classes)
        share = classes.mean_over_records(risk)
        households = config.name(Role.HOUSEHOLD) is not None
        k = tier_policy(config, opened.tier).smallest_class
        persisting = _persisting(opened)
        by_value = not opened.names(Role.HOUSEHOLD)
        linked = by_value and any(each.of == "household" for each in persisting)
        trajectories = _trajectories(opened, persisting)
        ls, ts = _given_away(opened)
        return RiskReport(
            sha256=opened.candidate.data.sha256,
            rows=classes.record_count,
            subjects=_count(session, "SELECT count(DISTINCT subject) FROM member"),
            classes=len(classes.subjects),
            smallest_class=classes.smallest(),
            smallest_class_wildcard=smallest_wildcard_class(session, classes, quasi_identifiers),
            highest_risk=_highest_risk(classes),
            average_risk=stable(classes.mean_over_records(prosecutor_risk(classes.subjects))),
            expected_reidentifications=stable(share * classes.record_count),
            expected_reidentifications_share=stable(share),
            household_expected_reidentifications=(
                stable(household_expected_reidentifications(session, risk, held_only=linked))
                if households
                else None
            ),
            household_linkable=linked or (households and not by_value),
            smallest_trajectory_class=(
                None if trajectories is None else int(min(trajectories, default=0))
            ),
            lone_trajectories=(None if trajectories is None else int(np.sum(trajectories < k))),
            distinct_l=ls,
            t=ts,
            nested=not problems,
            nesting_problems=problems,
            residue=residue.cells,
            residue_problems=residue.problems,
            insensitive_problems=insensitive_problems(session, _proving(opened)),
            persisting=persisting,
            rare_values=rare_values(opened),
            **_alone(opened),
        )


def _proving(opened: Opened) -> dict[str, str]:
    """The insensitive columns that must prove it: below internal, without an override."""
    if opened.tier is Tier.INTERNAL:
        return {}
    return {
        name: opened.alias(name)
        for name in opened.names(Role.INSENSITIVE)
        if not opened.config.columns[name].override
    }


def _persisting(opened: Opened) -> tuple[Persisting, ...]:
    """The columns that stand in for an id that the file does not keep: of people, of households."""
    found: tuple[Persisting, ...] = ()
    if not opened.keeps_an_id():
        found += candidate_persisting(opened, "subject")
    if opened.config.name(Role.HOUSEHOLD) and not opened.names(Role.HOUSEHOLD):
        found += candidate_persisting(opened, "household")
    return found


def _trajectories(opened: Opened, persisting: tuple[Persisting, ...]) -> Ints | None:
    """Count who share the rows of each holder of an id, or of values that stand in for one.

    None where the file keeps neither.
    """
    session, sharers = opened.session, []
    if opened.keeps_an_id():
        sharers.append(np.repeat(*[trajectory_class_sizes(session)] * 2))
    elif any(
        each.of == "subject" and each.share > persisting_share(opened.tier) for each in persisting
    ):
        sharers.append(held_sharers(session))
    if opened.names(Role.HOUSEHOLD):
        sharers.append(np.repeat(*[trajectory_class_sizes(session, "household")] * 2))
    return np.concatenate(sharers) if sharers else None


def _alone(opened: Opened) -> dict[str, Any]:
    """Who is alone on quasi-identifiers and insensitive columns; the columns that make it so."""
    if opened.tier is Tier.INTERNAL:
        return {}
    limit = tier_policy(opened.config, opened.tier).alone_share
    quasi, beside = opened.aliases(Role.QUASI_IDENTIFIER), _proving(opened)
    share = share_alone(opened.session, [*quasi, *beside.values()])
    without = columns_to_drop(opened.session, quasi, beside, limit) if share > limit else ()
    return {"alone_share": stable(share), "alone_without": without}


def _highest_risk(classes: ClassTable) -> float:
    smallest = classes.smallest()
    return 1 / smallest if smallest else 1.0


def _count(session: Session, sql: str) -> int:
    return int(str(session.scalar(sql)))


def _given_away(opened: Opened) -> tuple[dict[str, int], dict[str, float]]:
    """l and t of the worst class, of each sensitive column."""
    ls, ts = {}, {}
    for name in opened.names(Role.SENSITIVE):
        column, cell, session = opened.config.columns[name], opened.alias(name), opened.session
        harmless = is_harmless(cell, column.not_sensitive, column.type)
        bins = ""
        if column.type in (*BINNED, *DATED):
            bins = sensitive_bin(session, cell, name, opened.config, opened.tier)
        # Numbers are told apart by their bins, dates day by day.
        pairs = ClassValues.counted(session, bins if column.type in BINNED else cell, harmless)
        ls[name] = least_telling_l(pairs)
        if bins:
            t = ranked_distance(ClassValues.counted(session, bins, is_rank=True), BINS)
        else:
            t = float(equal_distances(pairs).max(initial=0.0))
        ts[name] = stable(t) if len(pairs.sizes) else 1.0
    return ls, ts
