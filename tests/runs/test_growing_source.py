"""Scheduled releases of a source that grows: nobody is isolated between two versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from visits import Visits, raw_rows


def public(document: dict[str, Any]) -> dict[str, Any]:
    end: dict[str, Any] = document["tiers"]["public"]
    return end


def without_subject(config: dict[str, Any]) -> None:
    for name in ("town", "ward"):
        config["columns"][name] |= {"partner": "drop"}


def grown(extra: int) -> list[dict[str, Any]]:
    """One visit of each person, and some more people of twenty."""
    rows = raw_rows()[::2]
    for number in range(extra):
        who = dict(rows[0], person=f"new-{number}", full_name=f"New Comer{number:03}", age=21)
        rows.append(who | {"illness": ("cholera", "measles")[number % 2]})
    return rows


def test_a_newcomer_is_held_back_and_told_of_to_the_steward_only(visits: Visits) -> None:
    visits.change(without_subject)
    visits.write(grown(0))
    assert visits.run().code == 0
    visits.write(grown(1))
    second = visits.run()
    assert second.code == 0, second.err
    partner = second.json["tiers"]["partner"]
    assert partner["held_back"] == 1
    assert [point["name"] for point in partner["frontier"] if point["chosen"]] == ["k = 5"]
    assert partner["attacks"]["differencing"] == 0.0
    # Who was held back from partner is not in it, so public has nothing new.
    assert public(second.json)["state"] == "unchanged"
    visits.write(grown(24))
    third = visits.run()
    assert public(third.json)["state"] == "published"
    for path, content in visits.published().items():
        if path.endswith((".json", ".html")):
            assert b"held back" not in content
            assert b"held_back" not in content
    page = Path(third.json["tiers"]["partner"]["steward_report"]).read_text(encoding="utf-8")
    assert "beside" in page.lower()
    assert "visits/partner/v1" in page


def test_a_difference_that_isolates_somebody_is_refused_where_nobody_is_held_back(
    visits: Visits,
) -> None:
    def open_policy(config: dict[str, Any]) -> None:
        without_subject(config)
        for tier in ("partner", "public"):
            config["tiers"][tier] |= {"hold_back": False}

    visits.change(open_policy)
    visits.write(grown(0))
    assert visits.run().code == 0
    before = visits.published()
    visits.write(grown(1))
    second = visits.run()
    assert second.code == 1
    reasons = " ".join(second.json["tiers"]["partner"]["reasons"])
    assert "differencing" in reasons
    assert "visits/partner/v1" in reasons
    assert "hold_back: true" in reasons
    published = visits.published()
    kept = {path: content for path, content in before.items() if "/internal/" not in path}
    assert {path: published[path] for path in kept} == kept


def test_increments_cover_a_period_each_and_a_run_without_news_changes_nothing(
    visits: Visits,
) -> None:
    def increments(config: dict[str, Any]) -> None:
        without_subject(config)
        for tier in ("partner", "public"):
            config["tiers"][tier] |= {"period": "increment"}

    visits.change(increments)
    visits.write(grown(0))
    assert visits.run().code == 0
    visits.write(grown(60))
    second = visits.run()
    assert second.code == 0, second.err
    assert (public(second.json)["state"], public(second.json)["rows"]) == ("published", 60)
    third = visits.run()
    assert {end["state"] for end in third.json["tiers"].values()} == {"unchanged"}
    report = json.loads((visits.store / "visits/public/v2/report.json").read_text())
    assert report["rows"] == 60
