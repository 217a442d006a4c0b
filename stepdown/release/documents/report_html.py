"""Render a report's facts as one HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from stepdown.release.documents.chart_specs import (
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
from stepdown.release.documents.charts import draw
from stepdown.release.documents.wording import (
    AT_LEAST,
    AT_MOST,
    ATTACK_GROUPS,
    CHARTS,
    TEMPLATES,
    attack_words,
    split_check,
    template,
    words_of,
)

_ATTACK = "attack_"
_MOST_SPREADS = 24
"""Columns whose distributions are drawn; a page is to be looked at."""
_CAPTION = 110
"""What stands around a drawing, in its own pixels: title, sentence, table that is closed."""


def render(report: Mapping[str, Any]) -> str:
    """The report as one page; facts under ``steward`` make it the steward's."""
    facts = dict(report)
    steward = facts.pop("steward", None)
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=facts,
            steward=steward,
            charts=page_charts(facts, steward),
            css=Markup(template("report.css")),  # noqa: S704 - a file of this package
            title=f"{facts['title']} – {facts['tier']} release",
        )
    )


@cache
def _environment() -> jinja2.Environment:
    """The templates, compiled once per process."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.DictLoader({name: template(name) for name in TEMPLATES}),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["about_attack"] = _about_attack
    environment.filters |= {
        "asked": _asked,
        "limit": _limit,
        "figure": figure,
        "count": count,
        "percent": percent,
        "words": words_of,
        "attack": attack_words,
        "compared": _compared,
        "beside": beside,
        "drawn": lambda chart: Markup(draw(chart)),  # noqa: S704 - our own drawing, escaped there
    }
    return environment


def page_charts(
    report: Mapping[str, Any], steward: Mapping[str, Any] | None = None
) -> dict[str, list[Chart]]:
    """Every chart of the page by its place; a place with nothing to draw is empty."""
    k = report["smallest_class_limit"]
    sizes = []
    this = (steward or report)["class_sizes"] or []
    above = (steward["class_sizes_above"] if steward else None) or []
    people = steward is not None
    if above:
        bands = _on_bands(above, this)
        sizes.append(sizes_chart("sizes-above", CHARTS["sizes_above"], bands, k, people=people))
    if this:
        bands = _on_bands(this, above)
        sizes.append(sizes_chart("sizes", CHARTS["sizes"], bands, k, people=people))
    spreads = (steward["distributions"] if steward else report["distributions"]) or []
    contributions = (steward["contributions"] if steward else None) or []
    shares = [one["share"] for one in contributions]
    frontier = steward["frontier"] if steward else []
    measured = [one for one in frontier if one["average_risk"] is not None]
    attacks = _drawn_attacks(steward) if steward else []
    measured_limits = steward["measures"] if steward else []
    return {
        "limits": [limits_chart(measured_limits)] if measured_limits else [],
        "sizes": sizes,
        "columns": [columns_chart(contributions)] if any(shares) else [],
        "spreads": [
            spread_chart(f"spread-{number}", one)
            for number, one in enumerate(spreads[:_MOST_SPREADS], start=1)
        ],
        "attacks": [
            attacks_chart(f"attacks-{number}", title, drawn)
            for number, (title, drawn) in enumerate(_grouped(attacks).items(), start=1)
            if drawn
        ],
        "frontier": [frontier_chart(frontier)] if measured else [],
    }


def beside(charts: Sequence[Chart]) -> list[Sequence[Chart]]:
    """The charts as one or two columns that read down, about as long as each other.

    The cut is made here and not by the style sheet: opening a table must not move other charts.
    """
    if len(charts) < 2:
        return [charts]
    long = [chart.spec["height"] + _CAPTION for chart in charts]
    cut = min(range(1, len(charts)), key=lambda at: max(sum(long[:at]), sum(long[at:])))
    return [charts[:cut], charts[cut:]]


def _on_bands(
    sizes: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The histogram on the bands of both, so that the two can be held side by side."""
    longer = max(sizes, other, key=len)
    known = {one["band"]: one for one in sizes}
    bands = {one["band"]: {**one, "records": 0} for one in (*longer, *sizes, *other)}
    return [known.get(band, empty) for band, empty in bands.items()]


def _drawn_attacks(steward: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per attack: its worst result, by how much of the limit it uses."""
    results: Sequence[dict[str, Any]] = [*(steward["attacks"] or []), *(steward["across"] or [])]
    worst: dict[str, dict[str, Any]] = {}
    for one in results:
        known = worst.setdefault(one["attack"], one)
        if one["measured"] > known["measured"]:
            worst[one["attack"]] = one
    return list(worst.values())


def _grouped(attacks: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The attacks by what they are after; one that no group names stands in the last."""
    groups: dict[str, list[dict[str, Any]]] = {title: [] for title in ATTACK_GROUPS}
    for one in attacks:
        titles = [title for title, names in ATTACK_GROUPS.items() if one["attack"] in names]
        groups[titles[0] if titles else next(reversed(groups))].append(one)
    return groups


def _about_attack(check: str) -> bool:
    return check.startswith(_ATTACK)


def _asked(check: str) -> str:
    """A published check as people read it."""
    if _about_attack(check):
        return attack_words(check.removeprefix(_ATTACK))
    name, column = split_check(check)
    label = AT_LEAST.get(name) or AT_MOST.get(name)
    if label is None:
        return words_of(check).capitalize()
    return f"{label}: {column}" if column else label


def _limit(check: Mapping[str, Any]) -> str:
    """A published check's limit with the side that it must stay on; a dash where it has none."""
    limit, name = check["limit"], check["check"]
    if limit is None or (_about_attack(name) and limit >= 1):
        return "–"
    shown = percent(limit) if _about_attack(name) else figure(limit)
    return f"{'≥' if split_check(name)[0] in (*AT_LEAST, 'records') else '≤'} {shown}"


def _compared(value: Any, kind: str) -> str:
    return percent(value) if kind == "share" else figure(value) if kind != "word" else str(value)
