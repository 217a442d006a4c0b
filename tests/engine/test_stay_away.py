"""Who left takes no more along than it takes to hide them, however many are alike."""

from __future__ import annotations

from derive_case import make_case
from opening import subtracted
from test_derive_history import (
    COLUMNS,
    K3,
    case_of,
    joined,
    partner,
    people,
    published,
    sizes,
    with_rows,
    without,
)

from stepdown.candidate import Earlier
from stepdown.vocabulary import Tier

# Eight classes of 40, in each of which 20 are alike in all that is released.
MANY = joined(*(people((40, 10 * i, "ab"), start=100 * i) for i in range(8)))
FIRST_OF_EACH = {40 * i for i in range(8)}


def test_where_many_are_alike_one_who_left_takes_no_more_along(tmp_path):
    first = case_of(tmp_path, MANY)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, without(MANY, FIRST_OF_EACH), "second")
    after = partner(second, v1, run="2")
    # Two of each illness: whoever is taken out, both are left. One of the four left by themselves.
    assert set(sizes(after).values()) == {36}
    assert after.report.held_back == 3 * 8
    assert subtracted(after, v1, second.snapshot, second.loaded).successes == 0


def test_who_joins_and_is_like_one_who_left_does_not_wait_for_their_companions(tmp_path):
    first = case_of(tmp_path, MANY)
    v1 = published(first, partner(first, run="1"))
    rows = without(MANY, FIRST_OF_EACH)
    second = with_rows(first, rows, "second")
    v2 = published(second, partner(second, v1, run="2"), "v2")
    newcomers = joined(*(people((10, 10 * i, "ab"), start=1000 + 100 * i) for i in range(8)))
    third = with_rows(first, joined(rows, newcomers), "third")
    after = partner(third, v1, v2, run="3")
    assert set(sizes(after).values()) == {46}
    assert after.report.held_back == 3 * 8
    for version in (v1, v2):
        assert subtracted(after, version, third.snapshot, third.loaded).successes == 0


def test_whom_the_tier_above_took_along_hides_who_left_below(tmp_path):
    tiers = {"internal": {}, "partner": K3, "public": K3}
    copies = {"ministry": ["age", "illness"]}
    columns = COLUMNS | {"age": COLUMNS["age"] | {"public": COLUMNS["age"]["partner"]}}
    case = make_case(tmp_path, MANY, columns, tiers, recipients=copies)
    history: dict[str, list[Earlier]] = {"partner": [], "ministry": [], "public": []}
    for run, rows in enumerate((MANY, without(MANY, FIRST_OF_EACH))):
        now = with_rows(case, rows, f"month {run}")
        internal = now.derive(Tier.INTERNAL, run=f"{run}")
        base = partner(now, *history["partner"], run=f"{run}")
        copy = now.copy("ministry", base, internal, f"{run}", history["ministry"])
        public = now.derive(Tier.PUBLIC, base, run=f"{run}", earlier=history["public"])
        for name, file in (("partner", base), ("ministry", copy), ("public", public)):
            for before in history[name]:
                assert subtracted(file, before, now.snapshot, now.loaded).successes == 0
            history[name].append(Earlier(f"clinic/{name}/v{run}", file, now.snapshot))
    held = [history[name][-1].candidate.report.held_back for name in history]
    assert held == [3 * 8, 0, 0]
