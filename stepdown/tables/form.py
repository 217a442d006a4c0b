"""Define how a table's file is written, where it does not say so itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True)
class Form:
    """How a file is written.

    Args:
        delimiter: of a CSV; None takes the likeliest of ``, ; tab |``.
        encoding: of a CSV; None is UTF-8, or UTF-16 where the file begins with its mark.
        missing: texts that mean 'no value', and no other; None is the default of
            ``stepdown.tables.missing``.
        time_zone: in which times with a zone are read; None keeps each one's own clock.
    """

    delimiter: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] | None = None
    time_zone: str | None = None


def is_parquet(path: Path) -> bool:
    """Whether a file is taken for Parquet, by its ending; every other file is a CSV."""
    return ENDINGS.get(path.suffix.lower()) == "parquet"
