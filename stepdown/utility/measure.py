"""Measure a candidate: what its protection cost, on the bytes that were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig, tier_policy, treatment_of
from stepdown.config.treatments import TruncatePrefix
from stepdown.engine import Session, quote
from stepdown.opened import DATA, PARENT, Opened
from stepdown.reports import ColumnUtility, UtilityReport
from stepdown.utility.cells import CATEGORY, DATE, NUMBER, read_cells
from stepdown.utility.columns import (
    Column,
    People,
    mean_errors,
    mean_il1s,
    share,
    sides_of,
)
from stepdown.utility.information_loss import ClassSizes, Labelled, information_loss
from stepdown.utility.leaves import (
    as_nodes,
    find_nodes,
    midpoints,
    prefix_leaves,
    read_leaves,
)
from stepdown.utility.pairs import (
    MOST_COLUMNS,
    Plan,
    correlation_change,
    cramers_v_change,
    make_rows,
)
from stepdown.vocabulary import IDENTIFYING, ColumnType, Role, Tier

_KINDS = {
    ColumnType.INTEGER: NUMBER,
    ColumnType.NUMBER: NUMBER,
    ColumnType.DATE: DATE,
    ColumnType.TIMESTAMP: DATE,
}


def measure_utility(opened: Opened) -> UtilityReport:
    """What a candidate's protection cost its readers, against the tier above it.

    A label stands for its leaves: its cells are spread evenly over them where distributions are
    compared, and count as the middle between the outermost of them where a number is needed.
    """
    candidate, parent, loaded = opened.candidate, opened.parent, opened.loaded
    assert parent is not None
    with opened.session.aside() as session:
        columns = _columns(session, candidate, loaded.config)
        above, released = sides_of(columns, PARENT, DATA)
        plan, notes = _plan(columns, loaded.config)
        make_rows(session, "above_rows", above, above, plan)
        make_rows(session, "released_rows", released, above, plan)
        errors = mean_errors(session, plan)
        gone = _suppressed_cells(session, list(columns))
        k = tier_policy(loaded.config, candidate.tier).smallest_class
        people = People.of(session, k)
        measured = {
            name: column.measured(errors.get(name), gone.get(name, 0))
            if column.above is not None
            else ColumnUtility(
                CATEGORY, missing=share(column.released.missing, column.released.rows)
            )
            for name, column in columns.items()
        }
        # Internal's labels are values as they were collected: no report may hold one.
        charted = {} if candidate.tier is Tier.INTERNAL else columns
        for name, column in charted.items():
            bins = column.bins(session, people)
            measured[name] = replace(
                measured[name], bins=bins.names, before=bins.before, after=bins.after
            )
        return UtilityReport(
            sha256=candidate.data.sha256,
            records_above=parent.rows,
            records=candidate.data.rows,
            columns=measured,
            information_loss=_losses(session, candidate, parent, loaded.config, columns),
            il1s=mean_il1s(list(measured.values())),
            correlation_change=correlation_change(session, plan, "above_rows", "released_rows"),
            cramers_v_change=cramers_v_change(session, plan, "above_rows", "released_rows"),
            notes=notes,
        )


def _columns(session: Session, candidate: Candidate, config: ReleaseConfig) -> dict[str, Column]:
    held = set(session.columns(PARENT))
    names = [name for name in session.columns(DATA) if name in config.columns]
    kinds = {name: _KINDS.get(config.columns[name].type, CATEGORY) for name in names}
    hierarchies = read_leaves(candidate.hierarchies.path, kinds)
    found = {}
    for name in names:
        kind = kinds[name]
        released = read_cells(session, DATA, name, kind)
        if name not in held or config.columns[name].role in IDENTIFYING:
            found[name] = Column(name, CATEGORY, None, released, None, None, None)
            continue
        above = read_cells(session, PARENT, name, kind)
        leaves = hierarchies.get(name)
        treatment = treatment_of(config, name, candidate.tier)
        levels = candidate.report.levels_of(name)
        level = levels[0] if len(levels) == 1 else None
        if leaves is None and isinstance(treatment, TruncatePrefix):
            leaves, level = prefix_leaves(above.texts, treatment.prefix), 1
        if leaves is None:
            found[name] = Column(name, kind, above, released, None, None, None)
            continue
        nodes = find_nodes(leaves, released.texts, level)
        above_nodes = find_nodes(leaves, above.texts)
        if kind != CATEGORY:
            released = replace(released, points=midpoints(leaves, nodes))
            above = replace(above, points=midpoints(leaves, above_nodes))
        found[name] = Column(name, kind, above, released, leaves, above_nodes, nodes, True)
    return found


def _plan(columns: Mapping[str, Column], config: ReleaseConfig) -> tuple[Plan, tuple[str, ...]]:
    compared = {n: c for n, c in columns.items() if c.above is not None}
    numbers = {name: column.kind for name, column in compared.items() if column.kind != CATEGORY}
    correlated = [
        name
        for name, kind in numbers.items()
        if kind == NUMBER and config.columns[name].role is not Role.WEIGHT
    ]
    roles = (Role.QUASI_IDENTIFIER, Role.SENSITIVE)
    grouped = [name for name in compared if config.columns[name].role in roles]
    notes = [
        f"{what} looks at the first {MOST_COLUMNS} columns, not at "
        + ", ".join(chosen[MOST_COLUMNS:])
        for what, chosen in (("correlation_change", correlated), ("cramers_v_change", grouped))
        if len(chosen) > MOST_COLUMNS
    ]
    return Plan(numbers, correlated[:MOST_COLUMNS], grouped[:MOST_COLUMNS]), tuple(notes)


def _suppressed_cells(session: Session, columns: list[str]) -> dict[str, int]:
    """Column → released cells that are missing although the parent's is not."""
    held = set(session.columns(PARENT))
    columns = [name for name in columns if name in held]
    counts = ", ".join(f"count(*) - count({quote(name)})" for name in columns)
    if not columns:
        return {}
    missing = session.fetch(f"SELECT {counts} FROM {DATA}").to_pylist()[0].values()
    some = [name for name, many in zip(columns, missing, strict=True) if many]
    if not some:
        return {}
    sums = ", ".join(
        f"count(*) FILTER (d.{quote(name)} IS NULL AND p.{quote(name)} IS NOT NULL)"
        for name in some
    )
    found = session.fetch(f"SELECT {sums} FROM {DATA} d JOIN {PARENT} p USING (_row_id)")
    return dict(zip(some, found.to_pylist()[0].values(), strict=True))


def _losses(
    session: Session,
    candidate: Candidate,
    parent: ArtifactRef,
    config: ReleaseConfig,
    columns: Mapping[str, Column],
) -> dict[str, float]:
    names = [n for n in columns if config.columns[n].role is Role.QUASI_IDENTIFIER]
    labelled = [
        _labelled(columns[name], config.columns[name].loss_weight)
        for name in names
        if columns[name].above is not None
    ]
    if not labelled:
        return {}
    suppressed = candidate.report.suppressed_records
    return information_loss(
        labelled,
        class_sizes(session, DATA, names),
        suppressed,
        all_known=candidate.data.rows + suppressed == parent.rows,
    )


def class_sizes(session: Session, relation: str, columns: list[str]) -> ClassSizes:
    """The classes of a file by its quasi-identifiers, in rows."""
    keys = ", ".join(quote(name) for name in columns)
    found = session.fetch(
        "SELECT count(*) AS classes, coalesce(sum(n * n), 0)::DOUBLE AS squares FROM "
        f"(SELECT count(*)::HUGEINT AS n FROM {relation} GROUP BY {keys})"
    ).to_pylist()[0]
    return ClassSizes(int(found["classes"]), float(found["squares"]))


def _labelled(column: Column, weight: float) -> Labelled:
    above, released = column.above, column.released
    assert above is not None
    if column.leaves is None or column.nodes is None or column.above_nodes is None:
        same = as_nodes(above.texts), as_nodes(released.texts, above.texts)
        return Labelled(None, same[0], above.counts, same[1], released.counts, weight)
    return Labelled(
        column.leaves, column.above_nodes, above.counts, column.nodes, released.counts, weight
    )
