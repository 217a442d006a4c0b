"""How many examples of a property are tried."""

from __future__ import annotations

import os

ALL = "STEPDOWN_ALL_EXAMPLES"
"""Set by tests/long, which tries all of them, others for every seed."""


def examples(number: int) -> int:
    """All, or a quarter of them, at least three; then the same in every run."""
    return number if os.environ.get(ALL) else max(3, number // 4)
