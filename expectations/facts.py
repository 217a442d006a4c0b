"""Give what a suite's references stand for, of one snapshot or one candidate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stepdown.config import LoadedConfig, ReleaseConfig, TierPolicy, released_columns, treatment_of
from stepdown.config.treatments import Generalise, Surrogate, TruncateDate
from stepdown.errors import ConfigInvalid
from stepdown.reports import DeriveReport
from stepdown.vocabulary import ColumnType, Role, Tier

PLAIN_TYPES = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
}


@dataclass(frozen=True)
class Facts:
    """What the config, the policy and the candidate say about one table.

    Args:
        types: the columns the table must have, in order, with their types.
        groups: a key of ``listed.GROUPS`` → columns.
        policy: a key of ``listed.POLICY`` → threshold.
        of_column: a key of ``listed.COLUMN_FACTS`` → column → fact.
    """

    types: Mapping[str, str]
    groups: Mapping[str, list[str]]
    policy: Mapping[str, float] = field(default_factory=dict)
    of_column: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def raw_facts(loaded: LoadedConfig) -> Facts:
    """The declared columns of the source, what they may hold, and no policy.

    Raises:
        ConfigInvalid: ``allowed`` lists a value that its column's type cannot hold.
    """
    config = loaded.config
    types = {name: PLAIN_TYPES[column.type] for name, column in config.columns.items()}
    ranges = {n: c.between for n, c in config.columns.items() if c.between is not None}
    of_column: dict[str, dict[str, Any]] = {
        "allowed": _allowed(loaded),
        "minimum": {name: low for name, (low, _) in ranges.items()},
        "maximum": {name: high for name, (_, high) in ranges.items()},
    }
    groups = _groups(config, types) | {
        "with_allowed": list(of_column["allowed"]),
        "with_between": list(ranges),
    }
    return Facts(types, groups, of_column=of_column)


def tier_facts(
    config: ReleaseConfig,
    policy: TierPolicy,
    recipient: str | None = None,
    report: DeriveReport | None = None,
) -> Facts:
    """What a tier's own file, or a recipient's copy of it, must look like.

    Args:
        config: the dataset's config.
        policy: the tier's.
        recipient: whose copy it is; None for the tier's own file.
        report: what the derivation did; None before it. It may drop more columns than the config
            does (places too small to publish) and generalise more, never fewer.
    """
    tier = policy.tier
    dropped = report.dropped_columns if report else {}
    held = [name for name in _held(config, tier, recipient) if name not in dropped]
    levels = report.levels if report else {}
    generalised = [n for n in held if _is_generalised(config, n, tier) or levels.get(n, 0) > 0]
    types = {n: "VARCHAR" if n in generalised else _type(config, n, tier) for n in held}
    texts = [n for n, kind in types.items() if kind == "VARCHAR" and not _is_token(config, n, tier)]
    groups = _groups(config, types) | {"generalised": generalised, "text": texts}
    thresholds = {
        "smallest_class": policy.smallest_class,
        "highest_risk": 1 / policy.smallest_class,
        "distinct_l": policy.distinct_l,
        "t_closeness": policy.t_closeness,
        "expected_reidentifications": policy.expected_reidentifications,
        "suppressed_records": policy.suppressed_records,
        "information_loss": policy.information_loss,
        **policy.attacks,
    }
    return Facts(types, groups, thresholds)


def _held(config: ReleaseConfig, tier: Tier, recipient: str | None) -> list[str]:
    if recipient is None:
        return released_columns(config, tier)
    return [name for name in config.columns if name in config.recipients[recipient].columns]


def _groups(config: ReleaseConfig, types: Mapping[str, str]) -> dict[str, list[str]]:
    def held(*roles: Role) -> list[str]:
        return [name for name in config.names(*roles) if name in types]

    return {
        "held": list(types),
        "free_text": config.names(Role.FREE_TEXT),
        "identifiers": config.names(Role.DIRECT_IDENTIFIER, Role.FREE_TEXT),
        "persistent_ids": config.names(Role.SUBJECT, Role.HOUSEHOLD),
        "subject": held(Role.SUBJECT),
        "weight": held(Role.WEIGHT),
        "sensitive": held(Role.SENSITIVE),
        "generalised": [],
        "text": [name for name, kind in types.items() if kind == "VARCHAR"],
        "with_allowed": [],
        "with_between": [],
    }


def _is_generalised(config: ReleaseConfig, name: str, tier: Tier) -> bool:
    # A label of the tier above stays a label where this tier keeps it.
    return any(isinstance(treatment, Generalise) for treatment in _path(config, name, tier))


def _is_token(config: ReleaseConfig, name: str, tier: Tier) -> bool:
    # Pseudonyms and surrogates look like ids or e-mail addresses and are nobody's.
    path = _path(config, name, tier)
    return any(treatment == "pseudonym" or isinstance(treatment, Surrogate) for treatment in path)


def _path(config: ReleaseConfig, name: str, tier: Tier) -> list[Any]:
    """The treatments a column has met on its way down to a tier, highest tier first."""
    above = _path(config, name, tier.parent) if tier.parent else []
    return [*above, treatment_of(config, name, tier)]


def _type(config: ReleaseConfig, name: str, tier: Tier) -> str:
    path = _path(config, name, tier)
    if any(isinstance(treatment, TruncateDate) for treatment in path):
        return "DATE"
    if _is_token(config, name, tier):
        return "VARCHAR"
    return PLAIN_TYPES[config.columns[name].type]


def _allowed(loaded: LoadedConfig) -> dict[str, list[Any]]:
    allowed = {}
    for name, column in loaded.config.columns.items():
        if column.allowed is None:
            continue
        try:
            allowed[name] = [_PARSERS[column.type](text) for text in column.allowed]
        except (ValueError, KeyError):
            raise ConfigInvalid(
                f"columns.{name}.allowed: lists what is no {column.type}",
                where=str(loaded.path),
                next="Write every allowed value as the column's type spells it.",
            ) from None
    return allowed


_PARSERS: dict[ColumnType, Callable[[str], Any]] = {
    ColumnType.STRING: str,
    ColumnType.INTEGER: int,
    ColumnType.NUMBER: float,
    ColumnType.BOOLEAN: lambda text: {"true": True, "false": False}[text.lower()],
    ColumnType.DATE: dt.datetime.fromisoformat,
    ColumnType.TIMESTAMP: dt.datetime.fromisoformat,
}
