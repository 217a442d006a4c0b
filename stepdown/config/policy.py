"""Derive what one tier asks for: the config's rules over the defaults, checked against both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

from ruamel.yaml import YAML

from stepdown.config.models import (
    AttackLimits,
    Column,
    PolicyRules,
    ReleaseConfig,
    SanityCheck,
    SignOff,
    TierRules,
)
from stepdown.config.treatments import Coarsen, Generalise, LevelRange, Treatment, TruncateDate
from stepdown.errors import PolicyInvalid
from stepdown.plain_words import counted, listed
from stepdown.vocabulary import ColumnType, PeriodKind, RecodingKind, Role, Tier

LOOSER_IF_LESS = ("smallest_class", "distinct_l")
LOOSER_IF_MORE = (
    "t_closeness",
    "expected_reidentifications",
    "alone_share",
    "suppressed_records",
    "information_loss",
    "review_months",
)


RISK_OFFICER = "risk_officer"
"""The role that must approve a public file with an overridden column, whoever else must."""

ATTACKS = tuple(AttackLimits.model_fields)
"""The attacks that a policy limits, in the order in which they are told."""


@dataclass(frozen=True)
class TierPolicy:
    """Every threshold a tier's search, suite and gate use. Shares are 0–1, never percent."""

    tier: Tier
    smallest_class: int
    distinct_l: int
    t_closeness: float
    expected_reidentifications: float
    alone_share: float
    suppressed_records: float
    information_loss: float
    recoding: RecodingKind
    attacks: Mapping[str, float]
    hold_back: bool
    period: PeriodKind
    rows_per_subject: int | None
    sign_off: SignOff
    sanity_check: SanityCheck | None
    review_months: int
    licence: str | None
    because: str | None
    looser_than_default: tuple[str, ...]


@cache
def defaults() -> dict[str, Any]:
    """The text of stepdown/config/defaults.yaml, parsed."""
    text = (files("stepdown.config") / "defaults.yaml").read_text(encoding="utf-8")
    return cast(dict[str, Any], YAML(typ="safe", pure=True).load(text))


def persisting_share(tier: Tier) -> float:
    """Share of the people with several rows whom values may hold together before they are an id."""
    return float(defaults()["persisting"][tier.value])


def tier_policy(config: ReleaseConfig, tier: Tier) -> TierPolicy:
    """The policy a tier is held to.

    Raises:
        PolicyInvalid: the tier is not declared, a rule is looser than the parent tier's, or looser
            than the default without a ``because``.
    """
    rules: TierRules | None = getattr(config.tiers, tier.value)
    if rules is None:
        raise PolicyInvalid(
            f"the config declares no tier {tier}",
            where=config.dataset,
            next=f"Declared: {', '.join(config.tier_names())}.",
        )
    return _policy(config, tier, rules, f"tiers.{tier}")


def alternative_policies(config: ReleaseConfig, tier: Tier) -> dict[str, TierPolicy]:
    """The other policies that a tier's steward considers: the tier's own rules, overlaid.

    Raises:
        PolicyInvalid: one is looser than the parent tier's, or than the default without a reason.
    """
    rules: TierRules = getattr(config.tiers, tier.value)
    stated = rules.model_dump(exclude_none=True, exclude={"alternatives", "doi"})
    policies = {}
    for name, other in rules.alternatives.items():
        changed = other.model_dump(exclude_none=True)
        own = {key: value for key, value in stated.items() if not _replaces(key, changed)}
        overlaid = TierRules.model_validate(own | changed)
        where = f"tiers.{tier}.alternatives.{name}"
        policies[name] = _policy(config, tier, overlaid, where)
    return policies


def _replaces(key: str, changed: Mapping[str, Any]) -> bool:
    """k has two spellings, and an alternative may use the other one."""
    spellings = {"smallest_class", "highest_risk"}
    return key in spellings and bool(spellings & changed.keys())


def _policy(config: ReleaseConfig, tier: Tier, rules: TierRules, where: str) -> TierPolicy:
    base = dict(defaults()[tier.value])
    base |= defaults()["sensitivity"][config.sensitivity].get(tier.value, {})
    base["sign_off"] = SignOff.model_validate(base["sign_off"])
    base_limits = base.pop("attacks")
    stated = {key: getattr(rules, key) for key in base if getattr(rules, key) is not None}
    if rules.sign_off is not None:
        # What a sign-off does not say of time and evidence stays the default's.
        said = rules.sign_off.model_dump(exclude_none=True)
        stated["sign_off"] = base["sign_off"].model_copy(update=said)
    if rules.highest_risk is not None:
        # 1 / 0.2 is 5.000000000000001 on some platforms; a k of 6 would be a surprise.
        stated["smallest_class"] = math.ceil(1 / rules.highest_risk - 1e-9)
    ruled = _never_looser(config, tier, base, stated, where)
    ruled["sign_off"] = _with_the_risk_officer(config, tier, ruled["sign_off"])
    limits, loosened = _attack_limits(config, tier, rules, base_limits, ruled, where)
    looser = tuple(key for key in stated if is_looser(key, stated[key], base[key]))
    shown = [f"{key} {show_rule(stated[key])}, default {show_rule(base[key])}" for key in looser]
    shown += [
        f"{key} {show_rule(limit)}, default {show_rule(usual)}" for key, limit, usual in loosened
    ]
    if shown and not rules.because:
        raise PolicyInvalid(
            "; ".join(shown) + f" is looser than the default at sensitivity {config.sensitivity}",
            where=where,
            next="Say why in `because:`, or go back to the default.",
        )
    return TierPolicy(
        tier=tier,
        attacks=limits,
        rows_per_subject=rules.rows_per_subject,
        sanity_check=rules.sanity_check,
        licence=rules.licence,
        because=rules.because,
        looser_than_default=(*looser, *(key for key, _, _ in loosened)),
        **ruled,
    )


def _with_the_risk_officer(config: ReleaseConfig, tier: Tier, asked: SignOff) -> SignOff:
    """Nobody can call a public column back: what overrides a check on it is theirs to sign."""
    overridden = any(config.columns[name].override for name in released_columns(config, tier))
    if tier is not Tier.PUBLIC or not overridden or RISK_OFFICER in asked.roles:
        return asked
    roles = [*asked.roles, RISK_OFFICER]
    return asked.model_copy(update={"roles": roles, "people": max(asked.people, 1)})


def _attack_limits(
    config: ReleaseConfig,
    tier: Tier,
    rules: PolicyRules,
    base: Mapping[str, float | str],
    ruled: Mapping[str, Any],
    where: str,
) -> tuple[dict[str, float], list[tuple[str, float, float]]]:
    """Every attack's limit, and those that are looser than their default, with it."""
    # What a tier's own k and l allow says more than a number that knows neither.
    by_rule = {
        "by k": 0.0 if ruled["smallest_class"] > 1 else 1.0,
        "1/k": 1 / ruled["smallest_class"],
        "by l": 0.0 if ruled["distinct_l"] > 1 else 1.0,
        "by t": ruled["t_closeness"],
    }
    usual = {name: by_rule.get(str(base.get(name, 1.0)), base.get(name, 1.0)) for name in ATTACKS}
    stated = rules.attacks.model_dump(exclude_none=True) if rules.attacks else {}
    limits = {name: float(limit) for name, limit in usual.items()} | stated
    if tier.parent is not None:
        above = tier_policy(config, tier.parent).attacks
        for name, theirs in above.items():
            if name in stated and stated[name] > theirs:
                raise PolicyInvalid(
                    f"attacks.{name} {show_rule(stated[name])} is looser than "
                    f"{tier.parent}'s {show_rule(theirs)}",
                    where=where,
                    next="A tier is never looser than the tier above it: tighten it, "
                    "or loosen that.",
                )
            limits[name] = min(limits[name], theirs)
    loosened = [
        (f"attacks.{name}", limit, float(usual[name]))
        for name, limit in stated.items()
        if limit > float(usual[name])
    ]
    return limits, loosened


def tier_purpose(config: ReleaseConfig, tier: Tier) -> str | None:
    """What a tier is released for, where the config says so."""
    rules: TierRules | None = getattr(config.tiers, tier.value)
    return rules.purpose if rules else None


def keeps_superseded(config: ReleaseConfig, tier: Tier) -> bool:
    """Whether a tier's versions stay served after a newer one has replaced them."""
    rules: TierRules = getattr(config.tiers, tier.value)
    return rules.keep_superseded


def treatment_of(config: ReleaseConfig, name: str, tier: Tier) -> Treatment:
    """What a tier does to a column: its own word, else its role's default, else dropped as above.

    ``generalise`` comes back with its level range filled in, floors by kind included.
    """
    column = config.columns[name]
    above = tier.parent
    if above and treatment_of(config, name, above) == "drop":
        return "drop"
    stated: Treatment | None = getattr(column, tier.value)
    if stated is None:
        usual = defaults()["roles"][column.role.value][tier.value]
        stated = cast(Treatment, usual) if isinstance(usual, str) else _coarsened(usual)
    if stated == "generalise":
        return Generalise(generalise=LevelRange(at_least=level_floor(column, tier), at_most=None))
    return stated


def _coarsened(usual: Mapping[str, Any]) -> Treatment:
    """The one default of more than a word: that of a survey weight."""
    return Coarsen.model_validate(usual)


def level_floor(column: Column, tier: Tier) -> int:
    """Lowest level that the defaults let a column of this kind have at a tier."""
    floors = defaults()["floors"]
    if column.kind == "age" and tier is not Tier.INTERNAL:
        return _age_floor(column, tier)
    if column.type in (ColumnType.DATE, ColumnType.TIMESTAMP) and tier is not Tier.INTERNAL:
        units = _date_units(column)
        unit = floors["date"][tier.value]
        coarse_enough = [i + 1 for i, u in enumerate(units) if _COARSENESS[u] >= _COARSENESS[unit]]
        return coarse_enough[0] if coarse_enough else len(units) + 1
    return 0


def is_date_too_fine(config: ReleaseConfig, name: str, tier: Tier) -> bool:
    """Whether a date that is kept or cut, not generalised, is finer than the tier's floor."""
    column = config.columns[name]
    if column.type not in (ColumnType.DATE, ColumnType.TIMESTAMP) or tier is Tier.INTERNAL:
        return False
    down_to_here = list(Tier)[: list(Tier).index(tier) + 1]
    cuts = [treatment_of(config, name, each) for each in down_to_here]
    coarsest = max(_COARSENESS[cut.date] if isinstance(cut, TruncateDate) else 0 for cut in cuts)
    return coarsest < _COARSENESS[defaults()["floors"]["date"][tier.value]]


def released_columns(config: ReleaseConfig, tier: Tier) -> list[str]:
    """Columns a tier's own file holds, in the source's order.

    A partner pseudonym is not among them: it enters only the recipients' copies, under their keys.
    """
    return [
        name
        for name in config.columns
        if (treatment := treatment_of(config, name, tier)) != "drop"
        and not (tier is Tier.PARTNER and treatment == "pseudonym")
    ]


def released_with_role(config: ReleaseConfig, tier: Tier, *roles: Role) -> list[str]:
    """Those of the released columns that have one of these roles."""
    return [name for name in released_columns(config, tier) if config.columns[name].role in roles]


_COARSENESS = {"month": 1, "quarter": 2, "year": 3}
DATE_UNITS = ("month", "quarter", "year")


def _age_floor(column: Column, tier: Tier) -> int:
    """The level of the defaults' bands; of a hierarchy that gives no intervals, its first level."""
    floors = defaults()["floors"]
    if column.hierarchy is None:
        return int(floors["age"][tier.value])
    intervals = getattr(column.hierarchy, "intervals", None)
    if intervals is None:
        return 1
    for level, bands in enumerate(intervals, start=1):
        together = bands.top is not None and bands.top <= floors["age_together"]
        if bands.width >= floors["age_years"] and (together or tier is not Tier.PUBLIC):
            return level
    return len(intervals) + 1


def _date_units(column: Column) -> tuple[str, ...]:
    dates = getattr(column.hierarchy, "dates", None)
    return tuple(dates) if dates else DATE_UNITS


def is_looser(key: str, value: Any, than: Any) -> bool:
    """Whether a rule asks less than another value of it would."""
    if key == "sign_off":
        return (
            value.people < than.people
            or not set(than.roles) <= set(value.roles)
            or value.valid_days > than.valid_days
            or value.report_days > than.report_days
            or not set(than.evidence) <= set(value.evidence)
        )
    if key in LOOSER_IF_LESS or key == "hold_back":
        return bool(value < than)
    return key in LOOSER_IF_MORE and bool(value > than)


def _never_looser(
    config: ReleaseConfig, tier: Tier, base: dict[str, Any], stated: dict[str, Any], where: str
) -> dict[str, Any]:
    rules = base | stated
    if tier.parent is None:
        return rules
    above = tier_policy(config, tier.parent)
    never = ("t_closeness", "expected_reidentifications", "alone_share")
    for key in (*LOOSER_IF_LESS, *never):
        theirs = getattr(above, key)
        if not is_looser(key, rules[key], theirs):
            continue
        if key in stated:
            raise PolicyInvalid(
                f"{key} {show_rule(stated[key])} is looser than {above.tier}'s {show_rule(theirs)}",
                where=where,
                next="A tier is never looser than the tier above it: tighten it, or loosen that.",
            )
        rules[key] = theirs  # a default gives way to what the tier above was tightened to
    return rules


def show_rule(value: Any) -> str:
    """A rule's value in words."""
    if isinstance(value, SignOff):
        return (
            f"{counted(value.people, 'person', 'people')} as {listed(value.roles)}, "
            f"{value.valid_days} and {value.report_days} days, "
            f"evidence of {', '.join(value.evidence or []) or 'nobody'}"
        )
    return f"{value:g}" if isinstance(value, float) else str(value)
