"""Check a config as a whole: rules that span several keys."""

from __future__ import annotations

import datetime as dt
import math
import re
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

from stepdown.config.built_hierarchies import hierarchy_faults
from stepdown.config.licences import COMMON, closest, spdx_expression
from stepdown.config.models import Column, ReleaseConfig, TierRules
from stepdown.config.policy import (
    alternative_policies,
    is_date_too_fine,
    level_floor,
    released_columns,
    released_with_role,
    tier_policy,
    treatment_of,
)
from stepdown.config.treatments import (
    Coarsen,
    CodeNumber,
    Generalise,
    NumberCoding,
    SuppressCells,
    Surrogate,
    Treatment,
    TruncateDate,
    TruncatePrefix,
)
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import (
    MOST_QUASI_IDENTIFIERS,
    MOST_RELEASED,
    ROW_ID,
    SUBJECT_ID,
    ColumnType,
    Role,
    Tier,
)

ONE_OF_A_KIND = (Role.SUBJECT, Role.HOUSEHOLD, Role.WEIGHT, Role.CONSENT)
_ATTACKED = (Role.QUASI_IDENTIFIER, Role.SENSITIVE, Role.INSENSITIVE)
_IDS = (Role.SUBJECT, Role.HOUSEHOLD, Role.DIRECT_IDENTIFIER)
NUMERIC = (ColumnType.INTEGER, ColumnType.NUMBER)
RESERVED = re.compile("latest|data|v[1-9][0-9]{0,8}")
DATED = (ColumnType.DATE, ColumnType.TIMESTAMP)


def check_consistency(config: ReleaseConfig, path: Path) -> None:
    """Refuse a config whose parts do not fit together.

    Raises:
        ConfigInvalid: with every problem, one per line.
        PolicyInvalid: a tier is looser than it may be.
    """
    problems = [
        *_roles(config),
        *_names(config),
        *_columns(config),
        *_recipients(config),
        *_auxiliary(config),
        *_sanity_checks(config),
        *_licence(config),
        *_consent(config),
    ]
    if problems:
        raise ConfigInvalid(
            "\n".join(problems), where=str(path), next="docs/config.md says what each role allows."
        )
    for tier in config.tier_names():
        tier_policy(config, tier)
        alternative_policies(config, tier)


def _licence(config: ReleaseConfig) -> Iterator[str]:
    # Nobody can ask back: without a licence no reader knows what they may do with a public file.
    if config.tiers.public is None:
        return
    licence = config.tiers.public.licence
    if licence is None:
        yield (
            "tiers.public.licence: a public release needs a licence; "
            f"{', '.join(COMMON)} are common for data"
        )
    elif spdx_expression(licence) is None:
        yield (
            f"tiers.public.licence: {licence} is no SPDX licence id; known are "
            f"{', '.join(closest(licence))}, and LicenseRef-NAME for terms of your own"
        )


def _auxiliary(config: ReleaseConfig) -> Iterator[str]:
    known = config.names(Role.QUASI_IDENTIFIER)
    for name, table in config.auxiliary.items():
        for column, ours in table.columns.items():
            if ours not in known:
                yield f"auxiliary.{name}.columns.{column}: {ours} is no quasi-identifier"


def _sanity_checks(config: ReleaseConfig) -> Iterator[str]:
    for tier in (Tier.INTERNAL, Tier.PARTNER):
        rules: TierRules | None = getattr(config.tiers, tier.value)
        if rules and rules.sanity_check and rules.sanity_check.gets == "copy":
            yield (
                f"tiers.{tier}.sanity_check: copies are made after {tier} is published, so only "
                "public can wait for those who hold one"
            )


def _consent(config: ReleaseConfig) -> Iterator[str]:
    if config.consent is None:
        return
    if config.no_consent_register:
        yield "no_consent_register: the config has a register; give consent or this, not both"
    if config.name(Role.SUBJECT) is None:
        yield "consent: no column has the role subject, so nobody could be found in the register"
    if config.consent.columns.purposes and not config.purposes:
        yield "consent.columns.purposes: the dataset states no purposes of its own"


def _roles(config: ReleaseConfig) -> Iterator[str]:
    for role in ONE_OF_A_KIND:
        names = config.names(role)
        if len(names) > 1:
            yield f"columns {', '.join(names)}: only one column can have the role {role}"
    if not config.names(Role.QUASI_IDENTIFIER):
        yield "columns: none is a quasi_identifier, so no risk could be measured"
    for tier in config.tier_names():
        if not released_columns(config, tier):
            yield f"tiers.{tier}: no column is left; keep or generalise one, or leave the tier out"
        released = released_with_role(config, tier, Role.QUASI_IDENTIFIER)
        if len(released) > MOST_QUASI_IDENTIFIERS:
            yield (
                f"tiers.{tier}: {len(released)} quasi-identifiers are released, and "
                f"{MOST_QUASI_IDENTIFIERS} are the most that can be measured and recoded; drop "
                "those that nobody needs"
            )
        known = released_with_role(config, tier, *_ATTACKED)
        if len(known) > MOST_RELEASED:
            yield (
                f"tiers.{tier}: {len(known)} quasi-identifiers, sensitive and insensitive columns "
                f"are released, and {MOST_RELEASED} are the most that can be attacked; drop some, "
                "or make two datasets"
            )


def _names(config: ReleaseConfig) -> Iterator[str]:
    for name in (config.dataset, *config.recipients):
        if RESERVED.fullmatch(name):
            yield f"{name}: a dataset or recipient cannot have this name; releases' folders do"
    # The engine finds `name` under `Name`: the wrong one of two columns could be released.
    own = (ROW_ID, SUBJECT_ID)
    seen = {name: name for name in own}
    for name in config.columns:
        twin = seen.setdefault(name.casefold(), name)
        if twin in own:
            yield f"columns.{name}: this name is the engine's own; rename it in the source"
        elif twin != name:
            yield f"columns.{name}: differs from {twin} in capitals only; rename it in the source"


def _columns(config: ReleaseConfig) -> Iterator[str]:
    for name, column in config.columns.items():
        if column.role is Role.INSENSITIVE and not column.because:
            yield f"columns.{name}: insensitive needs a `because:`"
        if column.id_pattern and column.role not in _IDS:
            yield f"columns.{name}: id_pattern is for columns that identify"
        if column.not_sensitive and column.role is not Role.SENSITIVE:
            yield f"columns.{name}: not_sensitive is for sensitive columns"
        if strangers := sum(not _reads_as(text, column.type) for text in column.not_sensitive):
            yield (
                f"columns.{name}: not_sensitive lists {strangers} texts that are no {column.type}"
                + (", which is true or false" if column.type is ColumnType.BOOLEAN else "")
            )
        for fault in hierarchy_faults(column):
            yield f"columns.{name}.hierarchy: {fault}"
        if column.time_zone and column.type is not ColumnType.TIMESTAMP:
            yield f"columns.{name}: time_zone is for timestamps"
        elif column.time_zone and column.time_zone not in zoneinfo.available_timezones():
            yield f"columns.{name}: time_zone is not an IANA time zone, such as Africa/Nairobi"
        if column.kind == "age" and column.type not in NUMERIC:
            yield f"columns.{name}: an age is an integer or a number, not a {column.type}"
        for tier in config.tier_names():
            stated = getattr(column, tier.value)
            treatment = treatment_of(config, name, tier)
            key = f"columns.{name}.{tier}"
            if stated not in (None, "drop") and treatment == "drop":
                yield f"{key}: the tier above dropped it, so it cannot come back"
                continue
            yield from (
                f"{key}: {problem}" for problem in _treatment(config, name, column, tier, treatment)
            )


def _treatment(
    config: ReleaseConfig, name: str, column: Column, tier: Tier, treatment: Treatment
) -> Iterator[str]:
    if treatment == "drop":
        return
    role = column.role
    if role is Role.FREE_TEXT:
        yield "free text is always dropped: nobody can say what is in it"
    if role is Role.DIRECT_IDENTIFIER:
        if tier is not Tier.INTERNAL:
            yield f"a direct identifier is dropped at {tier}"
        elif treatment != "pseudonym" and not isinstance(treatment, Surrogate):
            yield "a direct identifier is dropped, a pseudonym or a surrogate"
    if role in (Role.SUBJECT, Role.HOUSEHOLD):
        if treatment != "pseudonym":
            yield f"a {role} id is dropped or a pseudonym"
        if tier is Tier.PUBLIC:
            yield "public has no persistent id: drop it"
    if treatment == "pseudonym" and role not in (
        Role.DIRECT_IDENTIFIER,
        Role.SUBJECT,
        Role.HOUSEHOLD,
    ):
        yield f"a pseudonym is for ids, not for a {role}"
    if isinstance(treatment, Surrogate) and role is not Role.DIRECT_IDENTIFIER:
        yield f"a surrogate stands in for a direct identifier, not for a {role}"
    if role is Role.WEIGHT and tier is Tier.PUBLIC and not _rounds(treatment):
        yield "a survey weight is dropped, coarsened or rounded at public"
    if role is Role.CONSENT and tier is not Tier.INTERNAL:
        yield f"the consent column is dropped at {tier}"
    yield from _fits_type(column, treatment)
    if role is Role.QUASI_IDENTIFIER:
        yield from _quasi_identifier(column, tier, treatment)
    elif role in (Role.SENSITIVE, Role.INSENSITIVE) and not column.override:
        yield from _not_searched(config, name, column, tier)


def _fits_type(column: Column, treatment: Treatment) -> Iterator[str]:
    if isinstance(treatment, Coarsen) and column.role is not Role.WEIGHT:
        yield f"coarsen is for the survey weight, not for a {column.role}; use code"
    if isinstance(treatment, Coarsen) and column.type not in NUMERIC:
        yield f"coarsen is for numbers, not for a {column.type}; declare its type"
    if isinstance(treatment, CodeNumber) and column.type not in NUMERIC:
        yield f"code is for numbers, not for a {column.type}"
    if isinstance(treatment, CodeNumber):
        yield from _coding(column, treatment.code)
    if isinstance(treatment, TruncateDate) and column.type not in DATED:
        yield f"date is for dates, not for a {column.type}"
    if isinstance(treatment, TruncatePrefix) and column.type is not ColumnType.STRING:
        yield f"prefix is for strings, not for a {column.type}"
    if isinstance(treatment, Generalise | SuppressCells) and column.role not in (
        Role.QUASI_IDENTIFIER,
        Role.SENSITIVE,
        Role.INSENSITIVE,
    ):
        yield f"a {column.role} cannot be generalised"
    if isinstance(treatment, Generalise) and column.role is not Role.QUASI_IDENTIFIER:
        yield "generalise is for quasi-identifiers; use code, date, prefix or suppress_cells"


def _coding(column: Column, coding: NumberCoding) -> Iterator[str]:
    settings = coding.model_dump(exclude_none=True)
    if not settings:
        yield "code says nothing: give it round, bottom or top"
    if column.type is ColumnType.INTEGER:
        broken = [key for key, value in settings.items() if not float(value).is_integer()]
        if broken:
            yield f"code.{', '.join(broken)} of an integer column must be whole"
    if coding.bottom is not None and coding.top is not None and coding.bottom > coding.top:
        yield "code.bottom is above code.top"
    for key in ("bottom", "top"):
        # Rounding comes after the cut: 93 at a step of 5 would become 95.
        if coding.round and key in settings and not _is_multiple(settings[key], coding.round):
            yield f"code.{key} must be a multiple of code.round"


def _is_multiple(value: float, step: float) -> bool:
    return math.isclose(value / step, round(value / step), abs_tol=1e-9)


def _quasi_identifier(column: Column, tier: Tier, treatment: Treatment) -> Iterator[str]:
    if treatment != "keep" and not isinstance(treatment, Generalise):
        yield "a quasi-identifier is kept, generalised or dropped (its hierarchy says how)"
    if tier is Tier.PUBLIC and column.kind == "place" and column.population is None:
        yield "a place needs a `population:` table to be published; else drop it"
    floor = level_floor(column, tier)
    level = treatment.generalise.at_least if isinstance(treatment, Generalise) else 0
    if level < floor and not column.override:
        yield (
            f"level {level} is finer than this kind of column may have at {tier} "
            f"(level {floor}); raise it, or say why in `override:`"
        )


def _not_searched(config: ReleaseConfig, name: str, column: Column, tier: Tier) -> Iterator[str]:
    # No level is chosen for these columns, so no floor of a level would hold them.
    if column.kind and tier is not Tier.INTERNAL:
        yield f"kind {column.kind} is for a quasi-identifier; drop it, or say why in `override:`"
    if is_date_too_fine(config, name, tier):
        yield (
            f"a date is too fine at {tier}; cut it with `date:`, drop it, or say why in `override:`"
        )


def _rounds(treatment: Treatment) -> bool:
    return isinstance(treatment, Coarsen) or (
        isinstance(treatment, CodeNumber) and treatment.code.round is not None
    )


def _reads_as(text: str, type: ColumnType) -> bool:
    """Whether a text can be a value of a column of this type."""
    try:
        if type in NUMERIC:
            return math.isfinite(float(text))
        if type in DATED:
            dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return type is not ColumnType.BOOLEAN or text.strip().lower() in ("true", "false")


def _recipients(config: ReleaseConfig) -> Iterator[str]:
    if config.recipients and config.tiers.partner is None:
        names = ", ".join(config.recipients)
        yield f"partners/: {names} get copies of partner, which is not declared"
        return
    for recipient, terms in config.recipients.items():
        key = f"partners/{recipient}.yaml: datasets.{config.dataset}.columns"
        offered = released_columns(config, Tier.PARTNER) + [
            name
            for name in config.columns
            if treatment_of(config, name, Tier.PARTNER) == "pseudonym"
        ]
        unknown = [name for name in terms.columns if name not in offered]
        if unknown:
            yield (
                f"{key}: partner does not hold {', '.join(unknown)}; it holds {', '.join(offered)}"
            )
        if len(set(terms.columns)) != len(terms.columns):
            yield f"{key}: a column is named twice"
