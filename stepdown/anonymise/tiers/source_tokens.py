"""Keep what later versions must know of a source as tokens, so its raw rows can be deleted.

A record is recognised by equal values and by its place among those alike, and a value is found in
a hierarchy by being equal to a leaf. Tokens keep both, and say nothing else to whoever lacks the
key; without the key nobody can compare another table with them, either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.anonymise.tables.write import write_table
from stepdown.anonymise.tiers.pseudonymise import TOKEN_BYTES, keyed_digest
from stepdown.anonymise.tiers.treat import look_up
from stepdown.artifacts import ArtifactRef, check_bytes, sha256_of
from stepdown.candidate import Candidate, Earlier
from stepdown.config import ReleaseConfig
from stepdown.engine import Session, open_session, quote, source_rows
from stepdown.errors import KeyMissing
from stepdown.keyring import Keyring
from stepdown.vocabulary import Role

MEMORY = "memory"
"""In the place of a tier in a key's name: the key of these tokens."""

COMPARED = (Role.SUBJECT, Role.QUASI_IDENTIFIER, Role.SENSITIVE, Role.INSENSITIVE)
"""Roles whose values may tell that two records are the same; one may become another later."""


def remember_snapshot(
    config: ReleaseConfig, snapshot: ArtifactRef, keyring: Keyring, folder: Path, scratch: Path
) -> ArtifactRef:
    """Write a pinned source as tokens, row by row, each under its id; what is there already stays.

    Args:
        folder: of the workspace; the file is called ``<dataset>-<sha256>-<key number>.parquet``.

    Raises:
        KeyMissing, StoreCorrupt, WorldFailed.
    """
    path = memory_path(folder, config.dataset, snapshot.sha256, keyring)
    held = pq.read_schema(snapshot.path).names
    columns = [name for name in config.names(*COMPARED) if name in held]
    # Today's config may compare columns that the one before did not.
    if not path.is_file() or not set(columns) <= set(pq.read_schema(path).names):
        folder.mkdir(mode=0o700, exist_ok=True)
        with open_session(scratch) as session:
            session.attach_parquet("source", source_rows(check_bytes(snapshot)))
            _write(_tokens(session, config.dataset, columns, keyring), path)
    return _as_it_is(path)


def remember_hierarchies(
    config: ReleaseConfig,
    candidate: Candidate,
    snapshot: ArtifactRef,
    keyring: Keyring,
    folder: Path,
    scratch: Path,
) -> ArtifactRef:
    """Write a release's hierarchies with a token in place of every leaf, likewise."""
    path = hierarchies_path(folder, config.dataset, candidate, keyring)
    if not path.is_file():
        folder.mkdir(mode=0o700, exist_ok=True)
        with open_session(scratch) as session:
            session.attach_parquet("hierarchies", check_bytes(candidate.hierarchies))
            session.attach_parquet("source", source_rows(check_bytes(snapshot)))
            columns = session.fetch('SELECT DISTINCT "column" FROM hierarchies ORDER BY ALL')
            parts = [
                _rungs(session, config.dataset, name, keyring)
                for name in columns["column"].to_pylist()
            ]
            empty = session.fetch("SELECT * FROM hierarchies LIMIT 0")
            _write(pa.concat_tables([empty, *parts], promote_options="permissive"), path)
    return _as_it_is(path)


def recall(
    config: ReleaseConfig, version: Earlier, keyring: Keyring, folder: Path, scratch: Path
) -> Earlier:
    """An earlier version with tokens in place of everything raw; one that has them stays.

    Raises:
        KeyMissing: its tokens were made with a key that was destroyed, so that they compare with
            nothing.
    """
    snapshot, candidate = version.snapshot, version.candidate
    hierarchies = candidate.hierarchies
    stand_ins = [ref for ref in (snapshot, hierarchies) if Path(ref.path).parent == folder]
    for ref in stand_ins:
        if not ref.path.endswith(f"-{_number(config.dataset, keyring)}.parquet"):
            raise KeyMissing(
                f"the key of what is remembered of {version.address} was destroyed, and its source "
                "is deleted: what it shows beside a new version cannot be measured",
                where=config.dataset,
                next="Release the data under another dataset's name, to other readers.",
            )
    places = (keyring, folder, scratch)
    # Each by itself: a deletion that was cut short leaves one of them raw.
    if hierarchies not in stand_ins:
        hierarchies = remember_hierarchies(config, candidate, snapshot, *places)
    if snapshot not in stand_ins:
        snapshot = remember_snapshot(config, snapshot, *places)
    return replace(
        version, candidate=replace(candidate, hierarchies=hierarchies), snapshot=snapshot
    )


def memory_path(folder: Path, dataset: str, sha256: str, keyring: Keyring) -> Path:
    """Where the tokens of a pinned source are, under the key in use."""
    return folder / f"{dataset}-{sha256[:16]}-{_number(dataset, keyring)}.parquet"


def hierarchies_path(folder: Path, dataset: str, candidate: Candidate, keyring: Keyring) -> Path:
    """Where a release's hierarchies are, their leaves as tokens under the key in use."""
    sha256 = candidate.hierarchies.sha256
    return folder / f"{dataset}-hierarchies-{sha256[:16]}-{_number(dataset, keyring)}.parquet"


def _number(dataset: str, keyring: Keyring) -> str:
    return keyring.newest_name(dataset, MEMORY).rsplit("/", 1)[1]


def _write(table: pa.Table, path: Path) -> None:
    # What is there already is taken as it is, so that half a file must never be there.
    temporary = path.with_name(f".{path.name}.tmp")
    write_table(table, temporary)
    os.replace(temporary, path)


def _as_it_is(path: Path) -> ArtifactRef:
    return ArtifactRef(str(path), sha256_of(path), pq.read_metadata(path).num_rows)


def _replace(dataset: str, column: str, keyring: Keyring) -> Callable[[Iterable[str]], list[str]]:
    digest = keyed_digest(keyring.newest(dataset, MEMORY), "memory", column, TOKEN_BYTES)
    return lambda values: [digest(value).hex() for value in values]


def _tokens(session: Session, dataset: str, columns: list[str], keyring: Keyring) -> pa.Table:
    expressions, joins = [], []
    for position, name in enumerate(columns):
        lookup = f"lookup_{position}"
        replacing = _replace(dataset, name, keyring)
        joins.append(look_up(session, lookup, "source", name, replacing, f"s.{quote(name)}"))
        expressions.append(f"{lookup}.replacement AS {quote(name)}")
    return session.fetch(
        f"SELECT {', '.join(['s._row_id', *expressions])} FROM source s {' '.join(joins)} "
        "ORDER BY s._row_id"
    )


def _rungs(session: Session, dataset: str, name: str, keyring: Keyring) -> pa.Table:
    """One column's lines; a leaf is spelt as the source spells it, 5 and 5.0 alike."""
    column = name.replace("'", "''")
    kind = session.scalar(f"SELECT typeof({quote(name)}) FROM source LIMIT 1") or "VARCHAR"
    session.run(
        'CREATE OR REPLACE TEMP TABLE rungs AS SELECT "column", '
        f"CAST(TRY_CAST(leaf AS {kind}) AS VARCHAR) AS leaf, leaf IS NULL AS is_missing, level, "
        f"label FROM hierarchies WHERE \"column\" = '{column}'"
    )
    joined = look_up(session, "leaves", "rungs", "leaf", _replace(dataset, name, keyring), "r.leaf")
    return session.fetch(
        'SELECT r."column", leaves.replacement AS leaf, r.level, r.label FROM rungs r '
        f"{joined} WHERE r.is_missing = (r.leaf IS NULL) ORDER BY r.level, leaf NULLS LAST, label"
    )
