"""Search a config's own texts for identifiers of somebody in the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stepdown.config import LoadedConfig
from stepdown.config.texts import config_texts, names_staff
from stepdown.engine import Session, literals
from stepdown.opened import Source
from stepdown.risk.leaks.tokens import (
    find_grams,
    find_hits,
    permit,
    publish_texts,
    start_search,
)
from stepdown.risk.leaks.withheld import CONFIG_DIGITS_ENOUGH, withheld_grams

_DOCUMENT = "document "
_IN_DOCUMENT = f"starts_with(place, '{_DOCUMENT}')"  # no key of a config begins so


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
        return _columns_found(session, source, [key for key in texts if names_staff(key)])


def check_with_documents(
    session: Session, source: Source, documents: Mapping[str, Iterable[str]]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Search a config's texts and a release's documents at once.

    What a document repeats of the config is said of the config, and counts nowhere else.

    Args:
        session: holds in ``texts`` what anyone may see.
        source: whose config it is; its identifying columns are looked for, in all rows.
        documents: name → texts; a name is no key of a config.

    Returns:
        sentences about the config; document → distinct withheld identifiers in it.
    """
    texts = config_texts(source.loaded.config)
    publish_texts(session, {f"{_DOCUMENT}{name}": inside for name, inside in documents.items()})
    publish_texts(session, {key: [text] for key, text in texts.items()})
    columns = _columns_found(session, source, [key for key in texts if names_staff(key)])
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


def _columns_found(session: Session, source: Source, staff: list[str]) -> dict[str, list[str]]:
    """Key → identifying columns; leaves ``hits`` of the config's texts and the documents."""
    find_grams(session, CONFIG_DIGITS_ENOUGH)
    find_hits(session, withheld_grams(source), also_open=f"NOT {_IN_DOCUMENT}")
    lone = f"place IN ({literals(staff)}) AND NOT contains(gram, ' ') AND gram ~ '.*\\D.*'"
    found = session.fetch(
        "WITH counted AS (SELECT place, record, of_column, "
        f"{lone if staff else 'false'} AS lone, "
        "count(DISTINCT of_column) OVER (PARTITION BY place, record) AS together "
        f"FROM hits WHERE NOT {_IN_DOCUMENT}) "
        "SELECT DISTINCT place, of_column FROM counted WHERE NOT lone OR together > 1"
    ).to_pylist()
    columns: dict[str, list[str]] = {}
    for name in source.loaded.config.columns:
        for hit in found:
            if hit["of_column"] == name:
                columns.setdefault(hit["place"], []).append(name)
    return columns
