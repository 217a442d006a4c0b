"""A report's facts as one HTML page that needs no network: template, style sheet and charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from stepdown.release.chart_specs import (
    Chart,
    attacks_chart,
    columns_chart,
    count,
    figure,
    frontier_chart,
    limits_chart,
    percent,
    sizes_chart,
    spread_chart,
)
from stepdown.release.charts import draw
from stepdown.release.wording import CHARTS, TEMPLATES, attack_words, template, words_of

_MOST_SPREADS = 24
"""Columns whose distributions are drawn; a page is to be looked at."""


def render(report: Mapping[str, Any]) -> str:
    """The report as one page; facts under ``steward`` make it the steward's."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.DictLoader({name: template(name) for name in TEMPLATES}),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": figure,
        "count": count,
        "percent": percent,
        "words": words_of,
        "attack": attack_words,
        "compared": _compared,
        "drawn": lambda chart: Markup(draw(chart)),  # noqa: S704 - our own drawing, escaped there
    }
    facts = dict(report)
    steward = facts.pop("steward", None)
    return environment.get_template("report.html").render(
        report=facts,
        steward=steward,
        charts=page_charts(facts, steward),
        css=Markup(template("report.css")),  # noqa: S704 - a file of this package
        title=f"{facts['title']} – {facts['tier']} release",
    )


def page_charts(
    report: Mapping[str, Any], steward: Mapping[str, Any] | None = None
) -> dict[str, list[Chart]]:
    """Every chart of the page by its place; a place with nothing to draw is empty."""
    k = report["smallest_class_limit"]
    sizes = []
    if steward and steward["class_sizes_above"]:
        above = steward["class_sizes_above"]
        sizes.append(sizes_chart("sizes-above", CHARTS["above"], above, k))
    if report["class_sizes"]:
        sizes.append(sizes_chart("sizes", CHARTS["this"], report["class_sizes"], k))
    spreads = (steward["distributions"] if steward else report["distributions"]) or []
    contributions = steward["contributions"] if steward else None
    frontier = steward["frontier"] if steward else []
    measured = [one for one in frontier if one["average_risk"] is not None]
    attacks = _drawn_attacks(report, steward)
    return {
        "limits": [limits_chart(report["measures"])] if report["measures"] else [],
        "sizes": sizes,
        "columns": [columns_chart(contributions)] if contributions else [],
        "spreads": [
            spread_chart(f"spread-{number}", one)
            for number, one in enumerate(spreads[:_MOST_SPREADS], start=1)
        ],
        "attacks": [attacks_chart(attacks)] if attacks else [],
        "frontier": [frontier_chart(frontier)] if measured else [],
    }


def _drawn_attacks(
    report: Mapping[str, Any], steward: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """One row per attack: its worst result, told by how much of the limit it uses."""
    if steward is None:
        return [one | {"measured": one["measured_at_most"]} for one in report["attacks"] or []]
    results: Sequence[dict[str, Any]] = [*(steward["attacks"] or []), *(steward["across"] or [])]
    worst: dict[str, dict[str, Any]] = {}
    for one in results:
        known = worst.setdefault(one["attack"], one)
        if one["measured"] > known["measured"]:
            worst[one["attack"]] = one
    return list(worst.values())


def _compared(value: Any, kind: str) -> str:
    return percent(value) if kind == "share" else figure(value) if kind != "word" else str(value)
