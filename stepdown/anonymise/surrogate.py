"""Surrogates: from a value to an invented one of the same kind, stable under the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from stepdown.anonymise.pools import load_pool
from stepdown.anonymise.pseudonymise import keyed_digest
from stepdown.config.treatments import SurrogateKind
from stepdown.engine import Session, quote
from stepdown.errors import DemandImpossible

TELLING_WORD = 6
"""A shorter word of an entry proves nothing when someone in the data bears it."""
_WORDS = re.compile(r"\w+")


def surrogates(
    key: bytes, column: str, pool: Sequence[str], excluded: frozenset[str]
) -> Callable[[Iterable[str]], list[str]]:
    """A function from distinct values of a column to entries of the pool.

    The keyed hash of a value points at an entry; where that one is excluded, the next allowed one
    stands in for it. So a value that is new in the data moves only the surrogates that were equal
    to it. Different values may share a surrogate: where uniqueness matters, use a pseudonym.

    Raises:
        DemandImpossible: every entry is excluded.
    """
    stand_in = _next_allowed(pool, excluded, column)
    digest = keyed_digest(key, "surrogate", column, 8)
    return lambda values: [
        stand_in[int.from_bytes(digest(value), "big") % len(stand_in)] for value in values
    ]


def entries_in_use(
    session: Session, relation: str, columns: Sequence[str], kind: SurrogateKind
) -> frozenset[str]:
    """Entries of a pool that would name someone real.

    Those are the entries that are, in capitals or not, a value of one of the relation's columns,
    and those one of whose words of six or more characters is.
    """
    entries, words = [], []
    for entry in load_pool(kind):
        telling = [word for word in _WORDS.findall(entry) if len(word) >= TELLING_WORD]
        entries += [entry] * (len(telling) + 1)
        words += [entry, *telling]
    session.attach_arrow("pool_words", pa.table({"entry": entries, "word": words}))
    values = " UNION ALL ".join(
        f"SELECT lower(trim(CAST({quote(column)} AS VARCHAR))) FROM {quote(relation)} "
        f"WHERE {quote(column)} IS NOT NULL"
        for column in columns
    )
    found = session.fetch(f"SELECT DISTINCT entry FROM pool_words WHERE lower(word) IN ({values})")
    return frozenset(found["entry"].to_pylist())


def _next_allowed(pool: Sequence[str], excluded: frozenset[str], column: str) -> list[str]:
    allowed = [entry for entry in pool if entry not in excluded]
    if not allowed:
        raise DemandImpossible(
            f"all {len(pool)} surrogates of this kind occur in the raw data",
            where=f"column {column}",
            next="Use a pseudonym for this column, or drop it.",
        )
    stand_in: list[str] = []
    upcoming = allowed[0]
    for entry in reversed(pool):
        upcoming = entry if entry not in excluded else upcoming
        stand_in.append(upcoming)
    return stand_in[::-1]
