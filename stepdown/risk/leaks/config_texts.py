"""Search a config's own texts for identifiers of somebody in the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow.types as pat

from stepdown.config import LoadedConfig
from stepdown.config.texts import config_texts, names_staff
from stepdown.engine import Session, literals, quote
from stepdown.opened import Source
from stepdown.risk.leaks.tokens import (
    DIGITS_ENOUGH,
    find_grams,
    find_hits,
    permit,
    publish_texts,
    start_search,
    turned_round,
    withheld,
)
from stepdown.vocabulary import IDENTIFYING, Role

_DIGITS_ENOUGH = 7
"""Fewest digits of a number that is searched in a config, which holds no counts and no sizes."""
_DOCUMENT = "document "
_IN_DOCUMENT = f"starts_with(place, '{_DOCUMENT}')"  # no key of a config begins so
_NOTHING = "SELECT '' AS gram, 0 AS record, '' AS of_column, false AS in_documents WHERE false"


def check_config_texts(source: Source, permitted: Iterable[str] = ()) -> tuple[str, ...]:
    """Titles, descriptions, reasons and terms that repeat an identifier: a sentence per key.

    An identifier of one word (a family name, say) is not found in the keys that name staff, unless
    a second identifier of the same record is there too.

    Args:
        source: its identifying columns are looked for, in all rows.
        permitted: texts that anyone may see: labels at released levels, words of every report.

    Returns:
        sentences with the key and the identifying columns, never a value.
    """
    texts = config_texts(source.loaded.config)
    return _told(texts, _search(source, texts, permitted))


def foresee_config_texts(source: Source, fixed_text: str = "") -> tuple[str, ...]:
    """The same before there is a candidate: any declared label might be released, so none counts.

    Args:
        fixed_text: text that every report has, whatever the data.
    """
    return check_config_texts(source, _declared(source.loaded, fixed_text))


def identified_by(source: Source, text: str, fixed_text: str = "") -> list[str]:
    """The identifying columns of which a text that is about to be published repeats a value.

    Args:
        fixed_text: as for ``foresee_config_texts``; what the config says is published already.
    """
    loaded = source.loaded
    permitted = [*_declared(loaded, fixed_text), *config_texts(loaded.config).values()]
    return _search(source, {"text": text}, permitted).get("text", [])


def _search(
    source: Source, texts: Mapping[str, str], permitted: Iterable[str]
) -> dict[str, list[str]]:
    with source.session.aside() as session:
        start_search(session)
        publish_texts(session, {key: [text] for key, text in texts.items()})
        permit(session, permitted)
        return _columns_found(session, source.loaded, [key for key in texts if names_staff(key)])


def check_with_documents(
    session: Session, loaded: LoadedConfig, documents: Mapping[str, Iterable[str]]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Search a config's texts and a release's documents at once.

    What a document repeats of the config is said of the config, and counts nowhere else.

    Args:
        session: holds ``snapshot``, and in ``texts`` what anyone may see.
        documents: name → texts; a name is no key of a config.

    Returns:
        sentences about the config; document → distinct withheld identifiers in it.
    """
    texts = config_texts(loaded.config)
    publish_texts(session, {f"{_DOCUMENT}{name}": inside for name, inside in documents.items()})
    publish_texts(session, {key: [text] for key, text in texts.items()})
    columns = _columns_found(session, loaded, [key for key in texts if names_staff(key)])
    counts = session.fetch(
        "SELECT place, count(DISTINCT gram) AS n FROM hits "
        f"WHERE {_IN_DOCUMENT} AND in_documents GROUP BY place"
    ).to_pylist()
    found = {line["place"].removeprefix(_DOCUMENT): line["n"] for line in counts}
    return _told(texts, columns), found


def _told(texts: Mapping[str, str], found: Mapping[str, list[str]]) -> tuple[str, ...]:
    return tuple(
        f"`{key}` in the config repeats a value of {', '.join(found[key])}"
        for key in texts
        if key in found
    )


def _declared(loaded: LoadedConfig, fixed_text: str) -> list[str]:
    words = [fixed_text, *loaded.config.columns]
    for column in loaded.config.columns.values():
        words += column.allowed or ()
        path = getattr(column.hierarchy, "file", None)
        if path is not None and loaded.resolve(path).is_file():
            words.append(loaded.resolve(path).read_text(encoding="utf-8", errors="replace"))
        elif column.hierarchy is not None:
            words.append(column.hierarchy.model_dump_json())
    return words


def _columns_found(
    session: Session, loaded: LoadedConfig, staff: list[str]
) -> dict[str, list[str]]:
    """Key → identifying columns; leaves ``hits`` of the config's texts and the documents."""
    names = loaded.config.names(*IDENTIFYING)
    parts = [part for name in names for part in _parts(session, loaded, name)]
    find_grams(session, _DIGITS_ENOUGH)
    find_hits(session, " UNION ALL ".join(parts) or _NOTHING, also_open=f"NOT {_IN_DOCUMENT}")
    lone = f"place IN ({literals(staff)}) AND NOT contains(gram, ' ') AND gram ~ '.*\\D.*'"
    found = session.fetch(
        "WITH counted AS (SELECT place, record, of_column, "
        f"{lone if staff else 'false'} AS lone, "
        "count(DISTINCT of_column) OVER (PARTITION BY place, record) AS together "
        f"FROM hits WHERE NOT {_IN_DOCUMENT}) "
        "SELECT DISTINCT place, of_column FROM counted WHERE NOT lone OR together > 1"
    ).to_pylist()
    columns: dict[str, list[str]] = {}
    for name in loaded.config.columns:
        for hit in found:
            if hit["of_column"] == name:
                columns.setdefault(hit["place"], []).append(name)
    return columns


def _parts(session: Session, loaded: LoadedConfig, name: str) -> list[str]:
    """SELECTs of what stands for the cells of a column; ``in_documents`` where they count, too.

    Documents hold counts and sizes, so that a short number is searched in the config only, and
    likewise a whole number, which names nobody by itself.
    """
    kind = session.fetch(f"SELECT {quote(name)} FROM snapshot LIMIT 0").schema.field(0).type
    is_text = pat.is_string(kind) or pat.is_large_string(kind)
    if not (is_text or pat.is_integer(kind)):
        return []  # dates and fractions name nobody by themselves
    cells = f"(SELECT _row_id AS record, {quote(name)}::VARCHAR AS cell FROM snapshot)"
    is_note, keep = loaded.config.columns[name].role is Role.FREE_TEXT, ("record",)
    parts = withheld(cells, "cell", is_note=is_note, digits=_DIGITS_ENOUGH, keep=keep)
    where_long = f"{str(is_text).lower()} AND (gram ~ '.*\\D.*' OR length(gram) >= {DIGITS_ENOUGH})"
    turned = [] if is_note else [(turned_round(cells, "cell", keep), "false")]
    return [
        f"SELECT gram, record, {literals([name])} AS of_column, {counts} AS in_documents "
        f"FROM ({part})"
        for part, counts in [*((part, where_long) for part in parts), *turned]
    ]
