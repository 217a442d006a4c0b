"""Texts as sequences of words, and which of them are a withheld person's identifier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa

from stepdown.engine.session import Session

LONG_ENOUGH = 6
"""Fewest characters of an identifier that is searched everywhere: shorter ones occur by chance."""
DIGITS_ENOUGH = 9
"""Fewest digits of an identifier made of digits only: shorter ones are counts, sizes and dates."""
_MOST_WORDS = 8
_NOTE_WORDS = 5

_WORDS = (
    "list_filter(regexp_split_to_array(lower({text}), '[^\\p{{L}}\\p{{N}}]+'), "
    "lambda word: word <> '')"
)
_NUMBERS = "regexp_extract_all({text}, '\\+?\\d[\\d\\-\\.\\(\\) /]*\\d')"


def prepare_withheld(
    session: Session, source: str, identifiers: Sequence[str], notes: Sequence[str]
) -> None:
    """Leave ``withheld`` (``gram``): what must not occur in any published text.

    An identifier is its words in lower case, joined by a space, where it has at least
    ``LONG_ENOUGH`` characters and is not made of digits only; with ``DIGITS_ENOUGH`` digits and no
    letter it is its digits. A note (free text) is every run of five of its words, or the whole of
    one that has three or four.

    Args:
        session: holds the relation ``source``.
        source: its name.
        identifiers, notes: quoted text columns of it.
    """
    session.run("CREATE OR REPLACE TEMP TABLE withheld (gram VARCHAR)")
    for column in identifiers:
        session.run(
            "INSERT INTO withheld SELECT array_to_string(words, ' ') AS gram FROM "
            f"(SELECT {_WORDS.format(text=column)} AS words "
            f"FROM (SELECT DISTINCT {column} FROM {source} WHERE {column} IS NOT NULL)) "
            f"WHERE len(words) BETWEEN 1 AND {_MOST_WORDS} AND length(gram) >= {LONG_ENOUGH} "
            "AND regexp_matches(gram, '\\p{L}')"
        )
        session.run(
            "INSERT INTO withheld SELECT regexp_replace(text, '\\D', '', 'g') AS gram FROM "
            f"(SELECT DISTINCT {column} AS text FROM {source} WHERE {column} IS NOT NULL) "
            f"WHERE NOT regexp_matches(text, '\\p{{L}}') AND length(gram) >= {DIGITS_ENOUGH}"
        )
    for column in notes:
        session.run(
            "INSERT INTO withheld "
            f"SELECT array_to_string(words[i:i + {_NOTE_WORDS - 1}], ' ') FROM (SELECT words, "
            f"unnest(range(1, greatest(2, len(words) - {_NOTE_WORDS - 2}))) AS i FROM "
            f"(SELECT {_WORDS.format(text=column)} AS words "
            f"FROM (SELECT DISTINCT {column} FROM {source} WHERE {column} IS NOT NULL)) "
            "WHERE len(words) >= 3)"
        )
    session.run("CREATE OR REPLACE TEMP TABLE withheld AS SELECT DISTINCT gram FROM withheld")


def permit(session: Session, texts: Iterable[str | None]) -> None:
    """Take out of ``withheld`` what occurs, as whole words, in texts that anyone may see."""
    _attach(session, "permitted_text", texts)
    _grams(session, "permitted_gram", "permitted_text")
    session.run("DELETE FROM withheld WHERE gram IN (SELECT gram FROM permitted_gram)")


def occurrences(session: Session, texts: Iterable[str | None]) -> int:
    """How many of the withheld identifiers occur, as whole words, in these texts."""
    _attach(session, "published_text", texts)
    return occurrences_in(session, "published_text", "text")


def occurrences_in(session: Session, relation: str, column: str) -> int:
    """The same in a quoted text column of a relation."""
    session.run(
        f"CREATE OR REPLACE TEMP TABLE searched AS SELECT DISTINCT {column} AS text "
        f"FROM {relation} WHERE {column} IS NOT NULL"
    )
    _grams(session, "published_gram", "searched")
    return int(
        str(session.scalar("SELECT count(*) FROM withheld SEMI JOIN published_gram USING (gram)"))
    )


def _attach(session: Session, name: str, texts: Iterable[str | None]) -> None:
    session.attach_arrow(name, pa.table({"text": pa.array(list(texts), pa.string())}))


def _grams(session: Session, name: str, texts: str) -> None:
    # Only as many words in a row as some withheld identifier has.
    longest = session.scalar(
        "SELECT max(length(gram) - length(replace(gram, ' ', '')) + 1) FROM withheld"
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE words AS SELECT {_WORDS.format(text='text')} AS words "
        f"FROM {texts}"
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {name} AS "
        f"SELECT regexp_replace(unnest({_NUMBERS.format(text='text')}), '\\D', '', 'g') AS gram "
        f"FROM {texts}"
    )
    for n in range(1, int(str(longest or 0)) + 1):
        session.run(
            f"INSERT INTO {name} SELECT array_to_string(words[i:i + {n - 1}], ' ') FROM "
            f"(SELECT words, unnest(range(1, len(words) - {n - 2})) AS i FROM words "
            f"WHERE len(words) >= {n})"
        )
