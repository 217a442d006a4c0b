"""Cut the withheld identifiers of a source into what is searched for, once per run."""

from __future__ import annotations

import pyarrow.types as pat

from stepdown.engine import literals, quote
from stepdown.opened import Source
from stepdown.risk.leaks.tokens import DIGITS_ENOUGH, numbers_of, turned_round, withheld
from stepdown.vocabulary import IDENTIFYING, Role

CONFIG_DIGITS_ENOUGH = 7
"""Fewest digits of a number that is searched in a config, which holds no counts and no sizes."""
_KEPT = "withheld_grams"
_NOTHING = "SELECT '' AS gram, 0 AS record, '' AS of_column, false AS in_documents WHERE false"


def withheld_grams(source: Source) -> str:
    """A SELECT of what stands for every withheld cell of a source.

    Its columns are ``gram``, ``record``, ``of_column``, and ``in_documents``: whether it counts in
    data and documents, too. They hold counts and sizes, so that a short number is searched in the
    config only, and likewise a whole number, which names nobody by itself.

    The cells are cut at the first call.
    """
    names = source.loaded.config.names(*IDENTIFYING)
    parts = [part for name in names for part in _parts(source, name)]
    source.keep(_KEPT, " UNION ALL ".join(parts) or _NOTHING)
    return f"SELECT * FROM {_KEPT}"


def _parts(source: Source, name: str) -> list[str]:
    kind = source.session.fetch(f"SELECT {quote(name)} FROM snapshot LIMIT 0").schema.field(0).type
    is_text = pat.is_string(kind) or pat.is_large_string(kind)
    if not (is_text or pat.is_integer(kind)):
        return []  # dates and fractions name nobody by themselves
    cells = f"(SELECT _row_id AS record, {quote(name)}::VARCHAR AS cell FROM snapshot)"
    keep, digits = ("record",), CONFIG_DIGITS_ENOUGH
    if not is_text:
        return [_part(numbers_of(cells, "cell", digits, keep), name, "false")]
    is_note = source.loaded.config.columns[name].role is Role.FREE_TEXT
    where_long = f"gram ~ '.*\\D.*' OR length(gram) >= {DIGITS_ENOUGH}"
    cut = withheld(cells, "cell", is_note=is_note, digits=digits, keep=keep)
    turned = [] if is_note else [_part(turned_round(cells, "cell", keep), name, "false")]
    return [*(_part(part, name, where_long) for part in cut), *turned]


def _part(cut: str, name: str, in_documents: str) -> str:
    columns = f"gram, record, {literals([name])} AS of_column, {in_documents} AS in_documents"
    return f"SELECT {columns} FROM ({cut})"
