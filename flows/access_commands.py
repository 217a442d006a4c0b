"""Define `stepdown access`: check who may read, note a hand-over, list who was given what."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import console
from flows.arguments import Address, AsJson, Store, Work
from flows.given_once import Commands
from flows.places import deciding_workspace, ledger_in

access = Commands(
    name="access", help="Who may read a release, and who was given it.", no_args_is_help=True
)
Who = Annotated[
    str, typer.Option("--as", help="A recipient or person; left out, it asks for anybody.")
]

_DAY = ["%Y-%m-%d"]
Since = Annotated[dt.datetime | None, typer.Option(formats=_DAY, help="The first day, in UTC.")]
Until = Annotated[dt.datetime | None, typer.Option(formats=_DAY, help="The last day, in UTC.")]


@access.command()
def check(
    release: Address,
    name: Who = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Say whether somebody may read a release today, and why; exit 1 where they may not."""
    from stepdown import clock
    from stepdown.release.reading.access import check_access

    with ledger_in(work, store).reading() as reader:
        found = check_access(reader, release, name, clock.today())
    facts = {
        "release": release,
        "as": name or "anybody",
        "allowed": found.allowed,
        "reason": found.reason,
        "told": found.answer or None,
        "flags": list(found.flags),
    }
    console.facts(facts, json)
    return 0 if found.allowed else 1


@access.command()
def record(
    release: Address,
    to: Annotated[str, typer.Option("--to", help="The recipient or person it is given to.")],
    note: Annotated[str, typer.Option(help="How or on what it was handed over.")] = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Write down a hand-over by hand; refused where they may not read it."""
    from stepdown import clock
    from stepdown.config.people import account
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.reading.access import record_access

    given = record_access(
        open_ledger(deciding_workspace(work, store)),
        release,
        to,
        clock.today(),
        how="by hand",
        actor=account(),
        note=note,
    )
    console.facts({"release": given.address, "given_to": " ".join(to.split())}, json)
    return 0


@access.command()
def report(
    release: Annotated[str, typer.Argument(metavar="[RELEASE]", help="Of this release only.")] = "",
    who: Annotated[str, typer.Option("--who", help="By this recipient or person only.")] = "",
    since: Since = None,
    until: Until = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """List who was given which release, when, how and by whom."""
    from stepdown.release.reading.access import readings
    from stepdown.release.reading.catalogue import find_release

    ledger = ledger_in(work, store)
    address = find_release(ledger, release).address if release else ""
    period = {"since": since.date() if since else dt.date.min}
    period |= {"until": until.date() if until else dt.date.max}
    with ledger.reading() as reader:
        found = [asdict(each) for each in readings(reader, address=address, who=who, **period)]
    if json:
        console.document(found)
    elif not found:
        console.line("Nobody was given anything, as far as the ledger knows.")
    else:
        columns = ["at", "release", "who", "how", "what", "from"]
        console.table("given to", columns, [_row(line) for line in found])
        total = sum(line["bytes"] or 0 for line in found)
        people = {line["who"] for line in found}
        console.line(f"{len(found):,} lines, {len(people)} reader(s), {total:,} bytes sent")
    return 0


def _row(line: dict[str, Any]) -> list[str]:
    sent = f"{line['file']}, {line['bytes']:,} bytes" if line["file"] else line["note"]
    source = f"{line['address']}, {line['client']}" if line["file"] else line["by"]
    return [line["at"], line["release"], line["who"], line["how"], sent, source]
