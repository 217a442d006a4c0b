from __future__ import annotations

import numpy as np
import pytest
from derive_case import LOOSE, lineage, make_case, released

from stepdown.anonymise.tiers.eligible_rows import row_draws
from stepdown.errors import DemandImpossible, KeyMissing, SourceInvalid
from stepdown.vocabulary import Tier

ALL = {"internal": {}, "partner": LOOSE, "public": LOOSE}
COLUMNS = {
    "person": {"role": "subject", "internal": "drop"},
    "agreed": {"role": "consent", "internal": "drop"},
    "visit": {"type": "integer"},
}


def test_a_row_enters_a_tier_only_where_its_subjects_answer_reaches_it(tmp_path):
    case = make_case(
        tmp_path,
        {
            "person": ["a", "b", "c", "d", "e"],
            "agreed": ["public", "partner", "internal", "no", None],
            "visit": [1, 2, 3, 4, 5],
        },
        COLUMNS,
        ALL,
    )
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    public = case.derive(Tier.PUBLIC, partner)
    assert released(internal) == {"visit": [1, 2, 3]}
    assert released(partner) == {"visit": [1, 2]}
    assert released(public) == {"visit": [1]}
    assert [x.report.lost_to_consent for x in (internal, partner, public)] == [2, 1, 1]
    assert [x.report.parent_rows for x in (internal, partner, public)] == [5, 3, 2]


def test_a_subject_with_several_answers_counts_with_the_narrowest(tmp_path):
    case = make_case(
        tmp_path,
        {
            "person": ["a", "a", "b", "b", "c"],
            "agreed": ["public", "internal", "public", None, "public"],
            "visit": [1, 2, 3, 4, 5],
        },
        COLUMNS,
        ALL,
    )
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    assert released(internal) == {"visit": [1, 2, 5]}
    assert released(partner) == {"visit": [5]}
    assert lineage(partner) == {"row": [0], "parent_row": [2], "source_row": [4], "subject": [2]}


def test_an_answer_nobody_defined_stops_the_run_without_being_quoted(tmp_path):
    case = make_case(
        tmp_path,
        {"person": ["a", "b", "c"], "agreed": ["public", "Aurelia", "Public"], "visit": [1, 2, 3]},
        COLUMNS,
    )
    with pytest.raises(SourceInvalid, match="2 rows hold an answer that is none of") as refusal:
        case.derive(Tier.INTERNAL)
    assert "Aurelia" not in str(refusal.value)


def test_a_tier_that_nobody_agreed_to_is_an_error(tmp_path):
    case = make_case(
        tmp_path, {"person": ["a"], "agreed": ["internal"], "visit": [1]}, COLUMNS, ALL
    )
    internal = case.derive(Tier.INTERNAL)
    with pytest.raises(
        DemandImpossible, match="none of the 1 rows may enter this tier, 1 for want"
    ):
        case.derive(Tier.PARTNER, internal)


def test_subject_codes_follow_the_sorted_ids_of_the_whole_snapshot(tmp_path):
    case = make_case(
        tmp_path,
        {"person": ["z", None, "b", "a", None], "agreed": ["no", *["public"] * 4],
         "visit": [1, 2, 3, 4, 5]},
        COLUMNS,
    )  # fmt: skip
    assert lineage(case.derive(Tier.INTERNAL))["subject"] == [3, 1, 0, 3]


def test_without_a_subject_column_a_row_is_its_own_subject(tmp_path):
    case = make_case(tmp_path, {"visit": [3, 1, 2]}, {"visit": {"type": "integer"}})
    assert lineage(case.derive(Tier.INTERNAL)) == {
        "row": [0, 1, 2], "parent_row": [1, 2, 0], "source_row": [1, 2, 0], "subject": [1, 2, 0],
    }  # fmt: skip


def _visits(tmp_path, most, key=None):
    rows = {
        "person": ["a"] * 5 + ["b"] * 2 + ["c"],
        "agreed": ["public"] * 8,
        "visit": list(range(8)),
    }
    tiers = {"internal": {"rows_per_subject": most}}
    keys = {"clinic/internal/1": key} if key else None
    return make_case(tmp_path, rows, COLUMNS, tiers, keys)


def test_at_most_n_rows_of_each_subject_stay_those_with_the_smallest_draws(tmp_path):
    case = _visits(tmp_path, 2)
    internal = case.derive(Tier.INTERNAL)
    draws = row_draws(case.keyring.key("clinic/internal/1"), 8)
    kept = sorted([*np.argsort(draws[:5])[:2].tolist(), 5, 6, 7])
    assert released(internal)["visit"] == kept
    assert internal.report.lost_to_rows_per_subject == 3
    assert internal.report.suppressed_records == 0


def test_another_key_chooses_other_rows(tmp_path):
    chosen = {
        tuple(
            released(_visits(tmp_path / str(i), 1, bytes([i]) * 32).derive(Tier.INTERNAL))["visit"]
        )
        for i in range(8)
    }
    assert len(chosen) > 1


def test_a_limit_on_rows_needs_its_key(tmp_path):
    case = _visits(tmp_path, 1)
    case.keyring = type(case.keyring)({})
    with pytest.raises(KeyMissing):
        case.derive(Tier.INTERNAL)


def test_rows_that_are_added_leave_the_draws_of_the_others_alone():
    key = b"k" * 32
    assert row_draws(key, 10).tolist() == row_draws(key, 1000)[:10].tolist()
