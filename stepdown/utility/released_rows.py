"""Count what a file shows by itself: its classes in records, and its columns' distributions.

For the published report. The data file is the only one that can be read here, so that no figure can
tell of a record that is not in it: neither bins nor bands know of the tier above.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.artifacts import ArtifactRef
from stepdown.config import ReleaseConfig, tier_policy, treatment_of
from stepdown.config.treatments import Surrogate
from stepdown.engine import Session, quote
from stepdown.opened import DATA, Opened
from stepdown.reports import CLASS_BANDS, ColumnUtility, ReleasedRows, stable
from stepdown.utility.cells import CATEGORY, DATE, NUMBER, Cells, read_cells
from stepdown.utility.charts import Bins, named_bins, range_bins
from stepdown.utility.distances import Floats, Ints
from stepdown.vocabulary import IDENTIFYING, Role, Tier

_NUMBER = re.compile(r"(?<![^\s\[(<>])-?\d+(?:\.\d+)?|\d+(?:\.\d+)?")
"""A hyphen is a sign where nothing stands before it; within ``5-9`` or ``2024-06`` it is none."""


def count_released_rows(opened: Opened) -> ReleasedRows:
    """What anybody who holds the file can count in it.

    Of the config only what it says of released columns is asked. Internal's values are as they were
    collected, and stand in the data and nowhere else: none of its columns is drawn.
    """
    data, config, tier = opened.candidate.data, opened.config, opened.tier
    with opened.session.aside(only=DATA) as session:
        return _count(session, data, config, tier)


def _count(session: Session, data: ArtifactRef, config: ReleaseConfig, tier: Tier) -> ReleasedRows:
    schema = session.fetch(f"SELECT * FROM {DATA} LIMIT 0").schema
    named = [name for name in schema.names if name in config.columns]
    keys = [name for name in named if config.columns[name].role is Role.QUASI_IDENTIFIER]
    drawn = [] if tier is Tier.INTERNAL else [n for n in named if not _stands_in(config, n, tier)]
    fewest = tier_policy(config, tier).smallest_class
    sizes, classes = _class_sizes(session, keys)
    columns = {
        name: _spread(read_cells(session, DATA, name, kind), kind, fewest)
        for name in drawn
        if (kind := _kind(schema.field(name).type))
    }
    return ReleasedRows(
        sha256=data.sha256,
        rows=data.rows,
        classes=int(classes.sum()),
        smallest_class=int(sizes.min()) if len(sizes) else 0,
        class_sizes=_by_band(sizes, classes),
        columns=columns,
    )


def _stands_in(config: ReleaseConfig, name: str, tier: Tier) -> bool:
    """Whether its values stand in for others, so that how they are spread says nothing."""
    column = config.columns[name]
    treatment = treatment_of(config, name, tier)
    return (
        column.role in IDENTIFYING or treatment == "pseudonym" or isinstance(treatment, Surrogate)
    )


def _kind(found: pa.DataType) -> str:
    if pa.types.is_integer(found) or pa.types.is_floating(found):
        return NUMBER
    if pa.types.is_date(found) or pa.types.is_timestamp(found):
        return DATE
    return CATEGORY


def _class_sizes(session: Session, keys: list[str]) -> tuple[Ints, Ints]:
    """Shape (n,) each: sizes of classes in records, and how many classes have each."""
    by = f" GROUP BY {', '.join(quote(name) for name in keys)}" if keys else ""
    found = session.fetch(
        f"SELECT n, count(*) AS classes FROM (SELECT count(*) AS n FROM {DATA}{by}) "
        "WHERE n > 0 GROUP BY n ORDER BY n"
    )
    return found["n"].to_numpy().astype(np.int64), found["classes"].to_numpy().astype(np.int64)


def _by_band(sizes: Ints, classes: Ints) -> dict[str, int]:
    band = np.searchsorted(list(CLASS_BANDS.values()), sizes, side="right") - 1
    records = np.zeros(len(CLASS_BANDS), np.int64)
    np.add.at(records, band, sizes * classes)
    return {name: int(n) for name, n in zip(CLASS_BANDS, records, strict=True)}


def _spread(cells: Cells, kind: str, fewest: int) -> ColumnUtility:
    if kind != CATEGORY:
        bins = range_bins(cells, cells, kind)
    else:
        bins, kind = _label_bins(cells, fewest)
    missing = stable(cells.missing / cells.rows) if cells.rows else 0.0
    return ColumnUtility(kind, missing=missing, bins=bins.names, after=bins.after)


def _label_bins(cells: Cells, fewest: int) -> tuple[Bins, str]:
    """Bins of texts; intervals and other labels that hold numbers go in the order of those."""
    held = np.flatnonzero(np.asarray(pc.is_valid(cells.texts)))
    texts = cells.texts.to_pylist()
    numbers = {int(i): [float(n) for n in _NUMBER.findall(texts[i])] for i in held}
    place: Floats | None = None
    if numbers and all(numbers.values()):
        place = np.full(len(texts), np.inf)
        for rank, i in enumerate(sorted(numbers, key=lambda i: (numbers[i], texts[i]))):
            place[i] = rank
    counts = cells.counts.astype(np.float64)
    bins = named_bins(cells.texts, counts, counts, cells.counts >= fewest, place)
    return bins, CATEGORY if place is None else NUMBER
