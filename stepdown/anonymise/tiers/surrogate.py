"""Replace values by invented ones of the same kind, stable under the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from stepdown.anonymise.pools import load_pool
from stepdown.anonymise.tiers.pseudonymise import keyed_digest
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

    One half of the keyed hash of a value points at an entry; where that one is excluded, the other
    half points at one of those that are left. So values that are new in the data leave nearly all
    surrogates as they were. Different values may share a surrogate: where uniqueness matters, use a
    pseudonym.

    Raises:
        DemandImpossible: every entry is excluded.
    """
    allowed = [entry for entry in pool if entry not in excluded]
    if not allowed:
        raise DemandImpossible(
            f"all {len(pool)} surrogates of this kind occur in the raw data",
            where=f"column {column}",
            next="Use a pseudonym for this column, or drop it.",
        )
    digest = keyed_digest(key, "surrogate", column, 16)

    def choose(value: str) -> str:
        hashed = digest(value)
        entry = _pick(pool, hashed[:8])
        return _pick(allowed, hashed[8:]) if entry in excluded else entry

    return lambda values: [choose(value) for value in values]


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
        f"SELECT {_folded(f'trim(CAST({quote(column)} AS VARCHAR))')} FROM {quote(relation)} "
        f"WHERE {quote(column)} IS NOT NULL"
        for column in columns
    )
    found = session.fetch(
        f"SELECT DISTINCT entry FROM pool_words WHERE {_folded('word')} IN ({values})"
    )
    return frozenset(found["entry"].to_pylist())


def _folded(text: str) -> str:
    # Lower case alone keeps ı, whose capital is I, apart from i.
    return f"lower(upper({text}))"


def _pick(entries: Sequence[str], hashed: bytes) -> str:
    return entries[int.from_bytes(hashed, "big") % len(entries)]
