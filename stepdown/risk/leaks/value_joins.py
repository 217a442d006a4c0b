"""Check whether two recipients' copies can be joined row to row by their shared values."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.candidate import Candidate
from stepdown.config.policy import persisting_share
from stepdown.engine import Session, quote
from stepdown.opened import DATA, Opened
from stepdown.reports import Verdict
from stepdown.vocabulary import Role

CHECK = "copies_do_not_join_by_values"
_JOINED_ON = (Role.QUASI_IDENTIFIER, Role.INSENSITIVE, Role.WEIGHT)
"""A sensitive column is none of them: whoever has it in both copies gains by a join what the base
says, and the base is held to k, l and t on all its columns."""


def copies_do_not_join_by_values(
    copy: Opened, others: Sequence[tuple[str, Candidate]], k: int
) -> Verdict:
    """Whether few enough people of a copy are matched with one person of another copy.

    Two people match where they are the only ones, each in their file, with their values in all
    columns that both files hold (quasi-identifiers, insensitive columns and weights). On the
    quasi-identifiers alone k allows none.

    Args:
        copy: a recipient's copy.
        others: name and copy of every other recipient, of every version.
        k: the tier's smallest class; the columns are named that bring fewer candidates than this.

    Raises:
        StoreCorrupt: a file is missing or no longer the one that was written.
    """
    limit = persisting_share(copy.tier)
    worst, told, blamed = 0.0, "", ""
    for name, other in others:
        with copy.aside() as opened:
            session, shared = opened.session, _attach(opened, other)
            people, matched, few = _matched(session, shared, k)
            share = matched / people if people else 0.0
            if share <= worst:
                continue
            worst = share
            if share > limit:
                blamed = _blamed(opened, shared, k, limit)
                told = (
                    f"On the {len(shared)} columns that it shares with {name}, {matched:,} of its "
                    f"{people:,} people match exactly one person there, {few:,} fewer than {k}; "
                    f"at most {limit:.0%} may match one."
                )
    passed = worst <= limit
    return Verdict(
        CHECK,
        passed,
        told or "Few people of it are alone with what it shares with another recipient's copy.",
        "" if passed else f"Coarsen {blamed} at partner, or leave it out of one of the copies.",
        # Of what passed nothing is said that grows with other versions, or none were unchanged.
        measured=None if passed else worst,
        limit=limit,
    )


def _attach(copy: Opened, other: Candidate) -> list[str]:
    """Leave ``mine`` and ``theirs`` (``_subject_id``, the shared columns); those columns' names."""
    session, columns = copy.session, copy.config.columns
    session.attach_parquet("file", copy.source.released(other))
    mine, theirs = (
        session.fetch(f"SELECT * FROM {relation} LIMIT 0").schema for relation in (DATA, "file")
    )
    shared = [
        name
        for name in copy.columns
        if name in theirs.names
        and mine.field(name).type == theirs.field(name).type
        and columns[name].role in _JOINED_ON
    ]
    listed = ", ".join(["_subject_id", *map(quote, shared)])
    for relation, data in (("mine", DATA), ("theirs", "file")):
        session.run(f"CREATE TEMP TABLE {relation} AS SELECT {listed} FROM {data}")
    return shared


def _matched(session: Session, shared: Sequence[str], k: int) -> tuple[int, int, int]:
    """People of the copy, those who match one person of the other, those who match fewer than k."""
    people = int(str(session.scalar("SELECT count(DISTINCT _subject_id) FROM mine")))
    if not shared:
        return people, 0, 0
    listed = ", ".join(map(quote, shared))
    same = " AND ".join(f"a.{c} IS NOT DISTINCT FROM b.{c}" for c in map(quote, shared))

    def counted(relation: str) -> str:
        return (
            f"(SELECT {listed}, count(DISTINCT _subject_id) AS n, "
            f"min(_subject_id) AS _subject_id FROM {relation} GROUP BY {listed})"
        )

    (row,) = session.fetch(
        "SELECT count(DISTINCT a._subject_id) FILTER (WHERE a.n = 1 AND b.n = 1) AS one, "
        f"coalesce(sum(a.n) FILTER (WHERE b.n < {k}), 0)::BIGINT AS few "
        f"FROM {counted('mine')} AS a JOIN {counted('theirs')} AS b ON {same}"
    ).to_pylist()
    # Somebody's several rows may each have few candidates: they are one person still.
    return people, int(row["one"]), min(people, int(row["few"]))


def _blamed(copy: Opened, shared: Sequence[str], k: int, limit: float) -> str:
    """The fewest columns without which the copies no longer join, found one after the other."""
    left, taken = list(shared), []
    while left:
        shares = {
            name: _share(copy.session, [each for each in left if each != name], k) for name in left
        }
        # Of columns that do the same, one that is no quasi-identifier: k holds for those already.
        taken.append(
            min(
                left,
                key=lambda name: (
                    shares[name],
                    copy.config.columns[name].role is Role.QUASI_IDENTIFIER,
                ),
            )
        )
        left.remove(taken[-1])
        if shares[taken[-1]] <= limit:
            break
    return " and ".join(taken)


def _share(session: Session, shared: Sequence[str], k: int) -> float:
    people, matched, _ = _matched(session, shared, k)
    return matched / people if people else 0.0
