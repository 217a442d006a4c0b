"""Find the demand that takes a quasi-identifier to its top level, by a search without each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from stepdown.anonymise.lattice.best_node import Counted, best_node
from stepdown.anonymise.lattice.histogram import SensitiveCounts
from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tiers.count_tier import CountedTier, is_small_enough
from stepdown.anonymise.tiers.quasi_identifiers import privacy_models
from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.config import TierPolicy
from stepdown.errors import Refused
from stepdown.keyring import Keyring

_MOST_DEMANDS = 20


def forced_levels(rows: TierRows, keyring: Keyring) -> tuple[str, ...]:
    """One sentence for each quasi-identifier of which full-domain recoding leaves nothing.

    The demands are taken away one at a time: k, the expected re-identifications, t and l of each
    sensitive column. A demand forces a column without which it keeps a finer level. Where none does
    alone, the demands are found that do together.

    Returns:
        () where no column ends at its top, or where searching again would take minutes.

    Raises:
        the same errors as ``derive_tier``, but not where the policy cannot be met.
    """
    policy, counted = rows.policy, rows.count(keyring, [rows.policy])
    if counted is None or not is_small_enough(counted.as_configured(), policy):
        return ()
    now = counted.best(policy)
    if now is None:
        return ()
    lost = [name for name, top in counted.tops.items() if min(now.level_shares[name]) >= top > 0]
    return tuple(_sentences(counted, policy, lost)) if lost else ()


@dataclass(frozen=True)
class _Demand:
    """One demand that may be taken away: k, the mean risk, or t or l of a sensitive column."""

    kind: Literal["k", "risk", "t", "l"]
    words: str
    column: str = ""


def _sentences(counted: CountedTier, policy: TierPolicy, lost: list[str]) -> Iterator[str]:
    open_to = counted.as_configured()
    finest = {column.name: column.axis.lowest for column in open_to.columns}
    asked = _asked(counted, privacy_models(policy))
    alone = [(demand, _levels_without(counted, policy, [demand])) for demand in asked]
    for name in lost:
        top = counted.tops[name]
        start = f"{name} is at its top level {top}, where nothing is left"
        if finest[name] >= top:
            yield f"{start}: the config allows no finer one"
            continue
        forces = [
            f"{demand.words} (without it level {levels[name]} would do)"
            for demand, levels in alone
            if levels.get(name, top) < top
        ]
        if forces:
            yield f"{start}, because of {', and also of '.join(forces)}"
            continue
        together, level = _together(counted, policy, asked, name)
        if together:
            words = " and ".join(demand.words for demand in together)
            yield f"{start}, because of {words} together (without them level {level} would do)"
        else:
            yield f"{start}, because it loses least there"


def _together(
    counted: CountedTier, policy: TierPolicy, asked: list[_Demand], name: str
) -> tuple[list[_Demand], int]:
    """Demands without all of which the column keeps a finer level, none too many; and the level."""
    top = counted.tops[name]
    level = _levels_without(counted, policy, asked).get(name, top)
    if level >= top:
        return [], top
    # Give back each demand that is not needed for it, so that only those at fault are named.
    needed = list(asked)
    for demand in asked:
        fewer = [each for each in needed if each is not demand]
        found = _levels_without(counted, policy, fewer).get(name, top)
        if found < top:
            needed, level = fewer, found
    return needed, level


def _asked(counted: CountedTier, models: PrivacyModels) -> list[_Demand]:
    found = [_Demand("k", f"k = {models.k}")] if models.k > 1 else []
    if models.expected_reidentifications is not None:
        limit = f"{models.expected_reidentifications:g} expected re-identifications a record"
        found.append(_Demand("risk", limit))
    for column, _ in counted.sensitive if counted.counted.base.sensitive else ():
        if models.t is not None:
            found.append(_Demand("t", f"t = {models.t:g} of {column.name}", column.name))
        if models.distinct_l > 1:
            words = f"{models.distinct_l} different values of {column.name}"
            found.append(_Demand("l", words, column.name))
    return found[:_MOST_DEMANDS]


def _levels_without(
    counted: CountedTier, policy: TierPolicy, removed: Sequence[_Demand]
) -> dict[str, int]:
    """The level of every column without some demands; {} where the search found no answer."""
    models, open_to = privacy_models(policy), counted.as_configured()
    kinds = {demand.kind for demand in removed}
    if "k" in kinds:
        models = replace(models, k=1)
    if "risk" in kinds:
        models = replace(models, expected_reidentifications=None)
    without = {(demand.kind, demand.column) for demand in removed}
    sensitive = tuple(
        _eased(values, ("t", column.name) in without, ("l", column.name) in without)
        for (column, _), values in zip(counted.sensitive, open_to.base.sensitive, strict=False)
    )
    base = replace(open_to.base, sensitive=sensitive, _ends={}, _fused=[], _tables={})
    try:
        found = best_node(Counted(open_to.columns, base), models, policy.suppressed_records)
    except Refused:
        return {}
    return {name: min(shares) for name, shares in found.level_shares.items()}


def _eased(values: SensitiveCounts, no_t: bool, no_l: bool) -> SensitiveCounts:
    """The same counts of which t, or l, asks nothing: nothing measured, everything harmless."""
    if no_t:
        points = None if values.points is None else np.zeros_like(values.points)
        values = replace(values, measured=np.zeros_like(values.measured), points=points)
    if no_l:
        every = np.ones_like(values.countable)
        values = replace(values, countable=every, harmless=every)
    return values
