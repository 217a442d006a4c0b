"""Lay out the tables that `stepdown assess` prints, without measures that were not taken."""

from __future__ import annotations

from typing import Any

Shown = tuple[str, list[str], list[list[str]]]
"""A table's title, its columns and its rows."""

_MODELS = {
    "l_distinct": "distinct l",
    "l_entropy": "entropy l",
    "t_equal": "t, equal distance",
    "t_ordered": "t, ordered",
    "delta": "delta-disclosure",
    "beta": "beta-likeness",
    "beta_enhanced": "enhanced beta",
    "alpha": "alpha",
}


def risk_tables(result: dict[str, Any]) -> list[Shown]:
    """The tables of an `assess` document, those with nothing in them left out.

    Args:
        result: what ``assess_file`` returns.
    """
    tables = [
        _classes(result),
        _intruders(result),
        _population(result),
        _special_uniques(result),
        _models(result),
    ]
    return [*(shown for shown in tables if shown[2]), *_intervals(result), *_utility(result)]


def _utility(result: dict[str, Any]) -> list[Shown]:
    """How far each column moved from the original's; nothing where none was given."""
    columns = result.get("utility", {}).get("columns", {})
    rows = [
        [
            name,
            _number(column["hellinger"]),
            _number(column["wasserstein"]),
            _number(column["mean_change"]),
            _share(column["missing"]),
        ]
        for name, column in columns.items()
    ]
    heads = ["column", "Hellinger", "Wasserstein", "mean moved by", "missing"]
    return [("distance from the original", heads, rows)] if rows else []


def _classes(result: dict[str, Any]) -> Shown:
    ways = (result, result["wildcard"])
    rows = [
        ["smallest class", *(_count(way["smallest"]) for way in ways)],
        ["unique records", *(_count(way["uniques"]) for way in ways)],
        *(
            [
                f"records in classes below {k}",
                *(_count((way["below_k"] or {}).get(k)) for way in ways),
            ]
            for k in result["below_k"]
            if k != "2"
        ),
        [
            "expected re-identifications",
            *(_number(way["expected_reidentifications"]) for way in ways),
        ],
        ["… per record", *(_share(way["global_risk"]) for way in ways)],
    ]
    household = result["household"]
    if household["expected_reidentifications"] is not None:
        rows.append(["… with households", _number(household["expected_reidentifications"]), ""])
        rows.append(["… with households, per record", _share(household["global_risk"]), ""])
    return "classes", ["measure", "missing is a value", "missing matches all"], rows


def _intruders(result: dict[str, Any]) -> Shown:
    above = f"records above {_share(result['threshold'])}"
    rows = [
        [name, *(_share(result[name][part]) for part in ("highest", "average", "share_above"))]
        for name in ("prosecutor", "journalist")
        if result[name]["highest"] is not None
    ]
    if result["marketer"] is not None:
        rows.append(["marketer", "", _share(result["marketer"]), ""])
    return "chance of re-identification", ["intruder", "highest", "average", above], rows


def _special_uniques(result: dict[str, Any]) -> Shown:
    found = result["suda"]
    title = "which columns make records unique"
    if not found["records"]:
        return title, [], []
    shares = sorted(found["contributions"].items(), key=lambda one: (-one[1], one[0]))
    title += f": {found['records']:,} records are, by up to {found['size']} columns"
    return title, ["column", "share of the score"], [[n, _share(share)] for n, share in shares]


def _population(result: dict[str, Any]) -> Shown:
    found = result["population_uniques"]
    rows = [
        [name + (" (chosen)" if name == found["dankar_model"] else ""), _number(found[name])]
        for name in ("zayatz", "pitman", "snb", "counted")
        if found[name] is not None
    ]
    if found["dankar"] is None:
        rows = [row for row in rows if row[0] == "counted"]
    title = "people unique in the population"
    if result["sampling_fraction"] is not None:
        title += f", of which the file holds {_share(result['sampling_fraction'])}"
    return title, ["model", "people"], rows


def _models(result: dict[str, Any]) -> Shown:
    columns = result["sensitive"]
    rows = [
        [label, *(_number(each[key]) for each in columns.values())]
        for key, label in _MODELS.items()
        if any(each[key] is not None for each in columns.values())
    ]
    recursive = result["models"]["recursive"]
    if recursive["c"] is not None:
        blank = [""] * (len(columns) - 1)
        rows.append([f"recursive c, l = {recursive['l']}", _number(recursive["c"]), *blank])
    return "worst class", ["model", *columns], rows


def _intervals(result: dict[str, Any]) -> list[Shown]:
    found = result["interval_disclosure"]
    if found["share"] is None:
        return []
    rows = [[name, _share(share)] for name, share in found["per_column"].items()]
    if len(rows) > 1:
        rows.append(["all of them", _share(found["share"])])
    return [("original within ±0.05 sd of the released", ["column", "records"], rows)]


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def _share(value: float | None) -> str:
    if value is None:
        return "–"
    # As many digits as tell a small risk from none.
    return f"{value:.2g}" if 0 < value < 0.0001 else f"{value:.2%}"
