"""Copies of a growing table, month after month: nobody is isolated, and nothing is refused."""

from __future__ import annotations

import pytest
from derive_case import make_case
from growing_case import Clinic
from opening import subtracted
from test_derive_history import COLUMNS, K3, joined, partner, people, with_rows

from stepdown.candidate import Earlier
from stepdown.vocabulary import Tier


@pytest.mark.parametrize(("recoding", "months"), [("full-domain", 3), ("local", 2)])
def test_months_of_base_copies_and_public_isolate_nobody_and_lack_few(tmp_path, recoding, months):
    clinic = Clinic(tmp_path, 4_000, recoding)
    for number in range(1, months + 1):
        if number > 1:
            clinic.pass_a_month(joining=400, leaving=250, changing=80)
        month = clinic.release(number)
        assert set(month.isolated.values()) == {0}, month.isolated
        assert max(month.lacks(name) for name in month.files) <= 0.05


def test_a_whole_class_of_the_base_may_be_too_small_a_part_of_a_copys(tmp_path):
    columns = COLUMNS | {"sex": {"role": "quasi_identifier", "type": "string"}}
    old = people((8, 25, "ab")) | {"sex": ["f"] * 8}
    tiers, copies = {"internal": {}, "partner": K3}, {"ministry": ["sex", "illness"]}
    case = make_case(tmp_path, old, columns, tiers, recipients=copies)
    history: dict[str, list[Earlier]] = {"partner": [], "ministry": []}
    # Whoever has b and no age in the copy would know that the three who came with them have a.
    grown = joined(old, people((4, 55, "aaab"), start=8) | {"sex": ["f"] * 4})
    for number, rows in enumerate((old, grown), start=1):
        now = with_rows(case, rows, f"month {number}")
        internal = now.derive(Tier.INTERNAL, run=str(number))
        base = partner(now, *history["partner"], run=str(number))
        copy = now.copy("ministry", base, internal, str(number), history["ministry"])
        for name, file in (("partner", base), ("ministry", copy)):
            for before in history[name]:
                assert not subtracted(file, before, now.snapshot, now.loaded).successes
            history[name].append(Earlier(f"clinic/{name}/v{number}", file, now.snapshot))
    assert (base.data.rows, copy.data.rows, copy.report.held_back) == (12, 8, 4)
