"""Find how many of a list are enough, where every question costs a pass over the data."""

from __future__ import annotations

from collections.abc import Callable


def fewest(enough: Callable[[int], bool], least: int, most: int) -> int:
    """The smallest number from ``least`` on that is enough; ``most`` is not asked for.

    It looks near ``least`` in growing steps, because mostly few are enough, and then halves what
    is left. Where a larger number could fail though a smaller one is enough, another such number
    may be found.

    >>> fewest(lambda many: many >= 11, 0, 128)
    11
    """
    step = 1
    while least < most:
        middle = min(least + step - 1, (least + most) // 2)
        if enough(middle):
            most = middle
        else:
            least = middle + 1
        step *= 2
    return least
