"""Try other policies of a tier: risk against information loss, on rows counted once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from stepdown.anonymise.lattice.axis import Ints
from stepdown.anonymise.tiers.count_tier import CountedTier, is_small_enough
from stepdown.anonymise.tiers.prepare import Prepared
from stepdown.anonymise.tiers.recode_tier import recode_tier
from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.anonymise.tiers.treat import TREATED
from stepdown.config import LoadedConfig, TierPolicy
from stepdown.engine import Session, quote
from stepdown.errors import DemandImpossible, Refused
from stepdown.keyring import Keyring
from stepdown.reports import FrontierPoint, stable

CLASS_SIZES = (2, 3, 5, 11, 20, 50, 100)
"""The k that every frontier tries besides the tier's own."""
LARGEST_LOCAL = 300_000
"""Combinations that local recoding is tried on; it takes seconds for as many."""
_TOO_LARGE = "not tried: the table has too many combinations of quasi-identifiers"


def tier_frontier(
    rows: TierRows, keyring: Keyring, alternatives: Mapping[str, TierPolicy] | None = None
) -> tuple[FrontierPoint, ...]:
    """The tier's policy among others, the least average risk first and what nothing meets last.

    The others are the tier's own policy with another k, recoded full-domain, and the alternatives.

    Args:
        alternatives: name → policy, as the config has them.

    Returns:
        () where the tier has no level to choose.

    Raises:
        the same errors as ``derive_tier``, but not where a policy cannot be met.
    """
    own, above = rows.policy, rows.above.rows
    asked = list(_asked(own, alternatives or {}))
    points: list[FrontierPoint] = []
    for rows_per_subject in sorted({one.policy.rows_per_subject for one in asked}, key=str):
        enters = replace(own, rows_per_subject=rows_per_subject)
        mine = [one for one in asked if one.policy.rows_per_subject == rows_per_subject]
        counted = rows.count(keyring, [one.policy for one in mine])
        if counted is None:
            return ()
        for one in mine:
            if one.policy.recoding == "full-domain":
                points.append(_full_domain(one, counted, above))
            elif counted.counted.base.entries > LARGEST_LOCAL:
                points.append(_untried(one))
            else:
                made = rows.prepare(keyring, enters)
                sizes = _local_classes(rows.session, rows.loaded, one.policy, made)
                points.append(_point(one, sizes, above))
    return tuple(sorted(points, key=_by_risk))


@dataclass(frozen=True)
class _Asked:
    name: str
    policy: TierPolicy
    chosen: bool


@dataclass(frozen=True, eq=False)
class _Released:
    """Classes of a recoding: rows and data subjects of each; its loss and what it suppresses."""

    rows: Ints
    subjects: Ints
    loss: float
    suppressed: int


def _asked(own: TierPolicy, alternatives: Mapping[str, TierPolicy]) -> Iterator[_Asked]:
    is_local = own.recoding == "local"
    if is_local:
        yield _Asked(f"k = {own.smallest_class}, local", own, True)
    for k in sorted({*CLASS_SIZES, own.smallest_class}):
        policy = replace(own, smallest_class=k, recoding="full-domain")
        yield _Asked(f"k = {k}", policy, k == own.smallest_class and not is_local)
    for name, policy in alternatives.items():
        yield _Asked(name, policy, False)


def _full_domain(one: _Asked, tier: CountedTier, rows_above: int) -> FrontierPoint:
    if not is_small_enough(tier.as_configured(), one.policy):
        return _untried(one)
    found = tier.best(one.policy)
    if found is None:
        return _point(one, None, rows_above)
    best = found.optimum
    classes = _Released(found.rows, found.subjects, best.score, best.suppressed)
    return _point(one, classes, rows_above)


def _local_classes(
    session: Session, loaded: LoadedConfig, policy: TierPolicy, made: Prepared
) -> _Released | None:
    try:
        found = recode_tier(session, loaded, policy, made.demand, made.weight)
    except (DemandImpossible, Refused):
        return None
    sql = found.released_sql(session) if found else f"SELECT * FROM {TREATED}"
    keys = ", ".join(quote(column.name) for column in made.demand.columns)
    classes = session.fetch(
        f"SELECT count(*) AS n, count(DISTINCT _subject_id) AS s FROM ({sql}) "
        f"GROUP BY {keys} ORDER BY n, s"
    )
    return _Released(
        classes["n"].to_numpy(),
        classes["s"].to_numpy(),
        found.score if found else 0.0,
        found.suppressed_rows if found else 0,
    )


def _point(one: _Asked, found: _Released | None, rows_above: int) -> FrontierPoint:
    if found is None or not len(found.rows):
        return FrontierPoint(one.name, one.chosen, feasible=False)
    limit = one.policy.information_loss
    useless = found.loss > limit + 1e-9
    return FrontierPoint(
        one.name,
        one.chosen,
        feasible=True,
        smallest_class=int(found.subjects.min()),
        average_risk=stable(float((found.rows / found.subjects).sum() / found.rows.sum())),
        highest_risk=stable(1 / int(found.subjects.min())),
        information_loss=stable(found.loss),
        suppressed_share=stable(found.suppressed / rows_above),
        note=f"more information loss than the tier's limit of {limit:g}" if useless else "",
    )


def _untried(one: _Asked) -> FrontierPoint:
    return FrontierPoint(one.name, one.chosen, feasible=False, note=_TOO_LARGE)


def _by_risk(point: FrontierPoint) -> tuple[bool, float, str]:
    risk = point.average_risk
    return risk is None, risk or 0.0, point.name
