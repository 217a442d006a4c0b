"""Attack a candidate beside everything else of its dataset that one reader can hold."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.attacks.collusion import colluding
from stepdown.attacks.differencing import differencing
from stepdown.attacks.intersection import View, intersection, view_of
from stepdown.attacks.match_snapshots import same_records
from stepdown.candidate import Candidate, Earlier
from stepdown.config import tier_policy
from stepdown.opened import Opened
from stepdown.reports import AttackResult
from stepdown.vocabulary import Role, Tier


def held_beside(candidate: Candidate, published: Sequence[Earlier]) -> list[Earlier]:
    """What was ever published that a reader of the candidate may hold, and did not come before it
    in its own chain.

    A recipient may hold older versions of their copy and every public version; a reader of public
    holds every public version, and may be a recipient. The partner base is what copies are made of.
    Internal releases stay inside: nobody subtracts them from anything. A file with the same bytes
    tells nothing new.
    """
    tier, recipient = candidate.tier, candidate.recipient
    others = [each for each in published if each.candidate.data.sha256 != candidate.data.sha256]
    if tier is Tier.PUBLIC:
        return [each for each in others if each.is_of(Tier.PUBLIC) or each.candidate.recipient]
    if recipient:
        return [each for each in others if each.is_of(tier, recipient) or each.is_of(Tier.PUBLIC)]
    return [each for each in others if tier is Tier.PARTNER and each.is_of(tier)]


def attacks_across(opened: Opened, published: Sequence[Earlier]) -> list[AttackResult]:
    """Intersection with everything that is held beside a candidate, differencing with its series.

    Args:
        opened: the new file.
        published: what was ever published of the dataset.

    Raises:
        StoreCorrupt: a file of an earlier version is missing or no longer the one that was written.
    """
    results: list[AttackResult] = []
    views: list[View] = []
    known = opened.config.names(Role.QUASI_IDENTIFIER, Role.SENSITIVE)
    for each in held_beside(opened.candidate, published):
        with opened.source.beside(each.candidate, each.snapshot) as version:
            if each.is_of(opened.tier, opened.candidate.recipient):
                results.append(differencing(opened, version, each.address))
            same_source = each.snapshot.sha256 == opened.snapshot.sha256
            rows = None if same_source else same_records(opened, each.snapshot, known)
            views.append(view_of(version, each.address, rows))
    if views:
        results += intersection(view_of(opened), views, opened.config)
    note = "nothing was published before that a reader could hold beside it"
    asked = {result.attack for result in results}
    for attack in ("differencing", "intersection"):
        if attack not in asked:
            results.append(AttackResult(attack, 0.0, 0, note=note))
    return results


def collusions(base: Opened, recipient: str) -> list[AttackResult]:
    """A recipient's copy beside each other recipient's, as the config agrees their columns."""
    copies = base.config.recipients
    k = tier_policy(base.config, Tier.PARTNER).smallest_class
    return [
        colluding(base, copies[recipient].columns, other.columns, k, f"partner/{name}")
        for name, other in copies.items()
        if name != recipient
    ]
