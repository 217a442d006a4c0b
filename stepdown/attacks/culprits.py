"""Which columns make an attack succeed: those without which it stays within its limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from stepdown.reports import AttackResult

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

    def without(dropped: Sequence[str]) -> float:
        return again([name for name in columns if name not in dropped]).measured

    gained = {name: without([name]) for name in looked_at}
    dropped: list[str] = []
    left = gained[min(looked_at, key=lambda name: gained[name])]
    for name in sorted(looked_at, key=lambda name: gained[name]):
        dropped.append(name)
        left = gained[name] if len(dropped) == 1 else without(dropped)
        if left <= limit + _SLACK:
            break
    else:
        return result
    for name in dropped[:-1]:
        fewer = [each for each in dropped if each != name]
        measured = without(fewer)
        if measured <= limit + _SLACK:
            dropped, left = fewer, measured
    note = f"{result.note}; " if result.note else ""
    note += f"without {', '.join(dropped)} it is {left:.4g}"
    return replace(result, columns=tuple(dropped), note=note)
