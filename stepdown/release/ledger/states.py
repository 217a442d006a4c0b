"""Check a release's moves between states against the one table of them, and draw it."""

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


def state_diagram() -> str:
    """The table of moves as a Mermaid diagram, for docs/release-states.md."""
    lines = ["stateDiagram-v2", f"    [*] --> {ReleaseState.CANDIDATE}"]
    for before, following in NEXT_STATES.items():
        lines += [f"    {before} --> {after}" for after in sorted(following)]
        if not following:
            lines.append(f"    {before} --> [*]")
    return "\n".join(lines) + "\n"
