"""Define what the YAML of a dataset's release config may say."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from stepdown.config.assessment_questions import Sensitivity
from stepdown.config.consent import ConsentRegister
from stepdown.config.hierarchies import Hierarchy
from stepdown.config.licences import spdx_expression
from stepdown.config.source import Share, Source, Spelled
from stepdown.config.treatments import Model, Treatment
from stepdown.vocabulary import ColumnType, PeriodKind, RecodingKind, Role, Tier

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Reason = Text


class Column(Model):
    """One column of the source: what it is, and what each tier does to it."""

    role: Role = Field(description="What the column can do to a person; exactly one.")
    type: ColumnType = Field(ColumnType.STRING, description="What its values are.")
    kind: Literal["age", "place"] | None = Field(
        None, description="Ages and places have tier defaults of their own."
    )
    description: str = Field("", description="One line for the data dictionary.")
    missing: list[Spelled] = Field([], description="Further texts that mean 'no value' here.")
    id_pattern: str | None = Field(
        None,
        description="How raw ids of this column look, such as `P[0-9]{6}`: hashes of all of them "
        "are looked for in every release.",
    )
    date_format: str | None = Field(None, description="strptime pattern of a date column.")
    time_zone: str | None = Field(
        None,
        description="IANA time zone in which a timestamp's day and month are taken; needed where "
        "its times have several offsets from UTC. Default: each time keeps its own clock's.",
    )
    hierarchy: Hierarchy | None = Field(None, description="How its values generalise.")
    population: str | None = Field(
        None, description="CSV of people per place (place, people); needed to publish a place."
    )
    loss_weight: float = Field(1.0, gt=0, description="How much losing its detail matters.")
    not_sensitive: list[Spelled] = Field(
        [],
        description="Values of a sensitive column that reveal nothing: to l and t they are one "
        "value together, and a class of them alone passes l. A number may be spelled in any way.",
    )
    because: Reason | None = Field(None, description="Why the column is insensitive.")
    override: Reason | None = Field(
        None,
        description="Why it may be finer than its kind's floor, stay insensitive although nearly "
        "unique or constant per household, or hold values of fewer than k people. At public the "
        "risk officer must approve, too.",
    )
    allowed: list[Spelled] | None = Field(None, description="The values its raw column may hold.")
    between: tuple[float, float] | None = Field(None, description="The range its raw numbers have.")
    internal: Treatment | None = Field(None, description="Treatment at internal; default by role.")
    partner: Treatment | None = Field(None, description="Treatment at partner; default by role.")
    public: Treatment | None = Field(None, description="Treatment at public; default by role.")


class SignOff(Model):
    """Who must approve a release before it is published."""

    roles: list[Name] = Field(description="Every one of these roles must approve.")
    people: int = Field(ge=0, description="How many different people must approve.")
    valid_days: int | None = Field(None, ge=1, description="How long an approval counts.")
    report_days: int | None = Field(
        None, ge=1, description="How old the risk report may be when the release is published."
    )
    evidence: list[Name] | None = Field(
        None, description="Roles whose approval names who was consulted, how, when, and a document."
    )


class SanityCheck(Model):
    """A review by people from outside, which a release waits for."""

    reviewers: list[Reason] = Field(
        min_length=1, description="Names in people.yaml, of people who belong elsewhere."
    )
    gets: Literal["report", "copy"] = Field(
        "report", description="What they review: the report, or their organisation's partner copy."
    )


class AttackLimits(Model):
    """The largest result of each attack that a tier allows; docs/attacks.md says what they are."""

    linkage: Share | None = Field(
        None, description="Records an intruder who holds the tier above links uniquely and rightly."
    )
    probabilistic_linkage: Share | None = Field(
        None, description="Records that the likeliest link finds rightly."
    )
    singling_out: Share | None = Field(
        None, description="Success of guesses that single out one person, beyond the control's."
    )
    singling_out_with_sensitive: Share | None = Field(
        None, description="The same with guesses about the other released columns too."
    )
    linkability: Share | None = Field(
        None, description="Success of joining two halves of a person's values, beyond the control."
    )
    inference: Share | None = Field(
        None, description="Success of guessing a sensitive value, beyond the control's."
    )
    homogeneity: Share | None = Field(
        None, description="Records whose class gives their sensitive value away with certainty."
    )
    skewness: Share | None = Field(
        None, description="Largest gain in the probability of a sensitive value."
    )
    pseudonym_dictionary: Share | None = Field(
        None, description="Distinct values that a dictionary of hashed ids reverses."
    )
    order: Share | None = Field(None, description="What the order of rows tells of the raw order.")
    monotone: Share | None = Field(
        None, description="People whose place in the raw order a column gives away."
    )
    trajectories: Share | None = Field(
        None, description="People recognised by the set of all their rows."
    )
    intersection: Share | None = Field(
        None, description="Records whose sensitive value two releases together give away."
    )
    differencing: Share | None = Field(
        None, description="Records that subtracting an earlier release isolates in small groups."
    )
    collusion: Share | None = Field(
        None, description="Records in too small a class where two recipients pool their copies."
    )


class PolicyRules(Model):
    """Differences from a tier's defaults; see stepdown/config/defaults.yaml for those."""

    smallest_class: int | None = Field(None, ge=1, description="k: data subjects per class.")
    highest_risk: float | None = Field(
        None, gt=0, le=1, description="Instead of smallest_class: k = ceil(1 / highest_risk)."
    )
    distinct_l: int | None = Field(
        None, ge=1, description="Distinct sensitive values per class, for each sensitive column."
    )
    t_closeness: Share | None = Field(
        None, description="Largest distance of a class's sensitive distribution from the table's."
    )
    expected_reidentifications: Share | None = Field(
        None, description="Most expected re-identifications per record."
    )
    alone_share: Share | None = Field(
        None,
        description="Most data subjects who may be alone on quasi-identifiers and insensitive "
        "columns together.",
    )
    suppressed_records: Share | None = Field(
        None, description="Largest share of the parent's records that may be suppressed."
    )
    information_loss: Share | None = Field(None, description="More loss than this is useless.")
    recoding: RecodingKind | None = Field(
        None,
        description="`local` gives every class labels of its own, so that a column holds labels of "
        "several levels and no record is suppressed; `full-domain` puts a column on one level.",
    )
    attacks: AttackLimits | None = Field(None, description="Limits of the attacks.")
    hold_back: bool | None = Field(
        None,
        description="Hold newcomers back until they number k, so that subtracting the version "
        "before isolates nobody.",
    )
    period: PeriodKind | None = Field(
        None,
        description="`whole`: every version covers all rows; `increment`: only those that came "
        "since the version before.",
    )
    rows_per_subject: int | None = Field(
        None, ge=1, description="Keep at most this many rows of each data subject."
    )
    sign_off: SignOff | None = Field(None, description="Who must approve.")
    sanity_check: SanityCheck | None = Field(
        None, description="Outsiders whose answer the release waits for; an objection blocks."
    )
    review_months: int | None = Field(None, ge=1, le=12, description="Months until the re-review.")
    licence: Text | None = Field(
        None,
        description="SPDX id, such as `CC-BY-4.0`, or the name of the terms of use; public needs "
        "an SPDX id, or `LicenseRef-…` for terms of your own.",
    )
    suite: str | None = Field(
        None, description="A further expectation suite (YAML), relative to the config."
    )
    because: Reason | None = Field(None, description="Why a rule is looser than its default.")

    @model_validator(mode="after")
    def _one_k(self) -> Self:
        if self.smallest_class is not None and self.highest_risk is not None:
            raise ValueError("give smallest_class or highest_risk, not both")
        return self

    @field_validator("licence")
    @classmethod
    def _as_spdx_spells_it(cls, licence: str | None) -> str | None:
        return licence and (spdx_expression(licence) or licence)


class TierRules(PolicyRules):
    """One tier's rules, and what else its steward considers."""

    doi: str | None = Field(
        None,
        pattern=r"^10\.[0-9]{4,9}/[^\s]+$",
        description="DOI under which this tier's versions are cited, such as `10.5281/zenodo.1`.",
    )
    purpose: Name | None = Field(
        None, description="What this tier is released for: one of the dataset's `purposes`."
    )
    keep_superseded: bool = Field(
        False,
        description="Go on serving a version after a newer one has replaced it, until a version is "
        "published without this key.",
    )
    alternatives: dict[Name, PolicyRules] = Field(
        {}, description="Other policies that `plan` and the report compare with this one."
    )


class Tiers(Model):
    """The three tiers side by side. Leave one out and neither it nor those below it are made."""

    internal: TierRules | None = TierRules()
    partner: TierRules | None = None
    public: TierRules | None = None

    @model_validator(mode="after")
    def _no_gap(self) -> Tiers:
        if self.internal is None:
            raise ValueError("internal cannot be left out: the other tiers are made from it")
        if self.public is not None and self.partner is None:
            raise ValueError("public is made from partner; declare partner too")
        return self


class Agreement(Model):
    """The contract under which a recipient holds a copy."""

    kind: Literal["NDA", "MoU", "DSA", "DUA", "contract", "other"] = Field(
        description="Non-disclosure agreement, memorandum of understanding, data sharing or data "
        "use agreement, contract."
    )
    reference: Reason = Field(description="Its name or number.")
    document: str | None = Field(
        None, description="The signed document, relative to this file; its bytes are checked."
    )
    document_sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="SHA-256 of the signed document."
    )
    signed: dt.date = Field(description="When the last party signed; not in force before.")
    valid_from: dt.date = Field(description="First day in force.")
    valid_until: dt.date = Field(description="Last day in force.")

    @model_validator(mode="before")
    @classmethod
    def _ends(cls, facts: Any) -> Any:
        if isinstance(facts, dict) and facts.get("valid_until") is None:
            raise ValueError("an agreement without an end: give valid_until, its last day in force")
        return facts

    @model_validator(mode="after")
    def _ordered(self) -> Agreement:
        if self.valid_until < self.valid_from:
            raise ValueError("valid_until is before valid_from")
        if self.valid_until < self.signed:
            raise ValueError("it was signed after its last day in force")
        return self


class Recipient(Model):
    """An organisation that gets its own copy of the partner base, and what it agreed to.

    The loader takes it from the organisation's file in ``partners/``; no config states it.
    """

    organisation: str
    contact: str
    agreement: Agreement
    columns: list[str] = Field(min_length=1)
    purposes: list[str] = []
    onward_sharing: str = "none"
    retention_days: int = 0


class Auxiliary(Model):
    """A table that an intruder may hold, for the linkage attacks."""

    path: str = Field(
        description="A CSV or Parquet file, a folder of such files, or a pattern, relative to the "
        "config."
    )
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="Default: sniffed.")
    encoding: str | None = Field(
        None, description="Default: UTF-8, with or without BOM, or UTF-16 with one."
    )
    missing: list[str] | None = Field(
        None,
        description="Texts that mean 'no value' in it, and no others; default as for a source.",
    )
    columns: dict[str, str] = Field(
        min_length=1, description="Its columns → the quasi-identifiers of the dataset they hold."
    )


class Creator(Model):
    """Somebody whom a citation names as having made the data."""

    name: Text = Field(description="As it stands in a citation, such as `Muster, Ann`.")
    kind: Literal["person", "organisation"] = Field("person", description="Which of the two.")
    orcid: str | None = Field(None, description="A person's ORCID iD, `0000-0002-1825-0097`.")

    @model_validator(mode="after")
    def _rightly_identified(self) -> Self:
        if self.orcid is not None and self.kind == "organisation":
            raise ValueError("an ORCID iD is a person's")
        if self.orcid is not None and not _is_orcid(self.orcid):
            raise ValueError("orcid is no ORCID iD: its form or its last character is wrong")
        return self


def _is_orcid(text: str) -> bool:
    """Form and check character, ISO 7064 mod 11-2.

    Source: https://support.orcid.org/hc/en-us/articles/360006897674
    """
    if not re.fullmatch(r"([0-9]{4}-){3}[0-9]{3}[0-9X]", text):
        return False
    digits, check = text.replace("-", "")[:-1], text[-1]
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    return (12 - total % 11) % 11 == (10 if check == "X" else int(check))


class Schedule(Model):
    """When the release flow runs by itself."""

    cron: str = Field(pattern=r"^\S+( +\S+){4}$", description="Five-field cron expression.")
    timezone: str = Field("UTC", description="IANA time zone the cron is read in.")

    @model_validator(mode="after")
    def _known_zone(self) -> Schedule:
        if self.timezone not in zoneinfo.available_timezones():
            raise ValueError("timezone is not an IANA time zone, such as Europe/Vienna")
        return self


class Retention(Model):
    """How long the workspace keeps what only making a release needs."""

    snapshots_days: int = Field(
        90, ge=1, description="Days after its last run for which a raw snapshot is kept."
    )
    candidates_days: int = Field(
        90, ge=1, description="Days for which what was refused, or is no longer live, is kept."
    )


class ReleaseConfig(Model):
    """One dataset and its releases."""

    dataset: Name = Field(description="Name in addresses and paths.")
    title: str = Field(description="One line that says what the data are.")
    description: str = Field("", description="A paragraph for the data dictionary.")
    contact: str = Field(description="Whom to reach about a release.")
    creators: list[Creator] = Field(
        [], description="Whom a citation names as creators; default the publisher."
    )
    publisher: Text | None = Field(
        None, description="The organisation that publishes; default the contact."
    )
    keywords: list[Text] = Field([], description="Words by which catalogues find the dataset.")
    sensitivity: Sensitivity = Field(
        "moderate",
        description="How much harm re-identification could do; high and severe tighten defaults. "
        "The risk assessment may raise it.",
    )
    purposes: list[Name] = Field(
        [], description="What the data were collected for; a tier must be for one of them."
    )
    source: Source
    consent: ConsentRegister | None = Field(
        None, description="Who agreed to what; each tier keeps only their rows."
    )
    no_consent_register: Reason | None = Field(
        None,
        description="Why `consent` is not given any more, although an earlier release had it. A "
        "run without either is refused; approvers sign the reason.",
    )
    columns: dict[str, Column] = Field(min_length=1)
    tiers: Tiers = Tiers()
    recipients: SkipJsonSchema[dict[Name, Recipient]] = Field(
        {}, description="Filled from `partners/`; a config does not state it."
    )
    auxiliary: dict[Name, Auxiliary] = Field(
        {}, description="Tables that an intruder may hold beside a release."
    )
    schedule: Schedule | None = None
    retention: Retention = Field(
        Retention(), description="House rule: a quarter; the newest snapshot always stays."
    )

    def names(self, *roles: Role) -> list[str]:
        """Columns that have one of these roles, in the source's order."""
        return [name for name, column in self.columns.items() if column.role in roles]

    def name(self, role: Role) -> str | None:
        """The column that has this role, where at most one may."""
        return next(iter(self.names(role)), None)

    def tier_names(self, last: Tier | None = None) -> list[Tier]:
        """The tiers this dataset releases, from the top down; as far as ``last``, if it is one."""
        declared = [tier for tier in Tier if getattr(self.tiers, tier.value) is not None]
        return declared[: declared.index(last) + 1] if last in declared else declared
