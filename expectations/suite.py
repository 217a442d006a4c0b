"""Parse a suite's YAML into rules; what ``listed.py`` does not list cannot be asked.

A suite is a list of items. Each item has one ``expect_…`` key with its arguments, and may have a
``name``. An argument is a literal or a reference, such as ``{policy: smallest_class}``, to what the
config, the policy or the candidate says.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from expectations.listed import LISTED, REFERENCES, Frame
from stepdown.config.policy import ATTACKS
from stepdown.errors import ConfigInvalid


@dataclass(frozen=True)
class Reference:
    """A value that the config, the policy or the candidate gives."""

    word: str
    name: str


@dataclass(frozen=True)
class Rule:
    """One item of a suite, checked; references are not filled yet.

    Args:
        name: what verdicts call it.
        type: a key of ``LISTED``.
        arguments: literals and ``Reference``.
        where: file and line.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    where: str

    @property
    def frame(self) -> Frame:
        return LISTED[self.type].frame


@cache
def shipped_suite(name: str) -> tuple[Rule, ...]:
    """The rules of ``raw`` or of a tier, those of the suite it extends first."""
    text = (files("expectations") / f"{name}.yaml").read_text(encoding="utf-8")
    return _rules(text, f"expectations/{name}.yaml", may_extend=True)


def load_suite(path: Path) -> tuple[Rule, ...]:
    """A dataset's own suite.

    Raises:
        ConfigInvalid: with the line of the first thing in it that is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"the suite cannot be read as UTF-8 text ({type(error).__name__})", where=str(path)
        ) from None
    return _rules(text, str(path), may_extend=False)


def _rules(text: str, where: str, *, may_extend: bool) -> tuple[Rule, ...]:
    document = _parse(text, where)
    unknown = set(document) - ({"extends", "expectations"} if may_extend else {"expectations"})
    if unknown:
        raise _invalid(f"{where} line 1", f"unknown key {sorted(map(str, unknown))[0]!r}")
    items = document.get("expectations")
    if not isinstance(items, CommentedSeq) or not items:
        raise _invalid(f"{where} line 1", "`expectations:` must be a list of at least one")
    above = shipped_suite(document["extends"]) if "extends" in document else ()
    own = tuple(
        _rule(item, f"{where} line {items.lc.item(position)[0] + 1}")
        for position, item in enumerate(items)
    )
    return above + own


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        document = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _invalid(f"{where} line {line}", str(error.problem or "not YAML")) from None
    except YAMLError:
        raise _invalid(where, "is not YAML") from None
    if not isinstance(document, dict):
        raise _invalid(f"{where} line 1", "is not a mapping with `expectations:`")
    return document


def _rule(item: Any, where: str) -> Rule:
    if not isinstance(item, dict):
        raise _invalid(where, "an item is a mapping with one `expect_…` key")
    types = [key for key in item if key != "name"]
    if len(types) != 1:
        raise _invalid(
            where, f"an item has one `expect_…` key and perhaps `name`, not {len(types)}"
        )
    kind, stated = str(types[0]), item[types[0]]
    if kind not in LISTED:
        raise _invalid(where, f"{kind} is not listed; a suite may use {', '.join(LISTED)}")
    if not isinstance(stated, dict):
        raise _invalid(where, f"{kind} needs its arguments as a mapping")
    name = item.get("name", re.sub(r"^expect_|_to_be(_at_least|_at_most)?$", "", kind))
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise _invalid(where, "a name is lower-case letters, digits and _")
    return Rule(str(name), kind, _arguments(kind, stated, where), where)


def _arguments(kind: str, stated: Mapping[Any, Any], where: str) -> dict[str, Any]:
    signature = LISTED[kind]
    for key in stated:
        if key in ("mostly", "row_condition"):
            raise _invalid(where, f"`{key}` would let a check pass that saw a violation")
        if key not in signature.arguments:
            allowed = ", ".join(signature.arguments)
            raise _invalid(where, f"{kind} does not take {str(key)!r}; it takes {allowed}")
    missing = [a for a in signature.arguments if a not in stated and a not in signature.optional]
    if missing:
        raise _invalid(where, f"{kind} needs {', '.join(missing)}")
    if "min_value" in signature.optional and not {"min_value", "max_value"} & set(stated):
        raise _invalid(where, f"{kind} needs min_value or max_value")
    values = {
        str(key): _value(signature.arguments[key], value, f"{where}: {key}")
        for key, value in stated.items()
    }
    _check_bounds(values, where)
    return values


def _value(kind: str, value: Any, where: str) -> Any:
    if isinstance(value, dict):
        word, names = REFERENCES.get(kind, ("", ()))
        if list(value) != [word] or value[word] not in names:
            offered = f"{{{word}: {' | '.join(names)}}}" if word else "a plain value"
            raise _invalid(where, f"is no reference that fits here; use {offered}")
        return Reference(word, str(value[word]))
    plain = _plain(value)
    if not _FITS[kind](plain):
        raise _invalid(where, f"must be {_MEANT[kind]}")
    return plain


def _plain(value: Any) -> Any:
    # ruamel's round-trip loader keeps formatting in subclasses of the plain types.
    if isinstance(value, list):
        return [_plain(each) for each in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, dt.datetime):
        return dt.datetime(*value.timetuple()[:6])
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(value) and bool(re.compile(value))
    except re.error:
        return False


def _is_attack(value: Any) -> bool:
    return value in ATTACKS


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _are_scalars(value: Any) -> bool:
    scalars = (str, bool, int, float, dt.date)
    return isinstance(value, list) and bool(value) and all(isinstance(v, scalars) for v in value)


_FITS = {
    "column": lambda value: isinstance(value, str),
    "columns": _are_texts,
    "types": _are_texts,
    "limit": _is_number,
    "values": _are_scalars,
    "bound": lambda value: _is_number(value) or isinstance(value, dt.date),
    "flag": lambda value: isinstance(value, bool),
    "pattern": _is_pattern,
    "attack": _is_attack,
}
_MEANT = {
    "column": "the name of a column",
    "columns": "a list of column names",
    "types": "a list of types",
    "limit": "a finite number",
    "values": "a list of at least one text, number, date or truth value",
    "bound": "a finite number or a date",
    "flag": "true or false",
    "pattern": "a regular expression",
    "attack": f"one of {', '.join(ATTACKS)}",
}


def _check_bounds(values: Mapping[str, Any], where: str) -> None:
    low, high = values.get("min_value"), values.get("max_value")
    if isinstance(low, Reference | None) or isinstance(high, Reference | None):
        return
    if type(low) is not type(high) and not (_is_number(low) and _is_number(high)):
        raise _invalid(where, "min_value and max_value are not of one kind")
    if low > high:
        raise _invalid(where, "min_value is above max_value")


def _invalid(where: str, problem: str) -> ConfigInvalid:
    return ConfigInvalid(
        problem, where=where, next="docs/expectations.md lists what a suite may say."
    )
