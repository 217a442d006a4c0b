"""Find which columns make an attack succeed: those without which it keeps its limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from stepdown.reports import AttackResult
from stepdown.risk.classes.fewest import fewest

_SLACK = 1e-9
_MOST_COLUMNS = 40
"""With more the attack would be repeated for minutes; those with most labels are looked at."""


def with_culprits(
    result: AttackResult,
    columns: Sequence[str],
    again: Callable[[list[str]], AttackResult],
    limit: float,
) -> AttackResult:
    """The result, with the fewest columns that were found whose dropping is enough.

    Every column is left out once; they are then dropped in the order of what that gained until the
    attack is within its limit, and each is put back that the result can do with.

    Args:
        result: of the attack on all columns.
        columns: those that may be dropped, the ones with most labels first.
        again: the attack on some of the columns.
        limit: what the tier allows.
    """
    if result.measured <= limit + _SLACK or not result.attempts or len(columns) < 2:
        return result
    looked_at = list(columns)[:_MOST_COLUMNS]
    measured: dict[frozenset[str], float] = {}

    def without(dropped: Sequence[str]) -> float:
        gone = frozenset(dropped)
        if gone not in measured:
            measured[gone] = again([name for name in columns if name not in gone]).measured
        return measured[gone]

    def enough(dropped: Sequence[str]) -> bool:
        return without(dropped) <= limit + _SLACK

    # Of 128 columns, 40 are seldom enough: one attack tells, instead of two for each of the 40.
    if len(columns) > len(looked_at) and not enough(looked_at):
        return result
    gained = sorted(looked_at, key=lambda name: without([name]))
    dropped = gained[: fewest(lambda many: enough(gained[:many]), 1, len(gained))]
    if not enough(dropped):
        return result
    # A column dropped early may be needless once later ones are dropped: put it back.
    for name in dropped[:-1]:
        fewer = [each for each in dropped if each != name]
        if enough(fewer):
            dropped = fewer
    left = without(dropped)
    note = f"{result.note}; " if result.note else ""
    note += f"without {', '.join(dropped)} it is {left:.4g}"
    return replace(result, columns=tuple(dropped), note=note)
