"""Foresee what an approval would do: who must still sign after it, what it would publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepdown import clock
from stepdown.config.people import People
from stepdown.release.ledger.ledger import Reader
from stepdown.release.ledger.records import Release
from stepdown.release.ledger.statements import Signed
from stepdown.release.requirements.requirements import parent_need, waiting_for
from stepdown.release.requirements.sign_off import missing_signatures
from stepdown.vocabulary import ReleaseState, Tier


@dataclass(frozen=True)
class Foreseen:
    """What an approval would bring about, if nothing else changes before it.

    Args:
        release: that would be approved.
        needs: what it would wait for, in words; signatures first.
        publishes: addresses of all that would be published at once.
        for_everybody: those public releases that would be, or would lack nobody's signature any
            more: whoever gives the last signature has to know it.
    """

    release: Release
    needs: tuple[str, ...]
    publishes: tuple[str, ...]
    for_everybody: tuple[str, ...]


def foresee(reader: Reader, release: Release, signed: Signed, people: People) -> Foreseen:
    """What one more approval of a waiting release would bring about; nothing is recorded.

    Args:
        signed: the approval, checked already.
    """
    day = clock.today()
    missing = missing_signatures(release, people, day)
    after = replace(release, approvals=[*release.approvals, signed.as_json()])
    unsigned = missing_signatures(after, people, day)
    others = tuple(need for need in waiting_for(reader, release) if need not in missing)
    published = [] if unsigned or others else _with_children(reader, [release])
    everybody = [r.address for r in published if r.tier is Tier.PUBLIC]
    if release.tier is Tier.PUBLIC and not unsigned and release.address not in everybody:
        everybody.append(release.address)
    addresses = tuple(one.address for one in published)
    return Foreseen(release, (*unsigned, *others), addresses, tuple(everybody))


def _with_children(reader: Reader, published: Sequence[Release]) -> list[Release]:
    """These releases, and every waiting one that lacks nothing but one of them."""
    known, found = list(published), list(published)
    while found:
        parents = {one.id for one in found}
        waiting = reader.in_state(ReleaseState.AWAITING_APPROVAL)
        found = [
            child
            for child in waiting
            if child.parent in parents
            and set(waiting_for(reader, child)) <= {parent_need(reader.release(child.parent))}
        ]
        known += found
    return known
