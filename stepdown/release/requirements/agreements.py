"""Check whether a recipient may have a copy today, by their agreement."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from stepdown.config.models import Agreement, Recipient
from stepdown.config.partners import Partner
from stepdown.release.ledger.ledger import Writer
from stepdown.release.ledger.records import EventKind, Release
from stepdown.reports import Verdict


def in_force(agreement: Agreement, day: dt.date) -> bool:
    """Both the first and the last day count; nothing is in force before it was signed."""
    return max(agreement.signed, agreement.valid_from) <= day <= agreement.valid_until


def term(agreement: Agreement) -> str:
    """From when to when, in words."""
    first = max(agreement.signed, agreement.valid_from)
    return f"{first.isoformat()} to {agreement.valid_until.isoformat()}"


def agreement_verdict(agreement: Agreement, day: dt.date) -> Verdict:
    """The agreement as one more check of a recipient's copy."""
    holds = in_force(agreement, day)
    return Verdict(
        check="agreement_in_force",
        passed=holds,
        message=f"Agreement {agreement.reference} is in force from {term(agreement)}; "
        f"today is {day.isoformat()}.",
        next="" if holds else "Renew the agreement, then state its dates in the partner's file.",
        measured=day.isoformat(),
        limit=term(agreement),
    )


def purpose_verdict(recipient: Recipient, purpose: str | None) -> Verdict:
    """Whether the tier's purpose is one that the partner agreed to."""
    holds = not recipient.purposes or purpose in recipient.purposes
    agreed = ", ".join(recipient.purposes) or "none in particular"
    return Verdict(
        check="agreed_purpose",
        passed=holds,
        message=f"The tier's purpose is {purpose or 'not stated'}; the partner agreed to {agreed}.",
        next="" if holds else "Agree on the purpose, then add it in the partner's file.",
    )


def agreement_terms(recipient: Recipient) -> dict[str, Any]:
    """What of an agreement the ledger and the copy's ``release.json`` hold."""
    return {
        **recipient.agreement.model_dump(mode="json", exclude={"document"}),
        "onward_sharing": recipient.onward_sharing,
        "retention_days": recipient.retention_days,
    }


def follow_agreement(
    writer: Writer, release: Release, partners: Mapping[str, Partner], actor: str, **changes: Any
) -> Release:
    """Put today's agreement beside a copy that was made under an earlier state of it.

    Args:
        changes: of the ledger's row, where there is something to put.
    """
    partner = partners.get(release.recipient or "")
    if partner is None or release.dataset not in partner.datasets:
        return release
    now, before = agreement_terms(partner.as_recipient(release.dataset)), release.terms["agreement"]
    # Under another agreement the next run makes another copy: this one's documents name its own.
    if now == before or now["reference"] != before["reference"]:
        return release
    terms = release.terms | {"agreement": now}
    facts = {"agreement": now}
    return writer.change(release, EventKind.RENEWED, actor, facts, terms=terms, **changes)


def copy_problem(release: Release, partners: Mapping[str, Partner], day: dt.date) -> str:
    """Why a recipient may not have their copy on a day; empty where they may.

    Asked of the partner's file as it is now, so that an agreement that was renewed, narrowed or
    taken away counts from that moment.
    """
    partner = partners.get(release.recipient or "")
    if partner is None or release.dataset not in partner.datasets:
        return "no agreement: partners/ has no file of theirs that names the dataset"
    agreement, agreed = partner.agreement, partner.datasets[release.dataset]
    if day > agreement.valid_until:
        return f"agreement {agreement.reference} ended on {agreement.valid_until.isoformat()}"
    if not in_force(agreement, day):
        return f"agreement {agreement.reference} is in force from {term(agreement)}"
    beyond = [name for name in release.columns if name not in agreed.columns]
    if beyond:
        return f"agreement {agreement.reference} no longer covers {', '.join(beyond)}"
    purpose = purpose_verdict(partner.as_recipient(release.dataset), release.terms.get("purpose"))
    return "" if purpose.passed else f"agreement {agreement.reference} does not cover the purpose"
