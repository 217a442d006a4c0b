"""Scan, count and apply: the only place that knows the engine."""

from stepdown.engine.named_rows import (
    NamedRows,
    lineage_rows,
    parquet_rows,
    released_rows,
    rows_above,
    source_rows,
)
from stepdown.engine.session import Session, open_session
from stepdown.engine.texts import file_literal, literals, quote

__all__ = [
    "NamedRows",
    "Session",
    "file_literal",
    "lineage_rows",
    "literals",
    "open_session",
    "parquet_rows",
    "quote",
    "released_rows",
    "rows_above",
    "source_rows",
]
