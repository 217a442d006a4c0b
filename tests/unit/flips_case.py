"""A ledger in one SQLite file, and what its answers are after a bit of the file has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from release_case import Case

from stepdown.errors import WorldFailed
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.ledger.chain import check_ledger
from stepdown.release.ledger.ledger import Ledger, existing_ledger
from stepdown.sharing.readers.access_cache import Authority
from stepdown.sharing.readers.session import Session, sign_out, signed_out
from stepdown.sharing.readers.tokens import Terms, issue, revoke, tokens
from stepdown.vocabulary import Tier

FAR = "2099-01-01T00:00:00+00:00"


def busy_case(root: Path) -> Case:
    """Releases in several states, some unnumbered, a revoked token, a session that was ended."""
    case = Case(root)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    case.submit(Tier.INTERNAL, smallest_class=1, nested=False, nesting_problems=("x",))
    case.submit(Tier.PUBLIC, parent="wells/partner/v1")
    case.submit(Tier.PUBLIC, parent="wells/partner/v1", age="[25, 30)")
    case.submit(Tier.INTERNAL, age="[25, 30)")
    withdraw(case.workspace, case.store, "wells/partner/v1", reason="r", actor="Ann")
    ledger = case.ledger
    for who in ("county-health", "university", "ministry"):
        token, _ = issue(ledger, Terms(who, FAR), "Ann")
    revoke(ledger, token.id, "Ann")
    sign_out(ledger, Session("x", "", "Ada", 4_000_000_000))
    return case


def answers(ledger: Ledger) -> dict[str, Any]:
    """All that anybody asks of a ledger."""
    with ledger.reading() as reader:
        releases = reader.releases()
        found = {
            "releases": releases,
            "unsettled": reader.unsettled(),
            "series": [reader.of_series(each.series) for each in releases],
            "states": [reader.in_state(each.state) for each in releases],
            "children": [reader.children(each) for each in releases],
            "written": [reader.is_as_written(each) for each in releases if each.version],
            "events": reader.events(),
            "lines": [list(reader.lines(kind)) for kind in kinds(reader.events())],
            "of": [reader.lines_of(each, *kinds(reader.events())) for each in releases],
            "decided": [reader.decided_since(seq) for seq in range(len(reader.events()) + 1)],
            "tokens": tokens(reader),
            "signed_out": signed_out(reader),
        }
    authority = Authority(ledger)
    picture = authority.now()
    authority.close()
    return found | {"seq": picture.seq, "served": picture.releases, "known": picture.tokens}


def kinds(events: list[dict[str, Any]]) -> list[Any]:
    from stepdown.release.ledger.records import EventKind

    return sorted({EventKind(line["kind"]) for line in events})


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def goes_unnoticed(case: Case, before: dict[str, Any]) -> bool:
    """Whether the file, as it is now, is called whole and answers otherwise."""
    try:
        ledger = existing_ledger(case.workspace)
        if check_ledger(ledger).problems:
            return False
    except WorldFailed:  # `ledger verify` ends with exit 3, and nothing runs or is served
        return False
    return answers(ledger) != before
