"""Fill a suite's rules for one table: resolve references, spread ``each`` over its columns."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from expectations.facts import Facts, tier_facts
from expectations.listed import LISTED, Frame
from expectations.suite import Reference, Rule, load_suite, shipped_suite
from stepdown.config import LoadedConfig, tier_policy
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import Tier

TEXT_ONLY = (
    "expect_column_values_to_match_regex",
    "expect_column_values_to_not_match_regex",
    "expect_column_value_lengths_to_be_between",
)


@dataclass(frozen=True)
class Check:
    """One question with its numbers, ready to be asked.

    Args:
        name: the rule's name, with its column where it has one; unique in a suite.
        type: the expectation's.
        arguments: plain values.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]

    @property
    def frame(self) -> Frame:
        return LISTED[self.type].frame

    @property
    def column(self) -> str | None:
        column = self.arguments.get("column")
        return None if column is None else str(column)


class Answer(StrEnum):
    """The answer to one check."""

    PASSED = "passed"
    FAILED = "failed"
    NOTHING_TO_JUDGE = "nothing to judge"
    COULD_NOT_RUN = "could not run"


def tier_suite(loaded: LoadedConfig, tier: Tier) -> tuple[Rule, ...]:
    """The shipped suite of a tier, then the dataset's own.

    Raises:
        ConfigInvalid: the dataset's own suite asks for what cannot be asked, or about a column
            that the tier does not release.
    """
    rules = getattr(loaded.config.tiers, tier.value)
    if rules is None or rules.suite is None:
        return shipped_suite(tier.value)
    own = load_suite(loaded.resolve(rules.suite))
    policy = tier_policy(loaded.config, tier)
    # Copies of partner may hold a pseudonym that the base does not.
    copies = loaded.config.recipients if tier is Tier.PARTNER else ()
    offered: dict[str, str] = {}
    for recipient in (None, *copies):
        offered |= tier_facts(loaded.config, policy, recipient).types
    for rule in own:
        _check_column(rule, offered, tier)
    return shipped_suite(tier.value) + own


def fill(rules: Sequence[Rule], facts: Facts) -> tuple[Check, ...]:
    """The checks that a suite's rules come to for one table.

    A rule about columns that the table does not have comes to none: that the table has exactly
    its columns is a check of its own.

    Raises:
        ConfigInvalid: a rule names what this table has no value for, or two checks have one name.
    """
    checks = [check for rule in rules for check in _fill(rule, facts)]
    twice = [name for name, count in Counter(check.name for check in checks).items() if count > 1]
    if twice:
        raise ConfigInvalid(
            f"two checks are called {twice[0]}",
            where="; ".join(r.where for r in rules if twice[0].startswith(r.name)),
            next="Give one of them a `name:`.",
        )
    return tuple(checks)


def _fill(rule: Rule, facts: Facts) -> list[Check]:
    column = rule.arguments.get("column")
    if column is None:
        values = {key: _resolve(value, facts, None, rule) for key, value in rule.arguments.items()}
        # An empty list of columns to be absent leaves nothing to ask.
        return [] if values.get("columns") == [] else [Check(rule.name, rule.type, values)]
    columns = facts.groups[column.name] if isinstance(column, Reference) else [column]
    return [
        Check(
            f"{rule.name}({name})",
            rule.type,
            {
                key: name if key == "column" else _resolve(value, facts, name, rule)
                for key, value in rule.arguments.items()
            },
        )
        for name in columns
        if name in facts.types
    ]


def _resolve(value: Any, facts: Facts, column: str | None, rule: Rule) -> Any:
    if isinstance(value, Reference):
        found = _look_up(value, facts, column)
        if found is None:
            raise ConfigInvalid(
                f"{rule.name}: {{{value.word}: {value.name}}} has no value here",
                where=rule.where,
                next="Write the value itself, or ask about a column that has one.",
            )
        return found
    return _as_datetime(value)


def _look_up(value: Reference, facts: Facts, column: str | None) -> Any:
    if value.word == "policy":
        return facts.policy.get(value.name)
    if value.word == "columns":
        return facts.groups[value.name]
    if value.word == "types":
        return [facts.types[name] for name in facts.groups[value.name] if name in facts.types]
    return facts.of_column.get(value.name, {}).get(column or "")


def _as_datetime(value: Any) -> Any:
    # Frames hold dates as timestamps.
    if isinstance(value, list):
        return [_as_datetime(each) for each in value]
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    return value


def _check_column(rule: Rule, types: Mapping[str, str], tier: Tier) -> None:
    column = rule.arguments.get("column")
    if column is None or isinstance(column, Reference):
        return
    if column not in types:
        raise ConfigInvalid(
            f"{tier} does not release {column}; it releases {', '.join(types)}", where=rule.where
        )
    if rule.type in TEXT_ONLY and types[column] != "VARCHAR":
        raise ConfigInvalid(
            f"{rule.type} is for texts; {column} is {types[column]} at {tier}", where=rule.where
        )
    if rule.type == "expect_column_values_to_be_between" and types[column] in (
        "VARCHAR",
        "BOOLEAN",
    ):
        raise ConfigInvalid(
            f"{rule.type} is for numbers and dates; {column} is {types[column]} at {tier}",
            where=rule.where,
        )
