"""The first vote stays hidden until the second is in: a courtesy to whoever votes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stepdown.config.models import SignOff
from stepdown.config.people import same_person
from stepdown.plain_words import counted, listed
from stepdown.release.ledger.records import Release
from stepdown.vocabulary import ReleaseState

SHOWN = ("name", "role", "reason", "evidence", "at")


@dataclass(frozen=True)
class Votes:
    """What may be shown of the signatures under a release.

    Args:
        shown: what each of them says; empty while the only voter so far is hidden.
        people: how many different people have signed.
        hidden: what is said instead of what is still missing; empty where nothing is hidden.
    """

    shown: list[dict[str, Any]]
    people: int
    hidden: str = ""

    def hide(self, needs: Sequence[str]) -> Iterable[str]:
        """What a release waits for, without telling by omission who has signed."""
        if not self.hidden:
            return needs
        return [self.hidden, *(need for need in needs if not _is_about_signatures(need))]


def votes_shown(release: Release) -> Votes:
    """The votes under a release, as everybody may see them."""
    said = [approval["statement"] for approval in release.approvals]
    shown = [{name: statement.get(name) for name in SHOWN} for statement in said]
    people = len({same_person(str(statement.get("name"))) for statement in said})
    asked = SignOff.model_validate(release.sign_off)
    waits = release.state is ReleaseState.AWAITING_APPROVAL
    if not (waits and people == 1 and asked.people > 1):
        return Votes(shown, people)
    text = (
        f"approval as {listed(asked.roles)}, by {counted(asked.people, 'person', 'people')} at "
        "least; "
        "1 is in, and who and how is shown when the second is"
    )
    return Votes([], people, text)


def _is_about_signatures(need: str) -> bool:
    return need.startswith("approval ") or " to sign again as " in need
