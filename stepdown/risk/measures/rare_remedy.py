"""Find the finest treatment of a column that leaves enough people to each of its values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stepdown.config.policy import DATE_UNITS
from stepdown.engine import Session, literals
from stepdown.risk.measures.rare_values import DATE_FORMATS, HOME, date_of

LOST = 0.2
"""Largest share of a column's cells that advice would make missing; beyond it, another treatment
or none (house rule)."""

TAIL = 0.1
"""Largest share of the cells that advice would put into the first, or the last, value of a number
(house rule): beyond it a longer step says more."""

_STEPS = (1.0, 2.0, 2.5, 5.0)


@dataclass(frozen=True)
class Asked:
    """A column that fails, and what may be done to it.

    The session holds ``cell``: the released rows with ``value``, the column as the tier above has
    it, ``subject`` and ``household``; and ``lot``: ``value`` and ``rows``, how many rows above have
    it.

    Args:
        k: people, or homes, who must hold each value.
        by_home: whether homes are counted.
        kind: ``number``, ``date``, ``text``, ``flag``, ``weight`` or ``level``; else it can only be
            dropped. Of a ``level``, ``cell`` has the raw values, and the session holds ``rung``
            with ``raw``, ``level`` and ``label``.
        retyped: whether the config would have to declare that kind first.
        whole: whether the numbers are whole.
        floor: the finest unit that dates may have here.
        level: the one that the column is on.
    """

    k: int
    by_home: bool
    kind: str
    retyped: bool = False
    whole: bool = False
    floor: str = "month"
    level: int = 0

    @property
    def holders(self) -> str:
        # Whose homes are counted are people, too: a home of five is not five homes.
        return (
            f"least(count(DISTINCT subject), count(DISTINCT {HOME}))"
            if self.by_home
            else "count(DISTINCT subject)"
        )


def finest_treatment(session: Session, asked: Asked) -> str:
    """A treatment as a config spells it, under which ``k`` hold each value: it was tried.

    Of several it is the one that keeps most: a number's shortest step, a date's shortest unit, rare
    cells missing where they are few, a code's longest beginning. ``drop`` where nothing else does.
    """
    for treatment in _candidates(session, asked):
        if treatment:
            return treatment
    return "drop"


def _candidates(session: Session, asked: Asked) -> Iterator[str | None]:
    if asked.kind == "number":
        coded = _code(session, asked)
        yield coded and (f"{coded} (with `type: number`)" if asked.retyped else coded)
    if asked.kind == "date":
        cut = _date(session, asked)
        yield cut and (f"{cut} (with {_date_type(session)})" if asked.retyped else cut)
    if asked.kind == "weight":
        homes = session.scalar(f"SELECT count(DISTINCT {HOME}) FROM cell WHERE value IS NOT NULL")
        # Each of its steps takes in twice k homes: one step at least there must be.
        yield "{coarsen: {steps: 10}}" if int(str(homes)) >= 2 * asked.k else None
    if asked.kind == "level":
        yield _generalise(session, asked)
    if asked.kind in ("number", "text", "flag"):
        yield _suppress(session, asked)
    if asked.kind == "text":
        yield _prefix(session, asked)


def _holds(session: Session, asked: Asked, value: str) -> bool:
    """Whether enough hold each value that SQL over ``cell`` gives."""
    fewest = session.scalar(
        f"SELECT min(holders) FROM (SELECT {asked.holders} AS holders FROM "
        f"(SELECT {value} AS coded, * FROM cell) WHERE coded IS NOT NULL GROUP BY coded)"
    )
    return fewest is not None and int(str(fewest)) >= asked.k


def _generalise(session: Session, asked: Asked) -> str | None:
    top = int(str(session.scalar("SELECT coalesce(max(level), 0) FROM rung")))
    for level in range(asked.level + 1, top + 1):
        label = f"(SELECT max(label) FROM rung WHERE raw = value AND level = {level})"
        if _holds(session, asked, label):
            return f"{{generalise: {{at_least: {level}}}}}"
    return None


def _code(session: Session, asked: Asked) -> str | None:
    number = "TRY_CAST(value AS DOUBLE)"
    finest = ", ".join(f"bool_and(v = round(v, {places})) AS to{places}" for places in range(5))
    facts = session.fetch(
        f"SELECT {finest}, count(v) AS cells, quantile_cont(v, {TAIL / 2}) AS low, "
        f"quantile_cont(v, {1 - TAIL / 2}) AS high, min(v) AS first, max(v) AS last, "
        f"count(DISTINCT subject) AS people FROM (SELECT {number} AS v, subject FROM cell)"
    ).to_pylist()[0]
    if not facts["cells"] or facts["first"] == facts["last"]:
        return None
    # No more steps than groups of k: a shorter one cannot do.
    shortest = (facts["high"] - facts["low"]) * asked.k / max(facts["people"], 1)
    places = next((places for places in range(5) if facts[f"to{places}"]), 6)
    shortest = max(shortest, 10.0**-places)
    best, least = None, math.inf
    for step in _ladder(shortest, facts["last"] - facts["first"], asked.whole):
        if step > 8 * least:  # what rounding alone costs is about a quarter of the step
            break
        ends = _ends(session, asked, number, step, facts["cells"])
        if ends is None or not _holds(session, asked, coded := _coded(number, step, *ends)):
            continue
        moved = session.scalar(f"SELECT avg(abs({coded} - {number})) FROM cell")
        if float(str(moved)) < least:
            best, least = _said(step, *ends), float(str(moved))
    return best


def _said(step: float, bottom: float | None, top: float | None) -> str:
    said = [f"round: {_spelled(step)}"]
    said += [f"bottom: {_spelled(bottom)}"] if bottom is not None else []
    said += [f"top: {_spelled(top)}"] if top is not None else []
    return f"{{code: {{{', '.join(said)}}}}}"


def _ladder(shortest: float, longest: float, whole: bool) -> Iterator[float]:
    """Steps of 1, 2, 2.5, 5 and so on."""
    exponent = math.floor(math.log10(shortest))
    while True:
        for factor in _STEPS:
            step = float(f"{factor * 10.0**exponent:.12g}")
            if step > 2 * longest:
                return
            if step >= shortest and not (whole and step % 1):
                yield step
        exponent += 1


def _ends(
    session: Session, asked: Asked, number: str, step: float, cells: int
) -> tuple[float | None, float | None] | None:
    """Where to cut, so that steps that too few hold are all in a tail; None where one is not."""
    groups = session.fetch(
        f"SELECT coded, {asked.holders} AS holders, count(*) AS cells FROM "
        f"(SELECT {_coded(number, step, None, None)} AS coded, * FROM cell) "
        "WHERE coded IS NOT NULL GROUP BY coded ORDER BY coded"
    ).to_pylist()
    if not groups:
        return None
    bottom = _cut(groups, asked.k, TAIL * cells)
    top = _cut(groups[::-1], asked.k, TAIL * cells)
    between = [
        group
        for group in groups
        if (bottom is None or group["coded"] > bottom) and (top is None or group["coded"] < top)
    ]
    if any(group["holders"] < asked.k for group in between):
        return None
    if bottom is not None and top is not None and bottom >= top:
        return None
    return bottom, top


def _cut(groups: Sequence[dict[str, float]], k: int, most: float) -> float | None:
    """The value that the rare ones at this end become; None where this end has none."""
    cells = holders = 0.0
    cut: int | None = None
    enough = False
    for place, group in enumerate(groups):
        cells += group["cells"]
        holders += group["holders"]
        if cells > most:
            break
        if group["holders"] < k:
            cut, enough = place, holders >= k
    if cut is None:
        return None
    # The rare ones alone may not be enough: the next value takes them in.
    return groups[min(cut if enough else cut + 1, len(groups) - 1)]["coded"]


def _coded(number: str, step: float, bottom: float | None, top: float | None) -> str:
    """SQL of a number cut at its ends, then rounded to a multiple of the step."""
    cut = number
    if bottom is not None:
        cut = f"greatest({cut}, {bottom!r}::DOUBLE)"
    if top is not None:
        cut = f"least({cut}, {top!r}::DOUBLE)"
    # An ending such as 0.30000000000000004 would be a value of its own.
    return f"round(round(CASE WHEN {number} IS NOT NULL THEN {cut} END / {step!r}) * {step!r}, 9)"


def _spelled(number: float) -> str:
    return f"{number:.0f}" if float(number).is_integer() else f"{number:.12g}"


def _date(session: Session, asked: Asked) -> str | None:
    day = f"({date_of('value::VARCHAR')})"
    for unit in DATE_UNITS[DATE_UNITS.index(asked.floor) :]:
        if _holds(session, asked, f"date_trunc('{unit}', {day})"):
            return f"{{date: {unit}}}"
    return None


def _date_type(session: Session) -> str:
    """Write how a config declares dates that are spelled as these are."""
    for spelled in DATE_FORMATS:
        day = f"try_strptime(value::VARCHAR, {literals([spelled])})"
        if session.scalar(f"SELECT bool_and({day} IS NOT NULL) FROM cell WHERE value IS NOT NULL"):
            iso = spelled == "%Y-%m-%d"
            return "`type: date`" if iso else f"`type: date` and `date_format: '{spelled}'`"
    return "`type: date`, once all are spelled as 2024-05-31 is"


def _suppress(session: Session, asked: Asked) -> str | None:
    session.run(
        f"CREATE OR REPLACE TEMP TABLE holder AS SELECT value, {asked.holders} AS holders, "
        "count(*) AS cells FROM cell WHERE value IS NOT NULL GROUP BY value"
    )
    # Rare cells are found among the rows above, of which the search may suppress some: whoever has
    # at most as many rows there as a value that fails here must go, too.
    least = session.scalar(
        f"SELECT max(rows) + 1 FROM lot JOIN holder USING (value) WHERE holders < {asked.k}"
    )
    if least is None:
        return None
    fewer_than = max(int(str(least)), asked.k)
    lost = session.scalar(
        f"SELECT coalesce(sum(cells) FILTER (WHERE rows < {fewer_than}), 0) / sum(cells) "
        "FROM lot JOIN holder USING (value)"
    )
    if lost is None or float(str(lost)) > LOST:
        return None
    return f"{{suppress_cells: {{fewer_than: {fewer_than}}}}}"


def _prefix(session: Session, asked: Asked) -> str | None:
    # A beginning says something of a code; of a name or a sentence it does not.
    code = "regexp_full_match(value, '[A-Za-z]{0,4}[0-9][A-Za-z0-9./-]{0,9}')"
    if not session.scalar(f"SELECT bool_and({code}) FROM cell WHERE value IS NOT NULL"):
        return None
    longest = int(str(session.scalar("SELECT max(length(value)) FROM cell")))
    for length in range(longest - 1, 0, -1):
        if _holds(session, asked, f"left(value, {length})"):
            return f"{{prefix: {length}}}"
    return None
