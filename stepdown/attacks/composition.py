"""Test whether the people who are missing together tell which of them had left."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.engine import Session

CHANCE = 1e-6
"""By luck alone no more than one file in so many is taken for one whose companions tell."""

Group = dict[str, int]
"""How many of a group show each sensitive value."""


def odd_one_out(group: Group) -> str | None:
    """The value that leaves the rest of a group most even when one who shows it is taken out.

    None where several do: then it singles out nobody.

    >>> odd_one_out({"flu": 3, "cholera": 2})
    'flu'
    >>> odd_one_out({"flu": 2, "cholera": 2}) is None
    True
    """
    spread = {}
    for value in group:
        left = [many - (each == value) for each, many in group.items()]
        spread[value] = max(left) - min(left)
    best = [value for value, least in spread.items() if least == min(spread.values())]
    return best[0] if len(best) == 1 else None


def at_least(many: int, chances: Sequence[float]) -> float:
    """How likely as many of these guesses are right by luck; they are independent.

    >>> round(at_least(2, [0.5, 0.5]), 3)
    0.25
    """
    right = [1.0]
    for chance in chances:
        missed, hit = [p * (1 - chance) for p in right], [p * chance for p in right]
        right = [a + b for a, b in zip([*missed, 0.0], [0.0, *hit], strict=True)]
    return sum(right[many:])


def told_apart(session: Session, column: str) -> int:
    """Groups whose odd one out is who left, where there are too many of them for luck; else 0.

    Companions may be chosen so that they tell who they accompany: where each value is taken once
    before any is taken twice, the value that is one too many is that of the person who left. So the
    intruder guesses it in every group with one person who is no longer in the source. A right guess
    is luck as often as the value occurs in the group or in its class of the version.

    Args:
        session: holds ``missing``: ``there``, the class of the version, ``left``, whether the
            record is no longer in the source at all, and ``column``; and ``before``, with ``class``
            and the same column.
    """
    counts = session.fetch(
        "WITH one AS (SELECT there FROM missing GROUP BY there "
        'HAVING count(*) FILTER ("left") = 1 AND count(*) > 1), '
        f"class AS (SELECT class AS there, {column} AS value, count(*) AS many "
        f"FROM before WHERE {column} IS NOT NULL GROUP BY ALL), "
        f"gone AS (SELECT there, {column} AS value, count(*) AS many, "
        'bool_or("left") AS is_theirs FROM missing JOIN one USING (there) '
        f"WHERE {column} IS NOT NULL GROUP BY ALL) SELECT there, value, coalesce(gone.many, 0) AS "
        "gone, class.many AS held, coalesce(is_theirs, false) AS is_theirs FROM class "
        "LEFT JOIN gone USING (there, value) WHERE there IN (SELECT there FROM gone) "
        "ORDER BY there, value"
    ).to_pylist()
    by_class: dict[int, list[dict[str, object]]] = {}
    for line in counts:
        by_class.setdefault(line["there"], []).append(line)
    right, chances = 0, []
    for lines in by_class.values():
        gone = {str(line["value"]): int(str(line["gone"])) for line in lines if line["gone"]}
        held = {str(line["value"]): int(str(line["held"])) for line in lines}
        odd = odd_one_out(gone)
        theirs = [str(line["value"]) for line in lines if line["is_theirs"]]
        # A class that is missing whole could be read in the version before.
        if odd is None or not theirs or gone == held:
            continue
        chances.append(max(gone[odd] / sum(gone.values()), held[odd] / sum(held.values())))
        right += theirs == [odd]
    return right if right and at_least(right, chances) < CHANCE else 0
