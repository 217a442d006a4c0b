"""Specify each chart of a report in Vega-Lite, with its sentence and its table.

Layout is fixed in pixels and no text is measured, so that a drawing does not depend on the fonts
of the machine. Everything is drawn for a phone's width; wider pages put charts side by side.
Colours are the page's CSS variables, and nothing is shown by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepdown.release.documents.wording import CHARTS, attack_words

WIDTH = 340
"""Of every chart, in pixels; a phone of 360 shows it unscaled."""
_LONGEST = 30
_SHOWN_TICKS = 6
_OVERFLOW = 1.25
_NOTHING = 1e-12
"""What is left of 0 where bounds of intervals are computed; no share of records is so small."""

Spec = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """One drawing and everything that says the same in words.

    Args:
        key: names it within the page; letters, digits and hyphens.
        title: what it shows. text: how to read it, one or two sentences.
        spec: Vega-Lite. header, rows: the same figures as a table.
    """

    key: str
    title: str
    text: str
    spec: Spec
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def limits_chart(measures: Sequence[Mapping[str, Any]]) -> Chart:
    """Bars of what is used of each limit; ``measures`` are those of the report."""
    values = []
    for row, measure in enumerate(measures):
        over = not measure["passed"]
        said = CHARTS["limits_side"].format(
            measured=figure(measure["measured"]),
            side="least" if measure["side"] == "at_least" else "most",
            limit=figure(measure["limit"]),
        )
        values.append(
            {
                "row": row,
                "label": _cut(measure["label"], 46),
                "said": said + (CHARTS["over"] if over else ""),
                "used": min(_used(measure), _OVERFLOW),
                "over": over,
            }
        )
    scale = {"domain": [0, _OVERFLOW]}
    x = {"field": "used", "type": "quantitative", "scale": scale, "axis": None}
    limit = {"datum": 1, "type": "quantitative", "scale": scale, "axis": None}
    layers = [
        _labels(dy=-17, field="label"),
        _labels(dy=-2, field="said", muted=True),
        {"mark": _thick("var(--track)"), "encoding": {"x": limit, "x2": {"value": 0}}},
    ]
    for test, colour in (("!datum.over", "var(--after)"), ("datum.over", "var(--over)")):
        bar = {"mark": _thick(colour), "encoding": {"x": x, "x2": {"value": 0}}}
        layers.append(bar | _where(test))
    layers.append(_tick_at(limit, "true", offset=14))
    rows = tuple(
        (
            str(measure["label"]),
            figure(measure["measured"]),
            ("≥ " if measure["side"] == "at_least" else "≤ ") + figure(measure["limit"]),
            CHARTS["yes"] if measure["passed"] else CHARTS["no"],
        )
        for measure in measures
    )
    header = (CHARTS["measure"], CHARTS["figure"], CHARTS["limit"], CHARTS["verdict"])
    spec = _rows_spec(values, layers, row=54)
    return Chart("limits", CHARTS["limits"], CHARTS["limits_text"], spec, header, rows)


def sizes_chart(
    key: str, title: str, sizes: Sequence[Mapping[str, Any]], k: int, *, people: bool = True
) -> Chart:
    """Histogram of class sizes; bands that are wholly below k are shaded and say so.

    Args:
        people: whether sizes are in people; else in records.
    """
    values = [{**size, "text": count(size["records"])} for size in sizes]
    most = max((size["records"] for size in sizes), default=0) or 1
    below = [size for size in sizes if size["below_k"]]
    x: Spec = {
        "field": "band",
        "type": "ordinal",
        "sort": None,
        "scale": {"paddingInner": 0.18, "paddingOuter": 0.09},
        "axis": {"labelAngle": 0, "title": None},
    }
    y: Spec = {
        "field": "records",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [0, most * 1.36]},  # the words of the shade stand above every bar
    }
    height, step = 140, (WIDTH - 16) / max(len(sizes), 1)
    layers: list[Spec] = []
    if below:
        width = round(step * len(below), 1)
        layers += [
            {
                "data": {"values": [{}]},
                "mark": {"type": "rect", "color": "var(--shade)"},
                "encoding": {
                    "x": {"value": 0},
                    "x2": {"value": width},
                    "y": {"value": 0},
                    "y2": {"value": height},
                },
            },
            {
                "data": {"values": [{}]},
                "mark": _text(align="left", baseline="top", color="var(--over)", dx=4, dy=3)
                | {"text": CHARTS["below"].format(k=k)},
                "encoding": {"x": {"value": 0}, "y": {"value": 0}},
            },
        ]
    for test, colour in (("datum.below_k", "var(--over)"), ("!datum.below_k", "var(--after)")):
        mark = {"type": "bar", "color": colour}
        layers.append({"mark": mark, "encoding": {"x": x, "y": y}} | _where(test))
    mark = _text(align="center", baseline="bottom", dy=-3) | {"fontSize": 11}
    layers.append(
        {"mark": mark, "encoding": {"x": x, "y": y, "text": {"field": "text"}}}
        | _where("datum.records > 0")
    )
    text = CHARTS["sizes_text" if people else "sizes_public"].format(
        below=count(sum(size["records"] for size in below)),
        all=count(sum(size["records"] for size in sizes)),
        k=k,
    )
    rows = tuple((str(size["band"]), count(size["records"])) for size in sizes)
    header = (CHARTS["sizes_table"], CHARTS["records"])
    spec = _spec(values, layers, height, {"left": 8, "right": 8, "top": 4, "bottom": 22})
    return Chart(key, title, text, spec, header, rows)


def columns_chart(contributions: Sequence[Mapping[str, Any]]) -> Chart:
    """Bars of the columns that make people unique, the worst first."""
    values = [
        {
            "row": row,
            "label": _cut(str(one["column"]), 40),
            "said": percent(one["share"]),
            "share": one["share"],
        }
        for row, one in enumerate(contributions)
    ]
    most = max((one["share"] for one in contributions), default=1.0) or 1.0
    x = {"field": "share", "type": "quantitative", "scale": {"domain": [0, most]}, "axis": None}
    layers = [
        _labels(dy=-2, field="label"),
        _labels(dy=-2, field="said", muted=True, right=True),
        {"mark": _thick("var(--after)"), "encoding": {"x": x, "x2": {"datum": 0}}},
    ]
    rows = tuple((str(one["column"]), percent(one["share"])) for one in contributions)
    spec = _rows_spec(values, layers, row=40)
    header = (CHARTS["column"], CHARTS["share"])
    return Chart("columns", CHARTS["columns"], CHARTS["columns_text"], spec, header, rows)


def spread_chart(key: str, spread: Mapping[str, Any]) -> Chart:
    """One column's distribution in this release and, for the steward, in the tier above."""
    bins = spread["bins"]
    both = any("before" in one for one in bins)
    values = [
        {
            "row": row,
            "label": _cut(str(one["label"]), 18),
            "after": one["after"],
            "before": one.get("before", 0),
            "said": percent(one["after"]),
        }
        for row, one in enumerate(bins)
    ]
    most = max((max(v["after"], v["before"]) for v in values), default=1.0) or 1.0
    scale = {"domain": [0, most]}
    y: Spec = {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    left, right, row = 118, 46, 19
    after = {"field": "after", "type": "quantitative", "scale": scale, "axis": None}
    before = {"field": "before", "type": "quantitative", "scale": scale, "axis": None}
    layers: list[Spec] = [
        {
            "mark": {"type": "bar", "size": 9 if both else 13, "color": "var(--after)"},
            "encoding": {"x": after, "y": y},
        }
    ]
    if both:
        outline = {"type": "bar", "size": 15, "fill": None, "stroke": "var(--before)"}
        layers.append({"mark": outline | {"strokeWidth": 1.5}, "encoding": {"x": before, "y": y}})
    layers += [
        {
            "mark": _text(align="right", dx=-7),
            "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "label"}},
        },
        {
            "mark": _text(align="right", color="var(--muted)", dx=right - 2) | {"fontSize": 11},
            "encoding": {"x": {"value": WIDTH - left - right}, "y": y, "text": {"field": "said"}},
        },
    ]
    rows = tuple(
        (str(one["label"]), *([percent(one["before"])] if both else []), percent(one["after"]))
        for one in bins
    )
    header = (CHARTS["value"], *([CHARTS["above"]] if both else []), CHARTS["this"])
    text = CHARTS["spread_both" if both else "spread_text"].format(column=spread["column"])
    margins = {"left": left, "right": right, "top": 2, "bottom": 2}
    spec = _spec(values, layers, row * max(len(bins), 1), margins)
    return Chart(key, str(spread["column"]), text, spec, header, rows)


def attacks_chart(key: str, title: str, attacks: Sequence[Mapping[str, Any]]) -> Chart:
    """Forest plot: result, interval where there is one, and limit, one row per attack.

    On a square root's scale, so that results of a few in a thousand can be told from limits of 0.
    """
    values = []
    for row, one in enumerate(attacks):
        limit, interval = _real_limit(one), one.get("interval")
        said = CHARTS["no_limit" if limit is None else "with_limit"].format(
            measured=percent(one["measured"]), limit=percent(limit) if limit is not None else ""
        )
        values.append(
            {
                "row": row,
                "label": _cut(attack_words(one["attack"]), 46),
                "said": said + ("" if one["passed"] else CHARTS["over"]),
                "measured": one["measured"],
                "low": interval[0] if interval else one["measured"],
                "high": interval[1] if interval else one["measured"],
                "limit": limit,
                "over": not one["passed"],
            }
        )
    scale = {"type": "sqrt", "domain": [0, 1]}
    axis = {
        "values": [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1],
        "format": "~%",
        "title": None,
        "grid": False,
        "ticks": True,
        "tickColor": "var(--line)",
        "domain": False,
        "labelFlush": True,
    }

    def x(field: str) -> Spec:
        return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}

    line = {"type": "rule", "strokeWidth": 3, "yOffset": 14}
    dot: Spec = {"type": "point", "filled": True, "size": 90, "opacity": 1, "yOffset": 14}
    layers: list[Spec] = [
        _labels(dy=-17, field="label"),
        _labels(dy=-2, field="said", muted=True),
        {
            "mark": {"type": "rule", "color": "var(--track)", "strokeWidth": 9, "yOffset": 14},
            "encoding": {"x": {"value": 0}, "x2": {"value": WIDTH - 16}},
        },
        # Under the dot: a limit of 0 and a result of 0 are both seen.
        _tick_at(x("limit"), "datum.limit !== null", offset=14),
    ]
    for test, colour, shape in (
        ("!datum.over", "var(--after)", "circle"),
        ("datum.over", "var(--over)", "diamond"),
    ):
        layers += [
            {"mark": line | {"color": colour}, "encoding": {"x": x("low"), "x2": {"field": "high"}}}
            | _where(test),
            {"mark": dot | {"color": colour, "shape": shape}, "encoding": {"x": x("measured")}}
            | _where(test),
        ]
    rows = tuple(
        (
            attack_words(one["attack"]),
            percent(one["measured"]),
            _span(one.get("interval")),
            "–" if (limit := _real_limit(one)) is None else "≤ " + percent(limit),
            CHARTS["reported"] if limit is None else CHARTS["yes" if one["passed"] else "no"],
        )
        for one in attacks
    )
    names = ("attack", "figure", "interval", "limit", "verdict")
    spec = _rows_spec(values, layers, row=54, bottom=20)
    text = CHARTS["attacks_text"]
    return Chart(key, title, text, spec, tuple(CHARTS[name] for name in names), rows)


def frontier_chart(frontier: Sequence[Mapping[str, Any]]) -> Chart:
    """Risk against loss, one point per feasible policy, the chosen one filled and named so."""
    drawn = [
        p for p in frontier if p["average_risk"] is not None and p["information_loss"] is not None
    ]
    width, height, margins = WIDTH - 62, 210, {"left": 52, "right": 10, "top": 14, "bottom": 42}
    risks = _domain([point["average_risk"] for point in drawn])
    losses = _domain([point["information_loss"] for point in drawn])
    points = [
        {"risk": risk, "loss": loss, "chosen": chosen, "name": _cut(name, 30)}
        for (risk, loss), (name, chosen) in _policies(drawn).items()
    ]
    values = _labelled(points, risks, losses, (width, height))
    x = _axis("risk", CHARTS["risk_axis"], risks, "~%")
    y = _axis("loss", CHARTS["loss_axis"], losses, ".2~f")
    point: Spec = {"type": "point", "size": 110, "opacity": 1, "strokeWidth": 2}
    layers: list[Spec] = [
        {"mark": point | {"color": "var(--muted)", "shape": "circle"}, "encoding": {"x": x, "y": y}}
        | _where("!datum.chosen"),
        {
            "mark": point
            | {"filled": True, "color": "var(--after)", "shape": "diamond", "size": 190},
            "encoding": {"x": x, "y": y},
        }
        | _where("datum.chosen"),
    ]
    for side, align, dx, dy in (
        ("right of it", "left", 10, 0),
        ("left of it", "right", -10, 0),
        ("above", "center", 0, -16),
        ("below", "center", 0, 16),
    ):
        layers.append(
            {
                "mark": _text(align=align, dx=dx, dy=dy),
                "encoding": {"x": x, "y": y, "text": {"field": "name"}},
            }
            | _where(f"datum.side === '{side}'")
        )
    spec = _spec(values, layers, height, margins)
    rows = tuple(
        (
            point["name"] if not point["chosen"] else CHARTS["chosen"].format(name=point["name"]),
            "–" if point["average_risk"] is None else percent(point["average_risk"]),
            figure(point["information_loss"]),
            "–" if point["suppressed_share"] is None else percent(point["suppressed_share"]),
        )
        for point in frontier
    )
    header = (
        CHARTS["policy"],
        CHARTS["risk_axis"].capitalize(),
        CHARTS["loss_axis"].capitalize(),
        "Records suppressed",
    )
    return Chart("frontier", CHARTS["frontier"], CHARTS["frontier_text"], spec, header, rows)


def figure(value: object) -> str:
    """A number as people read it; a dash where there is none.

    >>> figure(14704), figure(0.22879243), figure(None), figure(24841211.0), figure(1e-19)
    ('14,704', '0.2288', '–', '24,841,211', '0')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or 1000 <= abs(value) < 1e15:
        return count(round(value))
    return "0" if abs(value) < _NOTHING else f"{value:.4g}"


def count(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}"


def percent(share: float) -> str:
    """A share as a percentage of three figures at most.

    >>> percent(0.00223), percent(1.0), percent(0.0), percent(4.41e-7), percent(1e-19)
    ('0.223%', '100%', '0%', '<0.001%', '0%')
    """
    if abs(share) < _NOTHING:
        return "0%"
    if 0 < share < 1e-5:
        return "<0.001%"
    return f"{100 * share:.3g}%"


def _used(measure: Mapping[str, Any]) -> float:
    """Share of what is allowed that is used: 1 is the limit."""
    measured, limit = float(measure["measured"]), float(measure["limit"])
    if measure["side"] == "at_least":
        return limit / measured if measured > 0 else _OVERFLOW
    if limit > 0:
        return measured / limit
    return 0.0 if measured <= 0 else _OVERFLOW


def _domain(values: Sequence[float]) -> tuple[float, float]:
    """What an axis shows: the values with some room, so that points that differ stand apart."""
    low, high = min(values), max(values)
    room = 0.2 * (high - low) or 0.2 * high or 0.01
    return max(low - room, 0.0), high + room


def _policies(
    points: Sequence[Mapping[str, Any]],
) -> dict[tuple[float, float], tuple[str, bool]]:
    """Names of the policies at each place, and whether the chosen one is among them."""
    named: dict[tuple[float, float], tuple[str, bool]] = {}
    for point in sorted(points, key=lambda one: not one["chosen"]):
        name = CHARTS["chosen"].format(name=point["name"]) if point["chosen"] else point["name"]
        place = (point["average_risk"], point["information_loss"])
        known, chosen = named.get(place, ("", False))
        named[place] = (f"{known}, {name}" if known else name, chosen or point["chosen"])
    return named


def _labelled(
    points: list[Spec],
    risks: tuple[float, float],
    losses: tuple[float, float],
    size: tuple[int, int],
) -> list[Spec]:
    """The points, each with the side its name stands on; none where it would cover something.

    The first goes first: the chosen policy. No text is measured: a letter is taken to be 7 wide.
    """
    places = [
        (
            (one["risk"] - risks[0]) / (risks[1] - risks[0]) * size[0],
            (losses[1] - one["loss"]) / (losses[1] - losses[0]) * size[1],
        )
        for one in points
    ]
    taken = [(x - 8, x + 8, y - 8, y + 8) for x, y in places]
    told = []
    for number, (one, (x, y)) in enumerate(zip(points, places, strict=True)):
        wide = 7 * len(one["name"])
        # The chosen policy is always named.
        found = "above" if one["chosen"] else ""
        for side, left, middle in (
            ("right of it", x + 9, y),
            ("left of it", x - 9 - wide, y),
            ("above", x - wide / 2, y - 16),
            ("below", x - wide / 2, y + 16),
        ):
            box = (left, left + wide, middle - 8, middle + 8)
            others = taken[:number] + taken[number + 1 :]
            if left >= 0 and left + wide <= size[0] and not any(_meet(box, it) for it in others):
                found = side
                taken.append(box)
                break
        told.append(one | {"side": found})
    return told


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _real_limit(attack: Mapping[str, Any]) -> float | None:
    """The limit that a result can break; everything is within 100 %, so that is none."""
    limit: float | None = attack["limit"]
    return None if limit is None or limit >= 1 else limit


def _span(interval: Sequence[float] | None) -> str:
    return "–" if interval is None else f"{percent(interval[0])} – {percent(interval[1])}"


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _where(test: str) -> Spec:
    return {"transform": [{"filter": test}]}


def _text(*, align: str, baseline: str = "middle", color: str = "var(--ink)", **more: int) -> Spec:
    return {"type": "text", "align": align, "baseline": baseline, "color": color, **more}


def _labels(*, dy: int, field: str, muted: bool = False, right: bool = False) -> Spec:
    """A line of words above a row's bar."""
    colour = "var(--muted)" if muted else "var(--ink)"
    mark = _text(align="right" if right else "left", color=colour, dy=dy)
    x = {"value": WIDTH - 16 if right else 0}
    return {"mark": mark, "encoding": {"x": x, "text": {"field": field}}}


def _thick(colour: str) -> Spec:
    return {"type": "rule", "color": colour, "strokeWidth": 9, "yOffset": 14}


def _tick_at(x: Spec, test: str, offset: int) -> Spec:
    tick = {"type": "tick", "orient": "vertical", "size": 19, "thickness": 2.5, "opacity": 1}
    mark = tick | {"color": "var(--ink)", "yOffset": offset}
    return {"mark": mark, "encoding": {"x": x}} | _where(test)


def _axis(field: str, title: str, domain: tuple[float, float], form: str) -> Spec:
    axis = {
        "title": title,
        "format": form,
        "tickCount": _SHOWN_TICKS - 1,
        "grid": True,
        "labelFlush": 12,
    }
    scale = {"domain": list(domain), "nice": False, "zero": False}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def _rows_spec(values: list[Spec], layers: list[Spec], row: int, bottom: int = 4) -> Spec:
    """Rows one below the other, each a line of words and a bar."""
    y = {"field": "row", "type": "ordinal", "axis": None, "scale": {"padding": 0}}
    placed = [layer | {"encoding": {"y": y} | layer["encoding"]} for layer in layers]
    margins = {"left": 8, "right": 8, "top": 4, "bottom": bottom}
    return _spec(values, placed, row * max(len(values), 1), margins)


def _spec(values: list[Spec], layers: list[Spec], height: int, margins: Mapping[str, int]) -> Spec:
    return {
        "width": WIDTH - margins["left"] - margins["right"],
        "height": height,
        "padding": dict(margins),
        "autosize": {"type": "none"},
        "background": None,
        "data": {"values": values},
        "layer": layers,
        "config": {
            "aria": False,
            "font": "inherit",
            "view": {"stroke": None},
            "text": {"fontSize": 12},
            "axis": {
                "labelColor": "var(--muted)",
                "titleColor": "var(--muted)",
                "titleFontWeight": "normal",
                "titleFontSize": 12,
                "labelFontSize": 11,
                "labelLimit": 0,
                "labelOverlap": False,
                "labelFlush": False,
                "domainColor": "var(--line)",
                "gridColor": "var(--line)",
                "ticks": False,
                "labelPadding": 5,
            },
        },
    }
