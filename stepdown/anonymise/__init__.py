"""Derive a safer table from a table: build hierarchies, search their levels, recode."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdown.anonymise.tiers.derive import derive_copy, derive_tier
    from stepdown.anonymise.tiers.keys import keys_needed

__all__ = ["derive_copy", "derive_tier", "keys_needed"]

_HOMES = {"derive_copy": "tiers.derive", "derive_tier": "tiers.derive", "keys_needed": "tiers.keys"}


def __getattr__(name: str) -> object:
    # Imported when first wanted: a third of a second that the command for one table can do without.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
