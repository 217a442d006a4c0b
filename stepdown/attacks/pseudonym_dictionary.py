"""Reverse ids that were only hashed, by hashing every id there can be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.attacks.digests import (
    COMMON,
    DIGESTS,
    FEWEST_BYTES,
    PLAIN,
    SALTED,
    Contents,
    Digest,
    beginnings,
    decoded,
    keyed,
    numbers_decoded,
    salted,
    spellings,
)
from stepdown.attacks.id_patterns import parse_pattern
from stepdown.config import treatment_of
from stepdown.config.treatments import Surrogate
from stepdown.engine import quote
from stepdown.opened import Opened, Source
from stepdown.reports import AttackResult, stable
from stepdown.risk.leaks.tokens import DIGITS_ENOUGH, LONG_ENOUGH
from stepdown.vocabulary import Role

MOST_VALUES = 200_000
"""Raw values of one column that are tried in all spellings (house rule: seconds of hashing). Where
there are more, a way that reverses some of these is tried on all."""
_PROBED = 500
"""Values of one column that are tried under the rarer digests and with salts, those of the file's
own records first: a column that was made so hits with nearly all of them."""
_CHUNK = 100_000
"""Words that are hashed at once: bounds memory, changes no answer."""
_CHANCE = 1e-9
"""Hits that chance would give less often than this are a finding: CRC32 collides."""
_HASH_LIKE = 1 << 24
"""A column of whole numbers holds hashes only if some are at least this large."""
_BARE = "regexp_replace(lower({}), '[^\\p{{L}}\\p{{N}}]+', '', 'g')"
_SOURCES = (Role.SUBJECT, Role.HOUSEHOLD, Role.DIRECT_IDENTIFIER)

Cells = dict[int, Contents]
Spell = Callable[[Sequence[str]], list[str]]


def pseudonym_dictionary(
    opened: Opened, patterns: Mapping[str, str] | None = None
) -> list[AttackResult]:
    """Share of a column's distinct values that a dictionary of hashed ids reverses.

    The dictionary: every distinct raw value of the subject, household and direct identifier
    columns, released or not, and every id that a declared pattern allows; in all usual spellings;
    under every usual digest without a key (MD5, the SHA families, BLAKE2, CRC32, some twice, HMAC
    with an empty key), and with the names of dataset and columns for salt or key. The rarer digests
    and the salts are tried on 500 values of each column first. It is compared with every cell that
    may be a hash: as hexadecimal, base64, base32 or a whole number, whole or cut to no fewer than
    four bytes. Only more hits than chance gives (below 10⁻⁹) count.

    Raw values that were not even hashed count in columns that should hold tokens (of the same
    column) or are insensitive (six characters with a letter, or nine digits); elsewhere the residue
    check looks for them.

    Args:
        patterns: column → pattern of its ids, such as ``P\\d{6}``.

    Returns:
        one result per column in which anything was reversed; else one without a column.

    Raises:
        ConfigInvalid: a pattern cannot be enumerated.

    Source: the New York taxi release of 2014, whose medallions were MD5 without a key.
    """
    parsed = {name: parse_pattern(text, name) for name, text in (patterns or {}).items()}
    with opened.aside() as opened:
        columns = [_Column.of(opened, name) for name in opened.columns]
        targets = _Targets([column for column in columns if column.cells])
        opened.session.rest()  # what is hashed is compared with arrays
        notes: list[str] = []
        if targets.columns:
            for name in opened.config.names(*_SOURCES):
                notes += _try_raw(opened, name, targets)
            for name, pattern in parsed.items():
                ids = pattern.ids()
                if len(ids) < pattern.count:
                    notes.append(f"{len(ids):,} of {pattern.count:,} ids of {name}'s pattern tried")
                _try(ids, f"{name}'s pattern", targets, opened.config.dataset, _in_both_cases)
        for column in columns:
            column.reversed["they stand in the source"] = _unhashed(opened, column.name)
    found = [_result(column, notes) for column in columns if any(column.reversed.values())]
    held = len(targets.columns)
    looked = f"{held:,} of {len(columns):,} columns hold anything that may be a hash"
    tried = sum(len(column.values) for column in targets.columns)
    note = "; ".join([looked, *notes])
    return found or [AttackResult("pseudonym_dictionary", 0.0, tried, successes=0, note=note)]


@dataclass(frozen=True)
class _Column:
    """A column of the file: its distinct values, those that may be hashes, and what was reversed:
    how (digest and source) → cells."""

    name: str
    values: pa.Array
    cells: Cells
    reversed: dict[str, set[str]]

    @classmethod
    def of(cls, opened: Opened, name: str) -> _Column:
        cell = opened.alias(name)
        values = opened.session.fetch(
            f"SELECT DISTINCT {cell} AS v FROM record WHERE {cell} IS NOT NULL"
        )["v"].combine_chunks()
        cells: Cells = {}
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            cells = decoded(values.cast(pa.string()))
        elif pa.types.is_integer(values.type) and len(values):
            least, most = (each.as_py() for each in pc.min_max(values).values())
            cells = numbers_decoded(values) if max(-least, most) >= _HASH_LIKE else {}
        return cls(name, values, cells, {})


class _Targets:
    """The columns that hold what may be hashes, and with what four bytes any of it begins."""

    def __init__(self, columns: list[_Column]) -> None:
        self.columns = columns
        known = [part.starts for column in columns for part in column.cells.values()]
        self._starts = np.unique(np.concatenate(known)) if known else np.empty(0, np.uint32)

    def likely(self, way: _Way, words: Sequence[bytes]) -> list[bytes]:
        """The words' digests that begin as a cell does, of which most are chance."""
        found: list[bytes] = []
        for start in range(0, len(words), _CHUNK):
            digests = cut = list(map(way.digest, words[start : start + _CHUNK]))
            if way.name == PLAIN:
                # Nothing shorter is looked for: what fills it up begins as nothing that counts.
                cut = [each[:FEWEST_BYTES].ljust(FEWEST_BYTES, b"\0") for each in digests]
            joined = np.frombuffer(b"".join(cut), np.uint8)
            begins = beginnings(joined.reshape(len(cut), -1))
            place = np.searchsorted(self._starts, begins).clip(max=len(self._starts) - 1)
            found += [digests[at] for at in np.flatnonzero(self._starts[place] == begins)]
        return found


def _try_raw(opened: Opened, source: str, targets: _Targets) -> Iterator[str]:
    """Try the raw values of a column; say where not all of them were."""
    session = opened.session
    # Those of the file's own records come first: they are what its cells were made from.
    session.run(
        f"CREATE OR REPLACE TEMP TABLE raw AS SELECT value, held FROM (SELECT {quote(source)}"
        "::VARCHAR AS value, bool_or(lineage._row_id IS NOT NULL) AS held FROM snapshot LEFT JOIN "
        "lineage USING (_row_id) GROUP BY value) "
        "WHERE value IS NOT NULL ORDER BY held DESC, hash(value), value"
    )
    count = int(str(session.scalar("SELECT count(*) FROM raw")))
    values = session.fetch(f"SELECT value FROM raw LIMIT {MOST_VALUES}")["value"].to_pylist()
    ways = _try(values, source, targets, opened.config.dataset, spellings)
    if count > MOST_VALUES:
        for batch in session.stream("SELECT value FROM raw", batch_rows=MOST_VALUES):
            _search(batch.column(0).to_pylist(), source, targets, ways)
        yield f"{len(values):,} of {count:,} values of {source} tried in every way"


@dataclass(frozen=True)
class _Way:
    """A spelling and a digest."""

    name: str
    digest: Digest
    spell: Spell


def _try(
    values: Sequence[str], source: str, targets: _Targets, dataset: str, spell: Spell
) -> list[_Way]:
    """Search in all ways, the rarer ones on few values first; the ways that reverse something."""
    common = [_Way(name, DIGESTS[name], spell) for name in COMMON]
    names = dict.fromkeys((dataset, source, *(column.name for column in targets.columns)))
    rarer = [_Way(name, digest, spell) for name, digest in DIGESTS.items() if name not in COMMON]
    rarer += [
        _Way(f"hmac-{name} under the name {key}", keyed(name, key.encode()), spell)
        for name in ("md5", "sha1", "sha256")
        for key in names
    ]
    for before, after in salted(names):
        spell_salted = _salting(before, after)
        rarer += [_Way(f"salted {name}", DIGESTS[name], spell_salted) for name in SALTED]
    found = _search(values, source, targets, common)
    promising = _search(values[:_PROBED], source, targets, rarer)
    _search(values, source, targets, promising)
    return found + promising


def _search(
    values: Sequence[str], source: str, targets: _Targets, ways: Sequence[_Way]
) -> list[_Way]:
    """The ways that reverse more cells of a column than chance; those cells are remembered."""
    found = []
    spelled: dict[Spell, list[bytes]] = {}
    for way in ways:
        if way.spell not in spelled:  # the same spelling comes in one run: keep the last only
            spelled = {way.spell: [word.encode() for word in way.spell(values)]}
        hits = _hits(targets, way, spelled[way.spell])
        for column, cells in zip(targets.columns, hits, strict=True):
            if cells:
                column.reversed.setdefault(f"{way.name} of {source}", set()).update(cells)
        if any(hits):
            found.append(way)
    return found


def _salting(before: str, after: str) -> Spell:
    return lambda values: [f"{before}{value.strip()}{after}" for value in values]


def _in_both_cases(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*values, *(value.lower() for value in values))))


def _hits(targets: _Targets, way: _Way, words: Sequence[bytes]) -> list[set[str]]:
    """For each column the cells whose bytes are the digest, or begin it, of some word: none of a
    length of which chance gives as many."""
    likely = targets.likely(way, words)
    found: list[set[str]] = []
    for column in targets.columns:
        found.append(set())
        for size, known in column.cells.items() if likely else ():
            hit = known.among(likely, whole=way.name == PLAIN)
            tried = len(words) * len(known.starts)
            if len(hit) and _is_no_chance(len(hit), tried / 256.0**size):
                cells = known.cells[np.isin(known.of, hit)]
                found[-1].update(map(str, column.values.take(pa.array(cells)).to_pylist()))
    return found


def _is_no_chance(count: int, mean: float) -> bool:
    # P(X ≥ count) of a Poisson number is at most mean^count / count!; a mean too small for a float
    # is never reached by chance.
    return mean == 0 or (
        count > mean and count * math.log(mean) - math.lgamma(count + 1) < math.log(_CHANCE)
    )


def _unhashed(opened: Opened, name: str) -> set[str]:
    """Distinct cells that are raw values as they were, where none should be."""
    column, cell = opened.config.columns[name], opened.alias(name)
    if column.role is Role.INSENSITIVE:
        value, known = _BARE, _keep_bare_ids(opened.source)
    elif column.role in _SOURCES:
        # An invented value may be another's true one in other letters, and tells nothing by it.
        exact = isinstance(treatment_of(opened.config, name, opened.tier), Surrogate)
        value = "{}" if exact else "lower(trim({}))"
        known = f"(SELECT {value.format(f'{quote(name)}::VARCHAR')} AS value FROM snapshot)"
    else:
        return set()
    table = opened.session.fetch(
        f"SELECT DISTINCT cell FROM (SELECT DISTINCT {cell}::VARCHAR AS cell FROM record) "
        f"WHERE {value.format('cell')} IN (SELECT value FROM {known} WHERE value IS NOT NULL)"
    )
    return set(table["cell"].to_pylist())


def _keep_bare_ids(source: Source) -> str:
    """A relation of the raw ids that say enough to be looked for in any column (``value``)."""
    names = source.loaded.config.names(*_SOURCES)
    cells = [_BARE.format(f"{quote(name)}::VARCHAR") for name in names] or ["NULL::VARCHAR"]
    raw = " UNION ".join(f"SELECT {cell} AS value FROM snapshot" for cell in cells)
    source.keep(
        "bare_ids",
        f"SELECT value FROM ({raw}) WHERE length(value) >= {LONG_ENOUGH} "
        f"AND (regexp_matches(value, '\\p{{L}}') OR length(value) >= {DIGITS_ENOUGH})",
    )
    return "bare_ids"


def _result(column: _Column, notes: list[str]) -> AttackResult:
    cells = set().union(*column.reversed.values())
    ways = [way for way, hit in column.reversed.items() if hit]
    shown = ", ".join(ways[:3]) + (f" and {len(ways) - 3} more ways" if len(ways) > 3 else "")
    return AttackResult(
        "pseudonym_dictionary",
        stable(len(cells) / len(column.values)),
        attempts=len(column.values),
        successes=len(cells),
        column=column.name,
        note="; ".join([f"reversed as {shown}", *notes]),
    )
