"""Check a release's moves between states against the one table of them."""

from __future__ import annotations

from stepdown.errors import MoveForbidden
from stepdown.vocabulary import NEXT_STATES, ReleaseState


def check_move(before: ReleaseState, after: ReleaseState, where: str) -> None:
    """Refuse a move that the table does not have.

    Raises:
        MoveForbidden: with what may follow instead.
    """
    if after in NEXT_STATES[before]:
        return
    allowed = ", ".join(sorted(NEXT_STATES[before])) or "nothing: this state is final"
    raise MoveForbidden(
        f"a release that is {before} cannot become {after}",
        where=where,
        next=f"From {before} it may become: {allowed}.",
    )
