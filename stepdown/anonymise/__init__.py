"""From a table to a safer table: hierarchies, search, recoding, derivation."""

from stepdown.anonymise.derive import derive_copy, derive_tier
from stepdown.anonymise.keys import keys_needed

__all__ = ["derive_copy", "derive_tier", "keys_needed"]
