"""Introduce a decision that lets something out, and ask whether it is meant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import console
from stepdown.errors import InputWrong
from stepdown.plain_words import counted

if TYPE_CHECKING:
    from stepdown.release.requirements.before_signing import Foreseen

Yes = Annotated[
    bool, typer.Option("--yes", help="Do not ask before a public release goes out; for scripts.")
]


def introduce(found: Foreseen) -> None:
    """Say on stderr what is about to be approved, where its report is, and what is left to do."""
    from stepdown.candidate import STEWARD_PAGE
    from stepdown.release.documents.documents import read_full_report

    release = found.release
    report = read_full_report(release.folder)
    console.note(f"{release.address}: {release.terms.get('title', release.dataset)}")
    facts = [counted(release.rows or 0, "row"), counted(len(release.columns), "column")]
    if report is not None:
        sizes = [report["risk"][name] for name in ("smallest_class", "smallest_class_wildcard")]
        people = counted(min(sizes), "person", "people")
        facts.append(f"{people} in the smallest class")
    console.note(f"  {', '.join(facts)}")
    for phrase in report.get("weakened", ()) if report else ():
        console.note(f"  {phrase}")
    console.note(f"  the steward's report: {Path(release.folder) / STEWARD_PAGE}")
    if found.needs:
        console.note(f"  after this signature it still waits for: {'; '.join(found.needs)}")
    else:
        console.note(f"  this signature publishes {', '.join(found.publishes)}")


def confirm(addresses: Sequence[str], yes: bool) -> None:
    """Ask at the terminal before something goes out to everybody.

    Raises:
        InputWrong: nobody is there to be asked, or they did not say yes.
    """
    if yes or not addresses:
        return
    told = ", ".join(addresses)
    if not sys.stdin.isatty():
        raise InputWrong(
            f"it would let {told} out to everybody, and nobody is at a terminal to confirm that",
            where=addresses[0],
            next="Read its report, then give --yes. Nothing was done.",
        )
    console.note(f"{told}: for everybody, for ever; a public file cannot be called back.")
    print("Type the address, or yes, to go on: ", end="", file=sys.stderr, flush=True)  # noqa: T201
    if sys.stdin.readline().strip() not in ("yes", *addresses):
        raise InputWrong("it was not confirmed", where=addresses[0], next="Nothing was done.")
