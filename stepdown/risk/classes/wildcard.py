"""Find the smallest class where a missing cell may stand for any value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from stepdown.engine import Session, quote
from stepdown.risk.classes.classes import ClassTable, Ints

_BLOCKS = (16, 256, 4096)


def smallest_wildcard_class(
    session: Session, classes: ClassTable, quasi_identifiers: Sequence[str]
) -> int:
    """Fewest distinct subjects that a record cannot be told from, missing matching everything.

    Two records match where every quasi-identifier agrees or is missing in either. A record matches
    its whole own class, so this is never smaller than the smallest class with missing as a value:
    that one is always the worse of the two for k. Exact.

    Classes are examined from the smallest upwards, in growing blocks, until the next one is at
    least as large as the answer found. Among the classes of a block those are dropped that match so
    many subjects already that they cannot be the smallest, and those that a class with more cells
    filled in matches: whatever matches that class matches them too, so they are no smaller.

    Args:
        session: holds ``class`` and ``class_subject`` of ``build_classes``.
        classes: of that table.
        quasi_identifiers: names of its columns.
    """
    names = list(quasi_identifiers)
    own = classes.smallest()
    if not names or not len(classes.subjects):
        return own
    bits = " + ".join(
        f"({quote(name)} IS NOT NULL)::INT * {1 << i}" for i, name in enumerate(names)
    )
    session.run(f"CREATE OR REPLACE TEMP TABLE filled AS SELECT *, {bits} AS filled FROM class")
    pattern = session.fetch("SELECT filled FROM filled ORDER BY class")["filled"].to_numpy()
    patterns = sorted(np.unique(pattern).tolist(), key=lambda p: (int(p).bit_count(), p))
    if patterns == [(1 << len(names)) - 1]:
        return own
    search = _Search(session, names, classes.subjects, pattern, patterns)
    best = np.iinfo(np.int64).max
    for block in _blocks(classes.subjects, pattern):
        if classes.subjects[block].min() >= best:
            break
        best = min(best, search.smallest_of(block, best))
        if best == own:
            break
    return int(best)


def _blocks(subjects: Ints, pattern: Ints) -> Iterator[Ints]:
    filled = np.bitwise_count(pattern)
    order = np.lexsort((-filled.astype(np.int64), subjects))
    start = 0
    for size in (*_BLOCKS, len(order)):
        block = order[start : start + size]
        if len(block):
            yield block
        start += size


class _Search:
    """The class table and what one block's examination needs of it."""

    def __init__(
        self,
        session: Session,
        names: list[str],
        subjects: Ints,
        pattern: Ints,
        patterns: list[int],
    ) -> None:
        self.session, self.names, self.subjects = session, names, subjects
        self.pattern, self.patterns = pattern, patterns
        total = session.scalar("SELECT count(DISTINCT subject) FROM class_subject")
        # Where nobody is in two classes, sizes add up; else the largest is all that is certain.
        self.disjoint = int(str(total)) == int(subjects.sum())

    def smallest_of(self, block: Ints, best: int) -> int:
        """The smallest wildcard class of a block, or ``best`` if none is smaller."""
        alive = block[self.subjects[block] < best]
        least = np.zeros(len(self.subjects), dtype=np.int64)
        found: list[tuple[Ints, Ints]] = []
        for theirs in self.patterns:
            for mine in np.unique(self.pattern[alive]).tolist():
                asking = alive[self.pattern[alive] == mine]
                candidates, matched = self._matches(asking, mine, theirs)
                if mine != theirs and mine & theirs == mine:
                    alive = np.setdiff1d(alive, candidates)
                    continue
                if self.disjoint:
                    np.add.at(least, candidates, self.subjects[matched])
                else:
                    np.maximum.at(least, candidates, self.subjects[matched])
                found.append((candidates, matched))
            alive = alive[least[alive] < best]
        if not len(alive):
            return best
        if self.disjoint:
            return int(least[alive].min())
        return min(best, self._distinct(alive, found))

    def _matches(self, asking: Ints, mine: int, theirs: int) -> tuple[Ints, Ints]:
        if not len(asking):
            return asking, asking
        self.session.attach_arrow("asking", pa.table({"class": asking}))
        both = [quote(name) for i, name in enumerate(self.names) if mine & theirs & (1 << i)]
        same = " AND ".join(f"mine.{name} = theirs.{name}" for name in both) or "true"
        pairs = self.session.fetch(
            "SELECT mine.class AS candidate, theirs.class AS matched FROM "
            "(SELECT filled.* FROM filled JOIN asking USING (class)) AS mine JOIN "
            f"(SELECT * FROM filled WHERE filled = {theirs}) AS theirs ON {same}"
        )
        return pairs["candidate"].to_numpy(), pairs["matched"].to_numpy()

    def _distinct(self, alive: Ints, found: list[tuple[Ints, Ints]]) -> int:
        candidate = np.concatenate([pair[0] for pair in found])
        matched = np.concatenate([pair[1] for pair in found])
        kept = np.isin(candidate, alive)
        pairs = pa.table({"candidate": candidate[kept], "class": matched[kept]})
        self.session.attach_arrow("pairs", pairs)
        least = self.session.scalar(
            "SELECT min(n) FROM (SELECT count(DISTINCT subject) AS n FROM pairs "
            "JOIN class_subject USING (class) GROUP BY candidate)"
        )
        return int(str(least))
