"""Keep the words of every report in one place: whatever the data, they are the same.

No identifier is found by them, so the residue check knows all of them. What is not here and not
in a template is a figure, a column's name, a label of the file, or text of the config.
"""

from __future__ import annotations

from importlib.resources import files

from stepdown.config.policy import defaults
from stepdown.vocabulary import Role, Tier

TEMPLATES = ("report.html", "report_parts.html", "report.css")

AUDIENCE = {
    Tier.INTERNAL: "For colleagues who work under the organisation's own security policy.",
    Tier.PARTNER: "For organisations that have signed an agreement.",
    Tier.PUBLIC: "For everybody, for ever: a public file cannot be called back.",
}

AT_LEAST = {
    "smallest_class": "Smallest class, in people",
    "smallest_trajectory_class": "Fewest people who share all their rows",
    "distinct_l": "Distinct values in a class",
    "rare_values": "Fewest people who hold a value of a column",
}
AT_MOST = {
    "expected_reidentifications": "Records an intruder can expect to re-identify",
    "household_expected_reidentifications": "The same where a household can be linked",
    "t_closeness": "Distance of a class from the file",
    "suppressed_records": "Records suppressed, of the tier above",
    "information_loss": "Information loss of the quasi-identifiers",
}
"""Measures that have a limit, by the side of it they must stay on."""

ATTACKS = {
    "linkage": "Linkage by exact match",
    "probabilistic_linkage": "Linkage by likelihood",
    "singling_out": "Singling one person out",
    "singling_out_with_sensitive": "The same, other columns known",
    "linkability": "Joining two halves of a person",
    "inference": "Guessing a sensitive value",
    "homogeneity": "Classes that give a value away",
    "skewness": "Classes that move the odds",
    "pseudonym_dictionary": "Dictionary of hashed ids",
    "order": "Order of the rows",
    "monotone": "Columns that follow the raw order",
    "trajectories": "People known by all their rows",
    "intersection": "Two releases together",
    "differencing": "One release less another",
    "collusion": "Two recipients together",
}
ATTACK_GROUPS = {
    "Finding a person": (
        "linkage",
        "probabilistic_linkage",
        "singling_out",
        "singling_out_with_sensitive",
        "linkability",
        "trajectories",
    ),
    "Learning a value": ("inference", "homogeneity", "skewness"),
    "Reading what it was made from": ("pseudonym_dictionary", "order", "monotone"),
    "Holding two releases": ("intersection", "differencing", "collusion"),
}

LOSSES = {
    "arithmetic": "mean over the quasi-identifiers, 0 to 1",
    "entropy": "what a guess of the value above is short of, in bits",
    "aecs": "records per class",
    "discernibility": "pairs of records that look alike",
}

DONE = {
    "keep": "kept",
    "pseudonym": "replaced by a keyed pseudonym",
    "surrogate": "replaced by an invented value",
    "generalise": "generalised",
    "generalise_locally": "generalised class by class, to labels of several levels",
    "code": "coarsened",
    "date": "cut to a coarser date",
    "prefix": "cut to its first characters",
    "suppress_cells": "rare values made missing",
    "coarsen": "coarsened",
}

OUTCOMES = {
    "publish": "It may be published.",
    "await_approval": "It may be published once it is signed.",
    "refuse": "It was refused.",
}

OTHERS = "all others"
"""A bin of everything too rare, or too far down a long list, to be drawn by itself."""

CHARTS = {
    "limits": "How much of each limit is used",
    "limits_text": "The bar is what was measured as a share of what is allowed; the line is the "
    "limit, and a bar past it refuses the release.",
    "limits_side": "{measured}, at {side} {limit}",
    "over": " – over",
    "above": "The tier above",
    "this": "This release",
    "sizes_above": "Class sizes in the tier above",
    "sizes": "Class sizes in this release",
    "sizes_text": "Records by the number of people who look alike. {below} of {all} records stand "
    "in classes that are certainly smaller than {k}.",
    "sizes_public": "Records by the number of records that look alike.",
    "sizes_table": "Class size",
    "below": "below {k}",
    "columns": "Columns that make people unique",
    "columns_text": "Each quasi-identifier's share of what makes records of the tier above unique.",
    "spread": "{column}",
    "spread_text": "Share of records by value of {column}.",
    "spread_both": "Share of records by value of {column}: filled bars are this release, outlines "
    "the tier above.",
    "attacks_text": "The dot is the result, the line through it the 95 % interval, the tall mark "
    "the limit; the scale is wider near 0. Of an attack made several times the worst is drawn.",
    "no_limit": "{measured}, only reported",
    "with_limit": "{measured}, limit {limit}",
    "frontier": "Risk against loss",
    "frontier_text": "Each point is a policy this tier could have: further left is safer, further "
    "down keeps more. The filled point is the policy it has. The axes need not begin at 0; names "
    "that find no room stand in the table.",
    "risk_axis": "average risk",
    "loss_axis": "information loss",
    "chosen": "{name} (chosen)",
    "measure": "Measure",
    "figure": "Measured",
    "limit": "Limit",
    "share": "Share",
    "records": "Records",
    "column": "Column",
    "value": "Value",
    "attack": "Attack",
    "interval": "95 % interval",
    "policy": "Policy",
    "people": "people",
    "verdict": "Within its limit",
    "yes": "yes",
    "no": "no",
    "reported": "reported",
}
"""Titles, axes and sentences of the charts and of the tables that say the same."""

_DRAWING = (
    "aria baseline butt central circle class currentColor defs desc display fill foreground "
    "group inherit labelledby layer marks middle mark none opacity path rect role rule "
    "stroke dasharray linecap width miterlimit svg symbol text anchor tspan title transform "
    "translate rotate scale viewBox view font family size weight preserveAspectRatio round"
)
"""Words of SVG itself that a drawing holds whatever it shows."""

_NAMES = (
    "as_of at_most average_risk band before after below_k bins checks check class_sizes classes "
    "column columns contact data_sha256 dataset description distributions dropped "
    "expected_reidentifications_share failed highest_risk information_loss kind label licence "
    "information_loss_limit limit loss losses measured measures attack attacks audience name "
    "organisation passed people recipient records relaxed released_to because risk role roles "
    "rows rule sign_off smallest_class smallest_class_limit smallest_class_records subjects terms "
    "tier title treatment type utility value "
    "verdict version why side string double float int date day timestamp "
    "number category"
)
"""Names of the facts in report.json."""

_PACKAGE = (
    "$schema profiles datapackage json contributors path organization roles creator publisher "
    "contact id keywords licenses other resources data table format parquet mediatype application "
    "vnd apache hash sha256 schema fields missingValues nan NaT string integer number boolean date "
    "datetime https datapackage.org doi.org orcid.org spdx.org"
)
"""Names and fixed values of datapackage.json."""


def words_of(check: str) -> str:
    """A check's name as people read it.

    >>> words_of("t_closeness:result"), words_of("no_phone_number(age)")
    ('t closeness of result', 'no phone number of age')
    """
    name, column = split_check(check)
    return name.replace("_", " ") + (f" of {column}" if column else "")


def split_check(check: str) -> tuple[str, str]:
    """A check's name and the column it is about, empty where it is about the table."""
    name, _, column = check.replace("(", ":").rstrip(")").partition(":")
    return name, column


def attack_words(attack: str) -> str:
    """An attack's name as people read it."""
    return ATTACKS.get(attack, attack.replace("_", " ").capitalize())


def attacks_told(ran: int, within: int, idle: int) -> str:
    """Tell how the attacks on one file went; those with nothing to compare with stand apart.

    Args:
        ran: results with at least one attempt. within: of those, the ones within their limit.
        idle: results without any attempt.

    >>> attacks_told(18, 18, 3)
    '18 attacks ran, all within their limits; 3 had nothing to compare with'
    >>> attacks_told(1, 0, 0), attacks_told(0, 0, 2)
    ('1 attack ran, 0 within its limit', 'no attack ran; 2 had nothing to compare with')
    """
    if ran:
        whose = "its limit" if ran == 1 else "their limits"
        which = "all" if within == ran > 1 else "" if within == ran else f"{within}"
        said = f"{ran} {'attack' if ran == 1 else 'attacks'} ran, {which} within {whose}"
    else:
        said = "no attack ran"
    return said.replace(",  ", ", ") + (f"; {idle} had nothing to compare with" if idle else "")


def template(name: str) -> str:
    """The text of a template beside this module."""
    return (files("stepdown.release.documents") / name).read_text(encoding="utf-8")


def fixed_text() -> str:
    """Everything that a report may say whatever the data: no identifier is found by it."""
    tables = (AUDIENCE, AT_LEAST, AT_MOST, ATTACKS, LOSSES, DONE, OUTCOMES, CHARTS)
    words = [text for table in tables for pair in table.items() for text in pair]
    roles = [role for tier in Tier for role in defaults()[tier.value]["sign_off"]["roles"]]
    named = [*words, *roles, *ATTACK_GROUPS, *Role, *Tier, OTHERS, _DRAWING, _NAMES, _PACKAGE]
    spelled = " ".join(map(str, named))
    return " ".join((*map(template, TEMPLATES), spelled, spelled.replace("_", " ")))
