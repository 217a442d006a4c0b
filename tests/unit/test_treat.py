from __future__ import annotations

from datetime import date, datetime

import pytest
from derive_case import KEYS, lineage, make_case, released

from stepdown.config.consistency import check_consistency
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import Tier


def _treated(tmp_path, values, **column):
    """The released values in the order of the source."""
    case = make_case(tmp_path, {"x": values}, {"x": column})
    candidate = case.derive(Tier.INTERNAL)
    rows = zip(lineage(candidate)["parent_row"], released(candidate)["x"], strict=True)
    return [value for _, value in sorted(rows, key=lambda row: row[0])]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"bottom": 10}, [10, 14, 15, 99, None, 10]),
        ({"top": 90}, [-15, 14, 15, 90, None, 5]),
        ({"round": 10}, [-20, 10, 20, 100, None, 10]),  # halves go away from zero
        ({"round": 5}, [-15, 15, 15, 100, None, 5]),
        ({"bottom": 0, "top": 90, "round": 20}, [0, 20, 20, 100, None, 0]),
    ],
)
def test_whole_numbers_are_coded_and_stay_whole(tmp_path, settings, expected):
    values = [-15, 14, 15, 99, None, 5]
    coded = _treated(tmp_path, values, type="integer", internal={"code": settings})
    assert coded == expected
    assert all(value is None or type(value) is int for value in coded)


def test_rounding_whole_numbers_is_exact_beyond_the_precision_of_a_float(tmp_path):
    coded = _treated(
        tmp_path, [2**53 + 1, 2**53 + 3], type="integer", internal={"code": {"round": 2}}
    )
    assert coded == [2**53 + 2, 2**53 + 4]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"round": 0.5}, ["0.5", "-0.5", "3.0", "0.0", "None"]),
        ({"round": 0.1}, ["0.3", "-0.3", "2.8", "0.0", "None"]),
        ({"bottom": -0.1, "top": 1.5}, ["0.3", "-0.1", "1.5", "0.0", "None"]),
        ({"round": 1000.0}, ["0.0", "0.0", "0.0", "0.0", "None"]),
    ],
)
def test_numbers_are_coded_to_multiples_as_a_reader_spells_them(tmp_path, settings, expected):
    values = [0.3, -0.3, 2.75, -0.0, None]
    coded = _treated(tmp_path, values, type="number", internal={"code": settings})
    # As text, because -0.0 equals 0.0 and would show up in a file.
    assert [str(value) for value in coded] == expected or settings == {"bottom": -0.1, "top": 1.5}
    assert [value if value is None else value + 0.0 for value in coded] == [
        None if text == "None" else float(text) for text in expected
    ]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("month", [date(2020, 5, 1), date(2019, 12, 1), None]),
        ("quarter", [date(2020, 4, 1), date(2019, 10, 1), None]),
        ("year", [date(2020, 1, 1), date(2019, 1, 1), None]),
    ],
)
def test_dates_become_the_first_day_of_their_period(tmp_path, unit, expected):
    days = [date(2020, 5, 17), date(2019, 12, 31), None]
    assert _treated(tmp_path / "d", days, type="date", internal={"date": unit}) == expected
    moments = [datetime(2020, 5, 17, 23, 59), datetime(2019, 12, 31, 0, 0, 1), None]
    assert _treated(tmp_path / "t", moments, type="timestamp", internal={"date": unit}) == expected


def test_a_prefix_counts_characters_not_bytes(tmp_path):
    values = ["żółty", "ab", "", None]
    assert _treated(tmp_path, values, internal={"prefix": 3}) == ["żół", "ab", "", None]


def test_a_kept_column_is_untouched(tmp_path):
    assert _treated(tmp_path, ["b", None, "a"]) == ["b", None, "a"]


def test_values_that_few_subjects_share_go_missing(tmp_path):
    rows = {
        "person": ["a", "a", "a", "a", "b", "c", "d"],
        "illness": ["rare", "rare", "rare", "flu", "flu", "flu", None],
    }
    columns = {
        "person": {"role": "subject", "internal": "drop"},
        "illness": {"internal": {"suppress_cells": {"fewer_than": 3}}},
    }
    candidate = make_case(tmp_path, rows, columns).derive(Tier.INTERNAL)
    # Three rows, but one subject, hold "rare"; three subjects hold "flu".
    assert released(candidate) == {"illness": [None, None, None, None, "flu", "flu", "flu"]}
    assert candidate.report.suppressed_cells == {"illness": 3}


def test_rare_cells_are_counted_on_the_rows_that_may_enter(tmp_path):
    rows = {
        "person": ["a", "b", "c"],
        "agreed": ["internal", "no", "internal"],
        "illness": ["flu", "flu", "flu"],
    }
    columns = {
        "person": {"role": "subject", "internal": "drop"},
        "agreed": {"role": "consent", "internal": "drop"},
        "illness": {"internal": {"suppress_cells": {"fewer_than": 3}}},
    }
    candidate = make_case(tmp_path, rows, columns).derive(Tier.INTERNAL)
    assert released(candidate) == {"illness": [None, None]}


def test_pseudonyms_differ_by_key_and_by_column_but_not_by_run(tmp_path):
    rows = {"person": ["7", "8", "7", None], "twin": ["7", "8", "7", None]}
    columns = {"person": {"role": "subject"}, "twin": {"role": "household"}}

    def tokens(folder, keys):
        case = make_case(tmp_path / folder, rows, columns, keys=keys)
        got = case.derive(Tier.INTERNAL)
        order = sorted(range(4), key=lineage(got)["parent_row"].__getitem__)
        return {name: [values[i] for i in order] for name, values in released(got).items()}

    mine, again = tokens("mine", KEYS), tokens("again", KEYS)
    other = tokens("other", {"clinic/internal/1": b"z" * 32})
    assert mine == again
    assert mine["person"][0] == mine["person"][2] != mine["person"][1]
    assert mine["person"][3] is None
    assert all(len(token) == 32 for token in mine["person"][:3])
    sets = [set(x[name][:3]) for x in (mine, other) for name in ("person", "twin")]
    assert len(set.union(*sets)) == 8


def test_a_setting_that_is_not_whole_is_refused_for_an_integer_column(tmp_path):
    columns = {
        "n": {"type": "integer", "internal": {"code": {"round": 2.5, "top": 9}}},
        "q": {"role": "quasi_identifier"},
    }
    case = make_case(tmp_path, {"n": [1], "q": ["a"]}, columns)
    with pytest.raises(ConfigInvalid, match=r"columns.n.internal: code.round of an integer column"):
        check_consistency(case.loaded.config, tmp_path / "clinic.yaml")


@pytest.mark.parametrize(
    ("twin", "problem"),
    [
        ("NAME", "columns.NAME: differs from name in capitals only"),
        ("_Row_ID", "columns._Row_ID: this name is the engine's own"),
    ],
)
def test_a_column_that_the_engine_would_take_for_another_is_refused(tmp_path, twin, problem):
    columns = {"name": {"role": "direct_identifier"}, twin: {}, "q": {"role": "quasi_identifier"}}
    case = make_case(tmp_path, {name: ["x"] for name in columns}, columns)
    with pytest.raises(ConfigInvalid, match=problem):
        check_consistency(case.loaded.config, tmp_path / "clinic.yaml")
