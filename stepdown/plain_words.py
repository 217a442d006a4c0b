"""Put numbers into sentences that are right for 1, too."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(2000, "row"), counted(2, "person", "people")
    ('1 row', '2,000 rows', '2 people')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(["owner"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('owner', 'a and b', 'a, b and c')
    """
    *first, last = names or ("nobody",)
    return f"{', '.join(first)} and {last}" if first else last
