"""Write what the docs show of the code from the code, so that no page goes stale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stepdown.config.load import json_schema
from stepdown.config.partners import Partner
from stepdown.sharing.readers.settings import _INNER
from stepdown.vocabulary import NEXT_STATES, ReleaseState

_INTRO = """# Config reference

One YAML file describes a dataset and its three tiers. Unknown keys are errors, and so is a source
column that `columns:` does not name. Paths are relative to the config. This page is written from
the models in `stepdown/config/`; `configs/release-config.schema.json` lets an editor complete keys.

A column's treatment at a tier is one of

| treatment | what it does |
|---|---|
| `keep` | the value as the tier above has it |
| `drop` | the column is not in this tier, nor in those below it |
| `pseudonym` | a keyed token; at partner only in recipients' copies, under their own keys |
| `generalise` | an ancestor in the column's hierarchy; the search picks the level |
| `{generalise: {at_least: 1, at_most: 2}}` | the same, between these levels |
| `{code: {bottom: 0, top: 90, round: 5}}` | bottom- and top-code a number, then round it |
| `{date: month}` | the first day of the month, `quarter` or `year` |
| `{prefix: 3}` | the first characters of a code |
| `{suppress_cells: {fewer_than: 20}}` | values that fewer data subjects hold go missing |
| `{coarsen: {steps: 10}}` | a survey weight on at most 10 steps, each of 2 k households or people |
| `{surrogate: email}` | an invented value of the same kind, stable under the key |

and a hierarchy is one of

| hierarchy | its levels |
|---|---|
| `{file: clinics.csv}` | one row per leaf, one column per level, `;` or `,` between them |
| `{intervals: [{width: 5}, {width: 10, top: 90}]}` | ever wider intervals, then `*` |
| `{dates: [month, quarter, year]}` | ever coarser calendar units, then `*` |
| `{prefixes: [3, 2, 1]}` | ever shorter prefixes, then `*` |
| `{tree: {north: {coast: [a, b], hills: [c]}}}` | categories nested in YAML, then `*` |

What a role or a tier does when a config says nothing stands, each with its source, in
[`stepdown/config/defaults.yaml`](../stepdown/config/defaults.yaml).
"""

_SECTIONS = {
    "ReleaseConfig": "The file",
    "Source": "`source:`",
    "Column": "`columns:` one entry per column",
    "Tiers": "`tiers:`",
    "TierRules": "`tiers:` one tier",
    "AttackLimits": "`attacks:`",
    "PolicyRules": "`alternatives:` one other policy of a tier",
    "SignOff": "`sign_off:`",
    "SanityCheck": "`sanity_check:`",
    "Auxiliary": "`auxiliary:` one entry per table",
    "Creator": "`creators:` one entry",
    "Schedule": "`schedule:`",
    "LevelRange": "`generalise:`",
    "NumberCoding": "`code:`",
    "RareCells": "`suppress_cells:`",
    "WeightSteps": "`coarsen:`",
    "Intervals": "`intervals:` one level",
    "Partner": "`partners/NAME.yaml` one file per recipient",
    "Agreement": "`agreement:`",
    "Agreed": "`datasets:` one entry per dataset",
}


def config_reference() -> str:
    """The whole of docs/config.md as Markdown."""
    schema = json_schema()
    partner = Partner.model_json_schema()
    models = {"ReleaseConfig": schema, **schema["$defs"], "Partner": partner, **partner["$defs"]}
    return _INTRO + "".join(
        f"\n## {title}\n\n" + "\n".join(_rows(models[name])) + "\n"
        for name, title in _SECTIONS.items()
    )


def state_diagram() -> str:
    """The table of moves as a Mermaid diagram, for docs/release-states.md."""
    lines = ["stateDiagram-v2", f"    [*] --> {ReleaseState.CANDIDATE}"]
    for before, following in NEXT_STATES.items():
        lines += [f"    {before} --> {after}" for after in sorted(following)]
        if not following:
            lines.append(f"    {before} --> [*]")
    return "\n".join(lines) + "\n"


def settings_table() -> str:
    """Every key with its default and meaning, as docs/sharing.md shows them."""
    rows = ["| key | default | what it is |", "|---|---|---|"]
    for outer, model in _INNER.items():
        for name, field in model.model_fields.items():
            if name not in _INNER:
                key = f"{outer}.{name}" if outer else name
                default = "required" if field.is_required() else json.dumps(field.default)
                rows.append(f"| `{key}` | {default} | {field.description} |")
    return "\n".join(rows)


def _rows(model: dict[str, Any]) -> Iterator[str]:
    yield "| key | value | meaning |"
    yield "|---|---|---|"
    required = model.get("required", [])
    for key, field in model["properties"].items():
        meaning = field.get("description", "").replace("|", "\\|")
        default = field.get("default")
        tail = f" Default `{default}`." if default not in (None, "", [], {}) else ""
        if isinstance(default, dict):
            tail = ""
        name = f"**`{key}`**" if key in required else f"`{key}`"
        yield f"| {name} | {_shape(field)} | {meaning}{tail} |"


def _shape(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return _named(field["$ref"])
    if "enum" in field:
        return " \\| ".join(f"`{word}`" for word in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field or "oneOf" in field:
        options = field.get("anyOf") or field["oneOf"]
        shapes = [_shape(option) for option in options if option.get("type") != "null"]
        return "a treatment" if len(shapes) > 5 else " or ".join(dict.fromkeys(shapes))
    if field.get("type") == "array":
        item = field.get("items") or {}
        return f"list of {_shape(item)}" if item else "list"
    if field.get("type") == "object":
        return "mapping"
    return {"string": "text"}.get(str(field.get("type")), str(field.get("type", "any")))


def _named(ref: str) -> str:
    name = ref.rsplit("/", 1)[-1]
    words = {"Role": "a role", "ColumnType": "a type"}
    if name.endswith("Hierarchy"):
        return "a hierarchy"
    return words.get(name, f"see {_SECTIONS[name]}" if name in _SECTIONS else name)
