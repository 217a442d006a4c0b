"""Read the answer to a SQL query, in the types its database gives."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from sqlalchemy import URL, CursorResult, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from stepdown.config import LoadedConfig
from stepdown.errors import SourceInvalid
from stepdown.ingest.source import MIXED, Source, check_columns

CHUNK_ROWS = 20_000

_NAMES_ONLY = re.compile(r"no such (table|column|function): [\w.]+")
"""What a database may say in its own words: it names the schema and holds no value."""


@contextmanager
def open_sql(loaded: LoadedConfig) -> Iterator[Source]:
    """The records that the config's query selects, fetched in chunks.

    Raises:
        SourceInvalid: the URL, its driver, the database or the query does not work.
    """
    url = _url(loaded)
    host = f" on {url.host}" if url.host else ""
    where = f"{url.get_backend_name()} database {Path(url.database or '').name}{host}"
    try:
        engine = create_engine(_read_only(url, loaded, where), poolclass=NullPool)
    except (ImportError, NoSuchModuleError, ArgumentError):
        raise SourceInvalid(
            f"no driver for {url.drivername} is installed",
            where=where,
            next="Install it beside stepdown, or name another driver in the URL.",
        ) from None
    try:
        with engine.connect() as connection:
            streaming = connection.execution_options(stream_results=True, yield_per=CHUNK_ROWS)
            with streaming.execute(text(str(loaded.config.source.query))) as result:
                if not result.returns_rows:
                    raise _failed("it is not a SELECT", where)
                names = list(result.keys())
                check_columns(names, loaded, where, may_be_a_record=False)
                batches = _batches(result, names, list(loaded.config.columns), where)
                yield Source("sql", where, 0, (("query", each) for each in batches), lambda: None)
    except SQLAlchemyError as error:
        # Databases quote parameters and cell values, so none of their text travels on.
        raise _failed(_reason(error), where) from None
    finally:
        engine.dispose()


def _url(loaded: LoadedConfig) -> URL:
    source, where = loaded.config.source, str(loaded.path)
    given = source.url or os.environ.get(source.url_env or "")
    if not given:
        raise SourceInvalid(
            f"the environment variable {source.url_env} (source.url_env) is not set",
            where=where,
            next="Set it to the database's SQLAlchemy URL.",
        )
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise SourceInvalid(
            "the database URL is not a SQLAlchemy URL (dialect://user@host/database)",
            where=where,
            next="Correct source.url, or the variable that source.url_env names.",
        ) from None
    if source.url and url.password is not None:
        raise SourceInvalid(
            "source.url holds a password, and a config is no place for one",
            where=where,
            next="Put the URL into an environment variable and name that in source.url_env.",
        )
    return url


def _read_only(url: URL, loaded: LoadedConfig, where: str) -> URL:
    """SQLite makes the database that it does not find, and would let a query write."""
    if url.get_backend_name() != "sqlite":
        return url
    path = loaded.resolve(url.database or "")
    if not path.is_file():
        raise SourceInvalid(
            "there is no such database file",
            where=where,
            next="Its path is relative to the config; check the URL.",
        )
    return url.set(
        database=f"file:{quote(str(path))}", query={**url.query, "mode": "ro", "uri": "true"}
    )


def _reason(error: SQLAlchemyError) -> str:
    cause = getattr(error, "orig", None)
    known = _NAMES_ONLY.fullmatch(str(cause))
    state = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return known[0] if known else ", ".join(filter(None, (type(error).__name__, state)))


def _failed(reason: str, where: str) -> SourceInvalid:
    return SourceInvalid(
        f"the query of the config failed: {reason}",
        where=where,
        next="Try source.query in the database's own client; check the URL and the rights.",
    )


def _batches(
    result: CursorResult[Any], names: list[str], columns: list[str], where: str
) -> Iterator[pa.RecordBatch]:
    for rows in result.partitions(CHUNK_ROWS):
        chunk = [_array(values, where) for values in zip(*rows, strict=True)]
        fields = [
            pa.field(name, array.type, metadata={MIXED: ""} if is_mixed else None)
            for name, (array, is_mixed) in zip(names, chunk, strict=True)
        ]
        arrays = [array for array, _ in chunk]
        yield pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)).select(columns)


def _array(values: Sequence[Any], where: str) -> tuple[pa.Array, bool]:
    """One chunk of a column; where a database mixes types in it, the texts of its values."""
    zones = {value.utcoffset() for value in values if isinstance(value, dt.datetime)}
    if len(zones) > 1:
        # An array has one zone, and would move every time to it.
        return pa.array([None if value is None else _iso(value) for value in values]), True
    try:
        array = pa.array(values)
        if not isinstance(array.type, pa.BaseExtensionType):
            return array, False
        return pa.array([None if value is None else str(value) for value in values]), False  # UUIDs
    except (pa.ArrowException, OverflowError):
        if any(isinstance(value, bytes) for value in values):
            raise SourceInvalid(
                "a column mixes binary and other values",
                where=where,
                next="Convert it in source.query.",
            ) from None
        texts = [None if value is None else str(value) for value in values]
        return pa.array(texts, pa.string()), True


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)
