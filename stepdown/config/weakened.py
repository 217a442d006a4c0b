"""Name what a config asks for less than the config of an earlier version did.

A key that protects people can be taken out of a config between two versions, and the config is
valid without it. Whoever signs the new version learns it from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stepdown.config.assessment_questions import SENSITIVITIES
from stepdown.config.models import ReleaseConfig
from stepdown.config.policy import (
    LOOSER_IF_LESS,
    LOOSER_IF_MORE,
    TierPolicy,
    is_looser,
    released_columns,
    show_rule,
    tier_policy,
)
from stepdown.plain_words import counted
from stepdown.vocabulary import Role, Tier

_RULES = (*LOOSER_IF_LESS, *LOOSER_IF_MORE, "hold_back", "sign_off")
_JUDGED = (Role.DIRECT_IDENTIFIER, Role.FREE_TEXT, Role.QUASI_IDENTIFIER, Role.SENSITIVE)
"""Roles whose columns are dropped, generalised, or counted in l and t."""
_USUAL_MISSING = ("", "NA")


def weakened(before: ReleaseConfig, now: ReleaseConfig, tier: Tier) -> tuple[str, ...]:
    """Name what protects people less at a tier than it did, a phrase each; no value of a column.

    Raises:
        PolicyInvalid: the earlier config has no such tier, or breaks a rule of today.
    """
    return (
        *_consent(before, now),
        *_policy(tier_policy(before, tier), tier_policy(now, tier)),
        *_dataset(before, now),
        *_columns(before, now, tier),
    )


def _consent(before: ReleaseConfig, now: ReleaseConfig) -> Iterator[str]:
    if now.consent is None and (before.consent or before.no_consent_register):
        yield f"no consent register is asked: {now.no_consent_register or 'no reason given'}"
    elif before.consent and now.consent:
        if now.consent.unknown == "keep" != before.consent.unknown:
            yield "subjects who are not in the consent register are kept"
        for words in ("tiers", "purposes", "expires"):
            if getattr(before.consent.columns, words) and not getattr(now.consent.columns, words):
                yield f"the consent register is not asked about {words}"


def _policy(before: TierPolicy, now: TierPolicy) -> Iterator[str]:
    for key in _RULES:
        was, asked = getattr(before, key), getattr(now, key)
        if is_looser(key, asked, was):
            yield f"{key} {show_rule(asked)}, before {show_rule(was)}"
    for name, limit in now.attacks.items():
        if limit > before.attacks.get(name, limit):
            yield f"attacks.{name} {show_rule(limit)}, before {show_rule(before.attacks[name])}"
    most = before.rows_per_subject
    if most is not None and (now.rows_per_subject is None or now.rows_per_subject > most):
        yield f"rows_per_subject {now.rows_per_subject or 'not limited'}, before {most}"
    if before.sanity_check and now.sanity_check is None:
        yield "no sanity_check is waited for"
    if before.period != now.period:
        yield f"period {now.period}, before {before.period}"


def _dataset(before: ReleaseConfig, now: ReleaseConfig) -> Iterator[str]:
    if SENSITIVITIES.index(now.sensitivity) < SENSITIVITIES.index(before.sensitivity):
        yield f"sensitivity {now.sensitivity}, before {before.sensitivity}"
    if before.purposes and not now.purposes:
        yield "no purposes are stated, so no tier is held to them"
    for name in before.auxiliary:
        if name not in now.auxiliary:
            yield f"the auxiliary table {name} is not tried in the linkage attacks"
    for role in (Role.SUBJECT, Role.HOUSEHOLD):
        was, has = before.name(role), now.name(role)
        if was and not has:
            yield f"no column has the role {role}, before {was}"
    lost = _missing(before, ()) - _missing(now, ())
    if lost:
        yield f"source.missing: {counted(len(lost), 'text')} fewer"


def _columns(before: ReleaseConfig, now: ReleaseConfig, tier: Tier) -> Iterator[str]:
    for name in released_columns(now, tier):
        if name not in before.columns:
            continue
        was, column = before.columns[name], now.columns[name]
        if was.role in _JUDGED and column.role is not was.role:
            yield f"{name} is {column.role}, before {was.role}"
        more = set(column.not_sensitive) - set(was.not_sensitive)
        if more:
            yield f"{name}: {counted(len(more), 'value')} more under not_sensitive"
        lost = set(was.missing) - _missing(now, column.missing)
        if lost:
            yield f"{name}: {counted(len(lost), 'text')} fewer under missing"
    for name, was in before.columns.items():
        # Of dropped columns too: it is their raw values that are looked for.
        if was.id_pattern and (name not in now.columns or now.columns[name].id_pattern is None):
            yield f"{name}: no id_pattern, so no dictionary of its ids is tried"


def _missing(config: ReleaseConfig, more: Iterable[str]) -> set[str]:
    stated = config.source.missing
    return {*(_USUAL_MISSING if stated is None else stated), *more}
