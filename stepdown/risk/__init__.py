"""Measure what an intruder could do with a file, on its written bytes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdown.risk.assess import assess_risk
    from stepdown.risk.file import assess_file
    from stepdown.risk.leaks.joins import copies_do_not_join
    from stepdown.risk.leaks.joint import joint_view
    from stepdown.risk.leaks.residue import check_texts
    from stepdown.risk.leaks.value_joins import copies_do_not_join_by_values

__all__ = [
    "assess_file",
    "assess_risk",
    "check_texts",
    "copies_do_not_join",
    "copies_do_not_join_by_values",
    "joint_view",
]

_HOMES = {
    "assess_file": "file",
    "assess_risk": "assess",
    "check_texts": "leaks.residue",
    "copies_do_not_join": "leaks.joins",
    "copies_do_not_join_by_values": "leaks.value_joins",
    "joint_view": "leaks.joint",
}


def __getattr__(name: str) -> object:
    # Imported when first wanted: measuring one file needs no config, no engine and no tiers.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
