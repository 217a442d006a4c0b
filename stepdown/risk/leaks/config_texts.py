"""Search a config's own texts for identifiers of somebody in the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.types as pat

from stepdown.artifacts import ArtifactRef
from stepdown.config import LoadedConfig
from stepdown.config.texts import config_texts, names_staff
from stepdown.engine.session import Session, literals, open_session, quote
from stepdown.risk.leaks.tokens import find_grams, permit, publish_texts, start_search, withheld
from stepdown.vocabulary import IDENTIFYING, Role

_DIGITS_ENOUGH = 7
"""Fewest digits of a number that is searched in a config, which holds no counts and no sizes."""


def check_config_texts(
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    permitted: Iterable[str] = (),
    scratch: str | Path | None = None,
) -> tuple[str, ...]:
    """Titles, descriptions, reasons and terms that repeat an identifier: a sentence per key.

    An identifier of one word (a family name, say) is not found in the keys that name staff, unless
    a second identifier of the same record is there too.

    Args:
        snapshot: the pinned source; its identifying columns are looked for, in all rows.
        permitted: texts that anyone may see: labels at released levels, words of every report.
        scratch: folder in which the engine may spill.

    Returns:
        sentences with the key and the identifying columns, never a value.
    """
    texts = config_texts(loaded.config)
    found = _search(snapshot, loaded, texts, permitted, scratch)
    return tuple(
        f"`{key}` in the config repeats a value of {', '.join(found[key])}"
        for key in texts
        if key in found
    )


def foresee_config_texts(
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    fixed_text: str = "",
    scratch: str | Path | None = None,
) -> tuple[str, ...]:
    """The same before there is a candidate: any declared label might be released, so none counts.

    Args:
        fixed_text: text that every report has, whatever the data.
    """
    return check_config_texts(snapshot, loaded, _declared(loaded, fixed_text), scratch)


def identified_by(
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    text: str,
    fixed_text: str = "",
    scratch: str | Path | None = None,
) -> list[str]:
    """The identifying columns of which a text that is about to be published repeats a value.

    Args:
        fixed_text: as for ``foresee_config_texts``; what the config says is published already.
    """
    permitted = [*_declared(loaded, fixed_text), *config_texts(loaded.config).values()]
    return _search(snapshot, loaded, {"text": text}, permitted, scratch).get("text", [])


def _search(
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    texts: Mapping[str, str],
    permitted: Iterable[str],
    scratch: str | Path | None,
) -> dict[str, list[str]]:
    with open_session(scratch) as session:
        session.attach_parquet("snapshot", snapshot.path)
        start_search(session)
        publish_texts(session, {key: [text] for key, text in texts.items()})
        permit(session, permitted)
        return _columns_found(session, loaded, [key for key in texts if names_staff(key)])


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
    config = loaded.config
    schema = session.fetch("SELECT * FROM snapshot LIMIT 0").schema
    parts = []
    for name in config.names(*IDENTIFYING):
        kind = schema.field(name).type
        if not (pat.is_string(kind) or pat.is_large_string(kind) or pat.is_integer(kind)):
            continue  # dates and fractions name nobody by themselves
        is_note = config.columns[name].role is Role.FREE_TEXT
        parts += [
            f"SELECT gram, record, {literals([name])} AS of_column FROM ({part})"
            for part in withheld(
                f"(SELECT file_row_number AS record, {quote(name)}::VARCHAR AS cell FROM snapshot)",
                "cell",
                is_note=is_note,
                either_order=True,
                digits=_DIGITS_ENOUGH,
                keep=("record",),
            )
        ]
    if not parts:
        return {}
    find_grams(session, _DIGITS_ENOUGH)
    lone = f"place IN ({literals(staff)}) AND NOT contains(gram, ' ') AND gram ~ '.*\\D.*'"
    found = session.fetch(
        f"WITH withheld AS ({' UNION ALL '.join(parts)}), hits AS (SELECT * FROM withheld JOIN "
        "(SELECT DISTINCT place, gram FROM grams WHERE place IS NOT NULL "
        "AND gram NOT IN (SELECT gram FROM grams WHERE place IS NULL)) USING (gram)), "
        "counted AS (SELECT place, record, of_column, "
        f"{lone if staff else 'false'} AS lone, "
        "count(DISTINCT of_column) OVER (PARTITION BY place, record) AS together FROM hits) "
        "SELECT DISTINCT place, of_column FROM counted WHERE NOT lone OR together > 1"
    ).to_pylist()
    columns: dict[str, list[str]] = {}
    for name in config.columns:
        for hit in found:
            if hit["of_column"] == name:
                columns.setdefault(hit["place"], []).append(name)
    return columns
