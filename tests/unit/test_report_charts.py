"""Charts: what they draw is what they say, and drawing changes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from stepdown.config.policy import ATTACKS
from stepdown.release.documents.chart_specs import (
    attacks_chart,
    frontier_chart,
    limits_chart,
    sizes_chart,
)
from stepdown.release.documents.charts import draw
from stepdown.release.documents.report_facts import class_sizes
from stepdown.release.documents.wording import ATTACK_GROUPS
from stepdown.release.documents.wording import ATTACKS as ATTACKS_TOLD


def measure(measured: float, limit: float, side: str, passed: bool = True) -> dict[str, Any]:
    return {
        "label": "Something", "measured": measured, "limit": limit, "side": side, "passed": passed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("measured", "limit", "side", "used"),
    [
        (0.15, 0.3, "at_most", 0.5),
        (22, 11, "at_least", 0.5),
        (11, 11, "at_least", 1.0),
        (0, 0, "at_most", 0.0),
        (3, 0, "at_most", 1.25),
        (0, 5, "at_least", 1.25),
        (9.0, 0.1, "at_most", 1.25),
    ],
)
def test_a_bar_is_the_share_of_what_is_allowed_and_ends_just_past_the_limit(
    measured: float, limit: float, side: str, used: float
) -> None:
    chart = limits_chart([measure(measured, limit, side)])
    assert chart.spec["data"]["values"][0]["used"] == pytest.approx(used)


def test_a_drawing_holds_its_figures_as_text_and_no_long_coordinate() -> None:
    chart = limits_chart([measure(0.27853, 0.3, "at_most"), measure(0.4, 0.3, "at_most", False)])
    svg = draw(chart)
    assert "0.2785, at most 0.3" in svg
    assert "0.4, at most 0.3 – over" in svg
    tags = re.findall(r"<[^>]*>", svg)
    assert not [tag for tag in tags if re.search(r"\d\.\d{2,}", tag)]
    assert 'width="' not in tags[0]


def test_bands_that_are_wholly_below_k_are_shaded_and_named() -> None:
    sizes = class_sizes({"1": 3, "2": 0, "3–10": 5, "11+": 90}, 11) or []
    assert [one["below_k"] for one in sizes] == [True, True, True, False]
    assert "below 11" in draw(sizes_chart("s", "Sizes", sizes, 11))
    straddling = class_sizes({"5–20": 3, "21+": 5}, 11) or []
    assert "below 11" not in draw(sizes_chart("s", "Sizes", straddling, 11))


def test_an_interval_is_drawn_around_its_result_and_a_limit_beside_it() -> None:
    one = {
        "attack": "order", "measured": 0.5, "interval": [0.25, 0.75], "limit": 0.6, "passed": True,
    }  # fmt: skip
    values = attacks_chart("a", "A", [one]).spec["data"]["values"]
    assert [values[0][name] for name in ("low", "measured", "high", "limit")] == [
        0.25, 0.5, 0.75, 0.6,
    ]  # fmt: skip
    svg = draw(attacks_chart("a", "A", [one]))
    line = re.search(
        r'<line transform="translate\(([\d.]+),[\d.]+\)" x2="(-?[\d.]+)"[^>]*width="3"', svg
    )
    assert line is not None
    # 324 pixels are the whole, on a square root's scale: 324 × √0.25 and 324 × √0.75 = 280.6.
    ends = sorted((float(line[1]), float(line[1]) + float(line[2])))
    assert ends == pytest.approx([162, 280.6], abs=0.2)


def test_a_limit_of_nothing_is_told_and_one_of_everything_is_no_limit() -> None:
    one = {"attack": "order", "measured": 0.0, "interval": None, "limit": 0.0, "passed": True}
    chart = attacks_chart("a", "A", [one, one | {"limit": 1.0}])
    assert [v["said"] for v in chart.spec["data"]["values"]] == [
        "0%, limit 0%",
        "0%, only reported",
    ]
    assert [row[-2:] for row in chart.rows] == [("≤ 0%", "yes"), ("–", "reported")]


def test_every_attack_that_a_policy_limits_has_words_and_stands_in_one_group() -> None:
    assert set(ATTACKS_TOLD) == set(ATTACKS)
    grouped = [name for names in ATTACK_GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(ATTACKS)


def test_names_of_policies_never_stand_on_each_other() -> None:
    near = [
        {
            "name": f"k = {k}", "chosen": k == 11, "average_risk": 0.002 + k * step,
            "information_loss": 0.03, "suppressed_share": 0.0,
        }
        for step in (1e-6,) for k in (2, 3, 5, 11, 20, 200)
    ]  # fmt: skip
    same = near[0] | {"name": "k = 4"}
    chart = frontier_chart([*near, same])
    values = chart.spec["data"]["values"]
    assert "k = 2, k = 4" in [one["name"] for one in values]
    named = [one["name"] for one in values if one["side"]]
    assert named[0] == "k = 11 (chosen)"
    assert len(named) < len(values)
    assert len(chart.rows) == 7


def test_a_policy_that_nothing_meets_is_in_the_table_and_not_drawn() -> None:
    point = {
        "name": "k = 5", "chosen": True, "average_risk": 0.1, "information_loss": 0.2,
        "suppressed_share": 0.0,
    }  # fmt: skip
    none = dict.fromkeys(("average_risk", "information_loss", "suppressed_share"))
    chart = frontier_chart([point, none | {"name": "k = 50", "chosen": False}])
    assert [row[0] for row in chart.rows] == ["k = 5 (chosen)", "k = 50"]
    assert "k = 50" not in draw(chart)


def test_the_drawing_engine_is_imported_by_the_first_drawing_only() -> None:
    code = (
        "import sys, flows.cli\n"
        "import stepdown.release.documents.documents, stepdown.release.publishing.submit\n"
        "assert 'vl_convert' not in sys.modules\n"
        "from stepdown.release.documents.chart_specs import columns_chart\n"
        "from stepdown.release.documents.charts import draw\n"
        "draw(columns_chart([{'column': 'age', 'share': 0.5}]))\n"
        "assert 'vl_convert' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
