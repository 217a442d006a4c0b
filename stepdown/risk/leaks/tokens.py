"""Split texts into words, and find the withheld identifiers that occur among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from stepdown.engine.session import Session, literals

LONG_ENOUGH = 6
"""Fewest characters of an identifier that is searched everywhere: shorter ones occur by chance."""
DIGITS_ENOUGH = 9
"""Fewest digits of an identifier made of digits only: shorter ones are counts, sizes and dates."""
_MOST_WORDS = 8
_NOTE_WORDS = 5
_PIECES = (4096, 128)
"""Words of a long text that are looked at together, cut twice: each cut copies its list."""

# Lower case, every run of other signs than letters and digits one space.
_SPACED = "trim(regexp_replace(lower({}), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))"
_DIGITS = "regexp_replace({}, '\\D', '', 'g')"
# Digits within a word with letters, such as a hexadecimal pseudonym, are no number of their own.
_NUMBERS = (
    "regexp_extract_all(regexp_replace(text, '[\\p{L}\\p{N}]*\\p{L}[\\p{L}\\p{N}]*', 'x', 'g'), "
    "'\\+?\\d[\\d\\-\\.\\(\\) /]*\\d')"
)


def start_search(session: Session) -> None:
    """Leave ``texts`` (``place``, ``text``) empty: what will be searched, and where it is."""
    session.run("CREATE OR REPLACE TEMP TABLE texts (place VARCHAR, text VARCHAR)")


def publish_column(session: Session, place: str, relation: str, column: str) -> None:
    """Add the texts of a quoted column of a relation."""
    session.run(
        f"INSERT INTO texts SELECT DISTINCT {literals([place])}, {column} "
        f"FROM {relation} WHERE length({column}) >= {LONG_ENOUGH}"
    )


def publish_texts(session: Session, texts: Mapping[str, Iterable[str]]) -> None:
    """Add texts that are in no relation, by their places."""
    _add(session, [(place, text) for place, inside in texts.items() for text in inside])


def permit(session: Session, texts: Iterable[str]) -> None:
    """Add texts that anyone may see: what occurs in them as whole words is nothing withheld."""
    _add(session, [(None, text) for text in texts])


def withheld_in(
    session: Session, source: str, identifiers: Sequence[str], notes: Sequence[str]
) -> dict[str, int]:
    """Place → how many distinct withheld identifiers occur there as whole words.

    An identifier is its words in lower case, joined by a space, where it has at least
    ``LONG_ENOUGH`` characters and at most eight words, and is not made of digits only; with
    ``DIGITS_ENOUGH`` digits and no letter it is its digits. A note (free text) is every run of five
    of its words, or the whole of one that has three or four.

    Args:
        session: holds ``texts``.
        source: a relation.
        identifiers, notes: quoted text columns of it.
    """
    parts = [part for column in identifiers for part in withheld(source, column)]
    parts += [part for column in notes for part in withheld(source, column, is_note=True)]
    if not parts:
        return {}
    find_grams(session)
    # The source is read once and never kept: only what is published somewhere leaves the join.
    found = session.fetch(
        f"WITH withheld AS ({' UNION ALL '.join(parts)}) "
        "SELECT place, count(DISTINCT gram) AS n FROM withheld JOIN "
        "(SELECT DISTINCT place, gram FROM grams WHERE place IS NOT NULL "
        "AND gram NOT IN (SELECT gram FROM grams WHERE place IS NULL)) USING (gram) GROUP BY place"
    ).to_pydict()
    return dict(zip(found["place"], found["n"], strict=True))


def withheld(
    source: str,
    column: str,
    *,
    is_note: bool = False,
    either_order: bool = False,
    digits: int = DIGITS_ENOUGH,
    keep: Sequence[str] = (),
) -> list[str]:
    """SELECTs of ``gram``: what stands for a withheld cell in ``grams``, as ``withheld_in`` says.

    Args:
        source: a relation.
        column: a quoted text column of it.
        is_note: it is free text.
        either_order: a name of several words is found with its last word first, too.
        digits: fewest digits of an identifier made of digits only.
        keep: further columns of the relation that the SELECTs pass on.
    """
    more = "".join(f", {name}" for name in keep)
    if is_note:
        return [_note(source, column, more)]
    words = f"SELECT {_SPACED.format(column)} AS gram{more} FROM {source}"
    named = (
        f"SELECT gram{more} FROM ({words} WHERE regexp_matches({column}, '\\p{{L}}')) "
        f"WHERE length(gram) >= {LONG_ENOUGH}"
    )
    numbers = (
        f"SELECT {_DIGITS.format(column)} AS gram{more} FROM {source} "
        f"WHERE NOT regexp_matches({column}, '\\p{{L}}')"
    )
    parts = [named, f"SELECT gram{more} FROM ({numbers}) WHERE length(gram) >= {digits}"]
    if either_order:
        parts.append(
            f"SELECT regexp_replace(gram, '^(.*) ([^ ]+)$', '\\2 \\1') AS gram{more} "
            f"FROM ({named}) WHERE contains(gram, ' ')"
        )
    return parts


def _note(source: str, column: str, more: str) -> str:
    run = _NOTE_WORDS - 1
    return (
        f"SELECT array_to_string(words[i:i + {run}], ' ') AS gram{more} FROM "
        f"(SELECT *, unnest(range(1, greatest(2, len(words) - {run - 1}))) AS i FROM "
        f"(SELECT string_split({_SPACED.format(column)}, ' ') AS words{more} FROM {source} "
        f"WHERE {column} IS NOT NULL) WHERE len(words) >= 3)"
    )


def _add(session: Session, texts: Sequence[tuple[str | None, str]]) -> None:
    places, contents = zip(*texts, strict=True) if texts else ((), ())
    given = {"place": pa.array(places, pa.string()), "text": pa.array(contents, pa.string())}
    session.attach_arrow("given", pa.table(given))
    session.run("INSERT INTO texts SELECT DISTINCT place, text FROM given")


def find_grams(session: Session, digits: int = DIGITS_ENOUGH) -> None:
    """Leave ``grams`` (``place``, ``gram``): runs of up to eight words, numbers as their digits."""
    session.run(
        f"CREATE OR REPLACE TEMP TABLE grams AS SELECT place, gram FROM "
        f"(SELECT place, {_DIGITS.format(f'unnest({_NUMBERS})')} AS gram FROM texts "
        f"WHERE length(text) >= {digits}) WHERE length(gram) >= {digits}"
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE spaced AS "
        f"SELECT place, {_SPACED.format('text')} AS text FROM texts"
    )
    session.run(
        f"INSERT INTO grams SELECT place, text FROM spaced "
        f"WHERE length(text) >= {LONG_ENOUGH} AND NOT contains(text, ' ')"
    )
    # A row per run of words carries the whole list with it: a report's page, which is one text of
    # ten thousand words, would need gigabytes. Pieces overlap, so that no run falls between two.
    pieces = "SELECT place, string_split(text, ' ') AS words FROM spaced WHERE contains(text, ' ')"
    for size in _PIECES:
        pieces = (
            f"SELECT place, words[i:i + {size + _MOST_WORDS - 2}] AS words FROM "
            f"(SELECT place, words, unnest(range(1, len(words) + 1, {size})) AS i FROM ({pieces}))"
        )
    session.run(f"CREATE OR REPLACE TEMP TABLE split AS {pieces}")
    for n in range(1, _MOST_WORDS + 1):
        session.run(
            f"INSERT INTO grams SELECT place, gram FROM "
            f"(SELECT place, array_to_string(words[i:i + {n - 1}], ' ') AS gram FROM "
            f"(SELECT place, words, unnest(range(1, len(words) - {n - 2})) AS i FROM split "
            f"WHERE len(words) >= {n})) WHERE length(gram) >= {LONG_ENOUGH}"
        )
