"""Judge the columns: whether enough people hold each value, and few are alone."""

from __future__ import annotations

from stepdown.config.policy import TierPolicy
from stepdown.reports import RareValues, RiskReport, Verdict
from stepdown.vocabulary import Tier


def column_verdicts(risk: RiskReport, policy: TierPolicy) -> list[Verdict]:
    """What of the columns, each and together, could find a person; nothing at internal."""
    if policy.tier is Tier.INTERNAL:
        return []
    return [*_rare_values(risk, policy), _alone(risk, policy)]


def _alone(risk: RiskReport, policy: TierPolicy) -> Verdict:
    share, limit = risk.alone_share, policy.alone_share
    if share is None or not 0 <= share <= 1:
        return unmeasured("alone_share", "Who is alone on the columns together")
    text = (
        f"{share:.2%} of the data subjects are alone on quasi-identifiers and insensitive columns "
        f"together; the policy allows {limit:.2%}."
    )
    if share <= limit:
        return Verdict("alone_share", True, text, "", share, limit)
    named = ", ".join(risk.alone_without)
    mend = (
        f"Without {named} it would pass: drop or recode them"
        if named
        else "The quasi-identifiers alone are enough for it: generalise them further"
    )
    return Verdict("alone_share", False, text, f"{mend}.", share, limit)


def unmeasured(check: str, what: str) -> Verdict:
    """Fail closed: what was not measured is not published."""
    return Verdict(
        check,
        False,
        f"{what}: could not be measured, and what was not measured is not published.",
        "Run again; if it stays so, look at the run's log for the step that failed.",
    )


def _rare_values(risk: RiskReport, policy: TierPolicy) -> list[Verdict]:
    """One verdict about every column at fault, or one about all of them."""
    if risk.rare_values is None:
        return [unmeasured("rare_values", "How many hold each value of each column")]
    held = [rare for rare in risk.rare_values if rare.values]
    k = policy.smallest_class
    failing = [_rare(rare, policy) for rare in held if rare.too_fine or not rare.holders >= k]
    fewest = min((rare.holders for rare in held), default=k)
    text = (
        f"Every value of each of {len(held):,} columns is held by at least {fewest:,} data "
        f"subjects, or households; the policy asks for at least {k:,}."
        if held
        else "No column holds a value that says anything of a person."
    )
    return failing or [Verdict("rare_values", True, text, "", fewest, k)]


def _rare(rare: RareValues, policy: TierPolicy) -> Verdict:
    check, k = f"rare_values:{rare.column}", policy.smallest_class
    who = "household" if rare.households else "data subject"
    told = []
    if rare.holders < k:
        told.append(
            f"{rare.column}: the rarest of its values is held by {rare.holders:,} {who}"
            f"{'' if rare.holders == 1 else 's'}, the policy asks for at least {k:,}; of "
            f"{rare.subjects:,} people {rare.alone:,} stand alone with theirs"
            f"{' at home' if rare.households else ''}, and {rare.few:,} hold one that too few hold."
        )
    if rare.too_fine:
        told.append(
            f"{rare.column}: its texts are dates to the {rare.too_fine}, which is finer than "
            f"{policy.tier} may have."
        )
    if rare.override:
        told.append(f"The config lets it stand: {rare.override}")
        return Verdict(check, True, " ".join(told), "", rare.holders, k)
    mend = f"columns.{rare.column}.{policy.tier}: {rare.remedy}"
    if rare.remedy != "drop":
        mend += " would pass, and so would drop"
    return Verdict(
        check, False, " ".join(told), f"{mend}; or say why in its `override:`.", rare.holders, k
    )
