"""Attack a candidate beside everything else of its dataset that one reader can hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stepdown.artifacts import ArtifactRef
from stepdown.attacks.candidate_records import View
from stepdown.attacks.collusion import colluding
from stepdown.attacks.differencing import differencing
from stepdown.attacks.intersection import intersection
from stepdown.attacks.match_snapshots import same_records
from stepdown.candidate import Candidate, Earlier
from stepdown.config import LoadedConfig, tier_policy
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


def attacks_across(
    candidate: Candidate,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    published: Sequence[Earlier],
    scratch: str | Path | None = None,
) -> list[AttackResult]:
    """Intersection with everything that is held beside a candidate, differencing with its series.

    Args:
        candidate: the new file. snapshot: its source.
        published: what was ever published of the dataset.

    Raises:
        StoreCorrupt: a file is missing or no longer the one that was written.
    """
    beside = held_beside(candidate, published)
    series = [e for e in beside if e.is_of(candidate.tier, candidate.recipient)]
    results = [differencing(candidate, e, snapshot, loaded, scratch) for e in series]
    results += _intersections(candidate, snapshot, loaded, beside, scratch)
    note = "nothing was published before that a reader could hold beside it"
    asked = {result.attack for result in results}
    for attack in ("differencing", "intersection"):
        if attack not in asked:
            results.append(AttackResult(attack, 0.0, 0, note=note))
    return results


def collusions(
    base: Candidate, recipient: str, loaded: LoadedConfig, scratch: str | Path | None = None
) -> list[AttackResult]:
    """A recipient's copy beside each other recipient's, as the config agrees their columns."""
    copies = loaded.config.recipients
    k = tier_policy(loaded.config, Tier.PARTNER).smallest_class
    return [
        colluding(
            base, copies[recipient].columns, other.columns, loaded, k, scratch, f"partner/{name}"
        )
        for name, other in copies.items()
        if name != recipient
    ]


def _intersections(
    candidate: Candidate,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    beside: Sequence[Earlier],
    scratch: str | Path | None,
) -> list[AttackResult]:
    if not beside:
        return []
    known = loaded.config.names(Role.QUASI_IDENTIFIER, Role.SENSITIVE)
    views = [
        View(
            each.candidate,
            each.snapshot,
            each.address,
            None
            if each.snapshot.sha256 == snapshot.sha256
            else same_records(snapshot, each.snapshot, known, scratch),
        )
        for each in beside
    ]
    return intersection(View(candidate, snapshot), views, loaded, scratch)
