"""Replace values by keyed hashes: tokens that only the key's holder can make again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import pyarrow as pa

from stepdown.engine import Session, quote

TOKEN_BYTES = 16
"""128 bits: among a billion ids, two share a token with a chance of 10⁻²¹."""

Digest = Callable[[str], bytes]


def keyed_digest(key: bytes, purpose: str, column: str, size: int) -> Digest:
    """A function from a text to ``size`` bytes that nobody can compute without the key.

    Purpose and column enter the hash, so that the same value in two columns, or used for two
    purposes, gives digests that cannot be matched.

    Source: keyed BLAKE2b, RFC 7693; the column's length comes first so that no column and value
    spell another column and value.
    """
    name = column.encode()
    start = hashlib.blake2b(
        len(name).to_bytes(4, "big") + name, key=key, digest_size=size, person=purpose.encode()
    )

    def digest(value: str) -> bytes:
        state = start.copy()
        state.update(value.encode())
        return state.digest()

    return digest


def pseudonyms(key: bytes, column: str) -> Callable[[Iterable[str]], list[str]]:
    """A function from distinct values of a column to their pseudonyms, 32 hex digits each.

    >>> pseudonyms(bytes(32), "patient_id")(["a17"])
    ['0e6d2b7e3f0f8ad0e2ff1f1de2ad4d43']
    """
    digest = keyed_digest(key, "pseudonym", column, TOKEN_BYTES)
    return lambda values: [digest(value).hex() for value in values]


def replacement_table(
    session: Session,
    relation: str,
    column: str,
    replace: Callable[[Iterable[str]], list[str]],
) -> pa.Table:
    """Every distinct value of a column as text, ``value``, beside its ``replacement``.

    Missing has no line. Values leave the engine in batches, so that only the table itself is as
    long as they are many.
    """
    schema = pa.schema([("value", pa.string()), ("replacement", pa.string())])
    reader = session.stream(
        f"SELECT DISTINCT CAST({quote(column)} AS VARCHAR) AS value FROM {quote(relation)} "
        f"WHERE {quote(column)} IS NOT NULL",
        batch_rows=122_880,
    )
    batches = []
    for batch in reader:
        values = batch.column(0).cast(pa.string())
        replacements = pa.array(replace(values.to_pylist()), pa.string())
        batches.append(pa.record_batch([values, replacements], schema=schema))
    return pa.Table.from_batches(batches, schema=schema)
