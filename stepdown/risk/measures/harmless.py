"""Build SQL that recognises values which reveal nothing, ``not_sensitive`` in a config."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.engine import literals
from stepdown.vocabulary import ColumnType

_COMPARED_AS = {
    ColumnType.INTEGER: "DOUBLE",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.DATE: "TIMESTAMP",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.BOOLEAN: "BOOLEAN",
}


def is_harmless(cell: str, listed: Sequence[str], type: ColumnType) -> str:
    """A condition that is true for the listed values, in whatever spelling, and never NULL.

    >>> is_harmless("c", ["45"], ColumnType.STRING)
    "coalesce((c)::VARCHAR IN ('45'), false)"
    """
    if not listed:
        return "false"
    kind = _COMPARED_AS.get(type)
    if kind is None:
        return f"coalesce(({cell})::VARCHAR IN ({literals(list(listed))}), false)"
    same = [f"TRY_CAST({literals([text])} AS {kind})" for text in listed]
    return f"coalesce(TRY_CAST(({cell}) AS {kind}) IN ({', '.join(same)}), false)"
