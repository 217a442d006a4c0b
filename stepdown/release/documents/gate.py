"""Decide about one candidate: publish, wait for approval, or refuse, with every reason.

The gate takes nobody's word: it compares the measures with the policy again itself, and asks that
every expectation passed as well. What was not measured counts as failed.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from stepdown.config.policy import ATTACKS, TierPolicy
from stepdown.plain_words import counted
from stepdown.release.documents.column_verdicts import column_verdicts, unmeasured
from stepdown.reports import AttackReport, AttackResult, DeriveReport, RiskReport, Verdict
from stepdown.vocabulary import Tier

TOLERANCE = 1e-9
"""On distances and risks, which are sums of floating-point numbers."""

_BESIDE = (
    "Let newcomers be held back (`hold_back: true`), keep the columns and levels of the version "
    "before, or give every version a period of its own (`period: increment`)."
)
_MEND = {
    "pseudonym_dictionary": "Drop the column, or make it a `pseudonym` under a key.",
    "order": "Run the release again: the writer sorts the rows by their released values.",
    "monotone": "Drop the column, cut it to a coarser date, or code it more coarsely.",
    "trajectories": "The file keeps an id over rows: drop it, or set `rows_per_subject`.",
    "intersection": _BESIDE,
    "differencing": _BESIDE,
    "collusion": "Agree on fewer columns with one of the recipients.",
}
"""How to go on after an attack went too well; elsewhere as for any class measure."""


class Outcome(StrEnum):
    """What may happen to a candidate."""

    PUBLISH = "publish"
    AWAIT_APPROVAL = "await_approval"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Decision:
    """The gate's answer about the file with this hash.

    Args:
        sha256: of the data file.
        outcome: what may happen to it.
        verdicts: every rule and expectation that was asked, passed or not.
        documents: SHA-256 of each document that travels with the file, by its name.
    """

    sha256: str
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    documents: Mapping[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> tuple[Verdict, ...]:
        """Why it was refused, each reason once; empty where it was not.

        The gate's rules come first among the verdicts, so of a rule and an expectation of the suite
        that fail on the same measure the rule is given.
        """
        told: dict[tuple[str, str], Verdict] = {}
        for verdict in self.verdicts:
            name, column = _measure_of(verdict.check)
            # A check of the suite may be about all columns of which the rules tell one by one.
            known = any(name == other and column in ("", its) for other, its in told)
            if not verdict.passed and not known:
                told[name, column] = verdict
        return tuple(told.values())


_SAME_MEASURE = {
    "highest_risk": "smallest_class",
    "average_risk": "expected_reidentifications",
    "household_risk": "household_expected_reidentifications",
    "t": "t_closeness",
    "nesting_problems": "nested",
    "suppressed_share": "suppressed_records",
    "detailed_quasi_identifiers": "useless",
    "attack_trajectories": "smallest_trajectory_class",
    "attack_homogeneity": "distinct_l",
    "attack_skewness": "t_closeness",
}
"""Check → the rule that fails with it: one fault has one reason."""


def _measure_of(check: str) -> tuple[str, str]:
    """What a check is about and its column, the same for a rule and its twin in the suite."""
    name, _, column = check.replace("(", ":", 1).removesuffix(")").partition(":")
    name = name.replace("attack_by_", "attack_")
    return _SAME_MEASURE.get(name, name), column


def judge(
    derive: DeriveReport | None,
    risk: RiskReport | None,
    verdicts: Sequence[Verdict],
    policy: TierPolicy,
    data_sha256: str,
    *,
    sensitive: Sequence[str] = (),
) -> Decision:
    """Decide about a candidate.

    Args:
        derive, risk: the reports; an absent one refuses.
        verdicts: the answers of the tier's suite; none at all refuses.
        policy: the tier's thresholds.
        data_sha256: hash of the data file; a report about other bytes refuses.
        sensitive: sensitive columns that the file holds; each must have been measured.
    """
    ruled = [
        *_about_these_bytes(derive, risk, data_sha256),
        *(_derivation(derive, policy) if derive else ()),
        *(_classes(risk, derive, policy) if risk else ()),
        *(_sensitive(risk, derive, policy, sensitive) if risk else ()),
        *(_expected(risk, derive, policy) if risk else ()),
        *(_leaks(risk) if risk else ()),
        *(column_verdicts(risk, policy) if risk else ()),
        *(_attacks(risk.attacks, derive, policy, data_sha256) if risk else ()),
        _suite(verdicts),
    ]
    everything = (*ruled, *(_finite(verdict) for verdict in verdicts))
    if not all(verdict.passed for verdict in everything):
        outcome = Outcome.REFUSE
    elif policy.sign_off.people or policy.sign_off.roles or policy.sanity_check:
        outcome = Outcome.AWAIT_APPROVAL
    else:
        outcome = Outcome.PUBLISH
    return Decision(data_sha256, outcome, everything)


def _about_these_bytes(
    derive: DeriveReport | None, risk: RiskReport | None, sha256: str
) -> list[Verdict]:
    answers = []
    for name, report in (("derive", derive), ("risk", risk)):
        if report is None:
            answers.append(unmeasured(f"{name}_report", f"There is no {name} report"))
            continue
        same = report.sha256 == sha256
        answers.append(
            Verdict(
                f"{name}_report",
                same,
                f"The {name} report is about "
                + ("this file." if same else "another file: its SHA-256 is not this file's."),
                "" if same else "Measure the file that is to be published, then ask again.",
            )
        )
    if derive and risk:
        answers.append(
            Verdict(
                "records",
                derive.rows == risk.rows and risk.rows > 0,
                f"The file has {counted(risk.rows, 'record')}; {derive.rows:,} were written, "
                "and a release needs at least one.",
                "Look at what consent, rows_per_subject and suppression took out.",
                risk.rows,
                1,
            )
        )
    return answers


def _derivation(derive: DeriveReport, policy: TierPolicy) -> list[Verdict]:
    share = derive.suppressed_records / derive.parent_rows if derive.parent_rows else None
    answers = [
        _at_most(
            "suppressed_records",
            "The share of the parent's records that was suppressed",
            share,
            policy.suppressed_records,
            f"Raise `suppressed_records` with a reason. {_raise(derive)}",
        ),
        _at_most(
            "information_loss",
            "The information loss of the quasi-identifiers",
            derive.information_loss,
            policy.information_loss,
            f"The file would be of no use. {_costly(derive)} Or do not release this tier.",
        ),
    ]
    if policy.tier is not Tier.INTERNAL and derive.levels:
        tops = derive.top_levels
        unknown = [name for name in derive.levels if name not in tops]
        lost = [
            name for name, level in derive.levels.items() if level >= tops.get(name, math.inf) > 0
        ]
        answers.append(
            Verdict(
                "useless",
                not unknown and len(lost) < len(derive.levels),
                f"{len(lost)} of {len(derive.levels)} quasi-identifiers are at their top level, "
                "where nothing is left of them; all of them would make the file useless.",
                _costly(derive),
                len(lost),
                len(derive.levels) - 1,
            )
        )
    return answers


def _costly(derive: DeriveReport) -> str:
    """The quasi-identifiers that lost most of their levels, and what to do about them."""
    lost = {
        name: level / derive.top_levels[name]
        for name, level in derive.levels.items()
        if derive.top_levels.get(name, 0) > 0 and level > 0
    }
    worst = [name for name in lost if lost[name] == max(lost.values())]
    if not worst:
        return "Give the quasi-identifiers finer hierarchies, or drop one."
    return (
        f"{', '.join(worst)} lost most: drop {'it' if len(worst) == 1 else 'one of them'}, so that "
        "the others keep more, or give finer hierarchies."
    )


def _classes(risk: RiskReport, derive: DeriveReport | None, policy: TierPolicy) -> list[Verdict]:
    sizes = (risk.smallest_class, risk.smallest_class_wildcard)
    # A NaN among them would make min() depend on their order.
    smallest = min(sizes) if all(_is_number(size) for size in sizes) else None
    answers = [
        _at_least(
            "smallest_class",
            "The smallest equivalence class, in data subjects, "
            "missing cells taken the worse of both ways,",
            smallest,
            policy.smallest_class,
            _raise(derive),
        )
    ]
    if risk.smallest_trajectory_class is not None and policy.smallest_class > 1:
        answers.append(
            _at_least(
                "smallest_trajectory_class",
                "The smallest group of people, or households, who share the set of all their rows",
                risk.smallest_trajectory_class,
                policy.smallest_class,
                _held_together(risk, "subject")
                or "The file keeps an id over rows: drop it, or set `rows_per_subject`.",
            )
        )
    return answers


def _held_together(risk: RiskReport, of: str) -> str:
    """What to do about the columns that stand in for an id, those that hold most together first."""
    found = [each for each in risk.persisting if each.of == of]
    if not found:
        return ""
    # One column that does nearly what all together do is the one to act on.
    most = found[0].held
    one = [each for each in found if len(each.columns) == 1 and each.held >= 0.9 * most]
    worst = (one or found)[0]
    names = ", ".join(worst.columns)
    people = "people" if of == "subject" else "households"
    more = ", or set `rows_per_subject: 1`" if of == "subject" else ""
    return (
        f"{names} {'stands' if len(worst.columns) == 1 else 'together stand'} in for an id: "
        f"{worst.held:,} of {worst.holders:,} {people} with several rows have values of their own "
        f"there, the same in all of them. Coarsen (`code`, `date`, `prefix`) or drop "
        f"{'it' if len(worst.columns) == 1 else 'some of them'}{more}."
    )


def _sensitive(
    risk: RiskReport, derive: DeriveReport | None, policy: TierPolicy, sensitive: Sequence[str]
) -> list[Verdict]:
    answers = []
    if policy.distinct_l > 1:
        for column in dict.fromkeys((*sensitive, *risk.distinct_l)):
            answers.append(
                _at_least(
                    f"distinct_l:{column}",
                    f"The fewest distinct sensitive values of {column} in a class",
                    risk.distinct_l.get(column),
                    policy.distinct_l,
                    _raise(derive),
                )
            )
    if policy.t_closeness < 1:
        for column in dict.fromkeys((*sensitive, *risk.t)):
            answers.append(
                _at_most(
                    f"t_closeness:{column}",
                    f"The largest distance of a class's distribution of {column} from the file's",
                    risk.t.get(column),
                    policy.t_closeness,
                    _raise(derive),
                )
            )
    return answers


def _expected(risk: RiskReport, derive: DeriveReport | None, policy: TierPolicy) -> list[Verdict]:
    answers = [
        _at_most(
            "expected_reidentifications",
            "The share of records that an intruder can expect to re-identify",
            risk.expected_reidentifications_share,
            policy.expected_reidentifications,
            _raise(derive),
        )
    ]
    if risk.household_linkable and policy.tier is not Tier.INTERNAL:
        total = risk.household_expected_reidentifications
        share = total / risk.rows if total is not None and risk.rows else None
        answers.append(
            _at_most(
                "household_expected_reidentifications",
                "That share where the members of a household can be linked",
                share,
                policy.expected_reidentifications,
                _held_together(risk, "household")
                or "Drop the household id and the columns that are constant within households, "
                "or generalise further.",
            )
        )
    return answers


def _leaks(risk: RiskReport) -> list[Verdict]:
    nested = bool(risk.nested) and not risk.nesting_problems
    return [
        Verdict(
            "nested",
            nested,
            "Every row is the parent's and every value equals or generalises the parent's."
            if nested
            else f"The file is not nested in its parent: {'; '.join(risk.nesting_problems)}.",
            "" if nested else "Check the columns' treatments and hierarchies.",
        ),
        _at_most(
            "residue",
            "The number of cells that hold a withheld identifier",
            risk.residue,
            0,
            "; ".join((*risk.residue_problems, "drop or treat these columns.")),
        ),
        Verdict(
            "insensitive",
            not risk.insensitive_problems,
            "; ".join(risk.insensitive_problems) or "Every insensitive column is.",
            "Give the column its real role, drop it, or say why in its `override:`."
            if risk.insensitive_problems
            else "",
        ),
    ]


def _attacks(
    report: AttackReport | None, derive: DeriveReport | None, policy: TierPolicy, sha256: str
) -> list[Verdict]:
    """One verdict per attack and column, about the worst of its results."""
    if report is None:
        return [unmeasured("attacks", "What an intruder gets by attacking the file")]
    if report.sha256 != sha256:
        text = "The attacks were run on another file: its SHA-256 is not this file's."
        return [Verdict("attacks", False, text, "Attack the file that is to be published.")]
    answers = []
    for attack in ATTACKS:
        limit = policy.attacks[attack]
        results = [result for result in report.results if result.attack == attack]
        if not results:
            answers.append(unmeasured(f"attack_{attack}", f"The attack {_words(attack)}"))
        for column in dict.fromkeys(result.column for result in results):
            about = [result for result in results if result.column == column]
            known = all(_is_number(result.measured) for result in about)
            worst = max(about, key=lambda result: result.measured) if known else None
            answers.append(
                _at_most(
                    f"attack_{attack}:{column}" if column else f"attack_{attack}",
                    _attacked(attack, column, worst),
                    worst.measured if worst else None,
                    limit,
                    _mend(attack, worst, derive),
                )
            )
    return answers


def _mend(attack: str, worst: AttackResult | None, derive: DeriveReport | None) -> str:
    """How to go on after an attack went too well, with the columns that make it succeed."""
    if worst is None or not worst.columns:
        return _MEND.get(attack) or _raise(derive)
    names = ", ".join(worst.columns)
    if attack == "trajectories":
        return f"Coarsen or drop {names}, or set `rows_per_subject: 1`."
    return (
        f"Drop or recode {names}: without {'it' if len(worst.columns) == 1 else 'them'} the "
        "attack was tried again and stayed within the limit."
    )


def _raise(derive: DeriveReport | None) -> str:
    """The quasi-identifiers that can go coarser, and those that can only be dropped."""
    if derive is None or not derive.levels:
        return "Look at the columns that are released together."
    tops = derive.top_levels
    higher = [
        f"{name} (level {level} of {tops[name]})"
        for name, level in derive.levels.items()
        if level < tops.get(name, 0)
    ]
    rest = [name for name, level in derive.levels.items() if level >= tops.get(name, 0)]
    told = f"Raise a generalisation level of {', '.join(higher)}; or drop" if higher else "Drop"
    among = [*rest, *(name.rpartition(" (level ")[0] for name in higher)]
    one = f"one of {', '.join(among)}" if len(among) > 1 else among[0]
    return f"{told} {one}; or raise the suppression limit in the config."


def _attacked(attack: str, column: str, worst: AttackResult | None) -> str:
    of_column = f" of {column}" if column else ""
    beside = f" beside {worst.against}" if worst and worst.against else ""
    return f"What the attack by {_words(attack)}{of_column}{beside} gets"


def _words(attack: str) -> str:
    return attack.replace("_", " ")


def _suite(verdicts: Sequence[Verdict]) -> Verdict:
    return Verdict(
        "suite",
        len(verdicts) > 0,
        f"The tier's suite gave {len(verdicts)} answers; at least one is needed.",
        "" if verdicts else "Check that the tier's suite exists and could run.",
        len(verdicts),
        1,
    )


def _finite(verdict: Verdict) -> Verdict:
    # A figure that is no number proves nothing, whatever the check concluded from it.
    if isinstance(verdict.measured, float) and not math.isfinite(verdict.measured):
        return unmeasured(verdict.check, f"What {verdict.check} compares")
    return verdict


def _at_least(check: str, what: str, measured: float | None, limit: float, next: str) -> Verdict:
    if measured is None or not _is_number(measured):
        return unmeasured(check, what)
    passed = measured >= limit
    text = f"{what} is {_show(measured)}; the policy asks for at least {_show(limit)}."
    return Verdict(check, passed, text, "" if passed else next, measured, limit)


def _at_most(check: str, what: str, measured: float | None, limit: float, next: str) -> Verdict:
    if measured is None or not _is_number(measured):
        return unmeasured(check, what)
    passed = 0 <= measured <= limit + TOLERANCE
    text = f"{what} is {_show(measured)}; the policy allows at most {_show(limit)}."
    return Verdict(check, passed, text, "" if passed else next, measured, limit)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _show(value: float) -> str:
    return f"{value:,}" if isinstance(value, numbers.Integral) else f"{value:.4g}"
