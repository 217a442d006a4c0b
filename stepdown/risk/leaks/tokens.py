"""Split texts into words, and find the withheld identifiers that occur among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from stepdown.engine import Session, literals

LONG_ENOUGH = 6
"""Fewest characters of an identifier that is searched everywhere: shorter ones occur by chance."""
DIGITS_ENOUGH = 9
"""Fewest digits of an identifier made of digits only: shorter ones are counts, sizes and dates."""
_MOST_WORDS = 8
_NOTE_WORDS = 5
_RUNS = range(1, _MOST_WORDS + 1)

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


def withheld_in(session: Session, withheld: str) -> dict[str, int]:
    """Place → how many distinct withheld identifiers occur there as whole words.

    Args:
        session: holds ``texts``.
        withheld: a SELECT of ``gram``, see ``withheld``.
    """
    find_grams(session)
    find_hits(session, withheld)
    found = session.fetch("SELECT place, count(DISTINCT gram) AS n FROM hits GROUP BY place")
    return dict(zip(*found.to_pydict().values(), strict=True))


def find_hits(session: Session, withheld: str, *, also_open: str = "false") -> None:
    """Leave ``hits``: the rows of a SELECT whose ``gram`` occurs in a text, once for each place.

    Args:
        session: holds ``grams``.
        withheld: a SELECT of ``gram`` and what else of a withheld cell is wanted.
        also_open: SQL of a place in whose texts all words may be repeated elsewhere.
    """
    # Only what is published somewhere leaves the join.
    session.run(
        f"CREATE OR REPLACE TEMP TABLE found AS SELECT * FROM ({withheld}) "
        "WHERE gram IN (SELECT gram FROM grams WHERE place IS NOT NULL) "
        "AND gram NOT IN (SELECT gram FROM grams WHERE place IS NULL)"
    )
    session.run(
        "CREATE OR REPLACE TEMP TABLE hits AS SELECT * FROM found JOIN "
        "(SELECT DISTINCT place, gram FROM grams WHERE gram IN (SELECT gram FROM found)) "
        f"USING (gram) WHERE ({also_open}) OR gram NOT IN "
        f"(SELECT gram FROM grams WHERE place IS NOT NULL AND {also_open})"
    )


def withheld(
    source: str,
    column: str,
    *,
    is_note: bool = False,
    digits: int = DIGITS_ENOUGH,
    keep: Sequence[str] = (),
) -> list[str]:
    """SELECTs of ``gram``: what stands for a withheld cell in ``grams``.

    An identifier is its words in lower case, joined by a space, where it has at least
    ``LONG_ENOUGH`` characters and at most eight words, and is not made of digits only; with enough
    digits and no letter it is its digits. A note (free text) is every run of five of its words, or
    the whole of one that has three or four.

    Args:
        source: a relation.
        column: a quoted text column of it.
        is_note: it is free text.
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
    return [named, numbers_of(source, column, digits, keep)]


def numbers_of(source: str, column: str, digits: int, keep: Sequence[str] = ()) -> str:
    """A SELECT of ``gram``: the digits of the cells without a letter that have enough of them."""
    more = "".join(f", {name}" for name in keep)
    numbers = (
        f"SELECT {_DIGITS.format(column)} AS gram{more} FROM {source} "
        f"WHERE NOT regexp_matches({column}, '\\p{{L}}')"
    )
    return f"SELECT gram{more} FROM ({numbers}) WHERE length(gram) >= {digits}"


def turned_round(source: str, column: str, keep: Sequence[str] = ()) -> str:
    """A SELECT of ``gram``: a name of several words with its last word first."""
    named, _ = withheld(source, column, keep=keep)
    more = "".join(f", {name}" for name in keep)
    return (
        f"SELECT regexp_replace(gram, '^(.*) ([^ ]+)$', '\\2 \\1') AS gram{more} "
        f"FROM ({named}) WHERE contains(gram, ' ')"
    )


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
    # Lists that are unnested side by side: a row is a word with those after it, NULL past the end.
    after = ", ".join(f"unnest(words[{n}:]) AS w{n}" for n in _RUNS)
    runs = [" || ' ' || ".join(f"w{n}" for n in range(1, many + 1)) for many in _RUNS]
    session.run(
        f"INSERT INTO grams SELECT place, gram FROM (SELECT place, unnest([{', '.join(runs)}]) "
        f"AS gram FROM (SELECT place, {after} FROM (SELECT place, "
        f"string_split({_SPACED.format('text')}, ' ') AS words FROM texts))) "
        f"WHERE length(gram) >= {LONG_ENOUGH}"
    )
