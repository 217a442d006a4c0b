"""Find the sensitive values that are left when several views of the same people are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.risk.classes.classes import Ints

Flags = npt.NDArray[np.bool_]
_Words = npt.NDArray[np.uint64]

ABSENT = -1
"""The group of a target who is not in a view, and the code of a missing value."""
_BITS = 64


@dataclass(frozen=True)
class Sight:
    """What one release shows of everybody.

    Args:
        groups: shape (n_pairs,), int ≥ 0: a set of records in which a target may be.
        values: shape (n_pairs,), int: a sensitive value that the group shows, ``ABSENT`` for a
            missing one. Pairs may repeat, so that every record may stand for one.
        targets: shape (n_targets,), int: each target's group, ``ABSENT`` where the release does
            not hold them and so says nothing of them.
    """

    groups: Ints
    values: Ints
    targets: Ints


@dataclass(frozen=True)
class Pinned:
    """Targets whose only remaining value is their own.

    Args:
        alone: shape (n_views, n_targets), bool: by each view by itself.
        jointly: shape (n_targets,), bool: by all of them together.
    """

    alone: Flags
    jointly: Flags

    @property
    def jointly_only(self) -> Flags:
        """Targets pinned by all views together and by none of them alone."""
        found: Flags = self.jointly & ~self.alone.any(axis=0)
        return found


def pinned(sights: Sequence[Sight], truth: Ints) -> Pinned:
    """Find the targets whose sensitive value is the only one that every view allows.

    A view allows the sensitive values of the target's group, and views together those that all of
    them allow. What is missing neither counts nor hides: see ``homogeneity``.

    Args:
        sights: one per release, over the same targets and the same codes of values.
        truth: shape (n_targets,), int: each target's own value; ``ABSENT`` is never pinned.

    Source: Ganta, Kasiviswanathan & Smith 2008, doi:10.1145/1401890.1401926: the intersection
    attack on independent releases.

    >>> one = Sight(np.array([0, 0]), np.array([3, 5]), np.array([0]))
    >>> other = Sight(np.array([7, 7]), np.array([3, 4]), np.array([7]))
    >>> pinned([one, other], np.array([3])).jointly_only
    array([ True])
    """
    values = 1 + max(
        int(codes.max(initial=ABSENT)) for codes in (truth, *(s.values for s in sights))
    )
    left = np.zeros((len(sights) + 1, len(truth)), np.int64)
    right = np.ones((len(sights) + 1, len(truth)), np.bool_) & (truth != ABSENT)
    # Sets of values as bits, a word at a time: memory stays that of the targets however many
    # values there are.
    for word in range(-(-values // _BITS)):
        own = _bits(truth, word)
        together = np.full(len(truth), np.iinfo(np.uint64).max, np.uint64)
        for i, sight in enumerate(sights):
            allowed = _allowed(sight, word)
            left[i] += np.bitwise_count(allowed)
            right[i] &= (allowed & own) == own
            together &= allowed
        left[-1] += np.bitwise_count(together)
        right[-1] &= (together & own) == own
    found = (left == 1) & right
    return Pinned(found[:-1], found[-1])


def _bits(values: Ints, word: int) -> _Words:
    here = (values >= 0) & (values // _BITS == word)
    bits = np.left_shift(np.uint64(1), (values % _BITS).astype(np.uint64))
    return np.where(here, bits, np.uint64(0))


def _allowed(sight: Sight, word: int) -> _Words:
    groups = 1 + int(max(sight.groups.max(initial=0), sight.targets.max(initial=0)))
    held = np.zeros(groups, np.uint64)
    np.bitwise_or.at(held, sight.groups, _bits(sight.values, word))
    absent = sight.targets == ABSENT
    everything = np.uint64(np.iinfo(np.uint64).max)
    return np.where(absent, everything, held[np.where(absent, 0, sight.targets)])
