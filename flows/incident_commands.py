"""Define `stepdown incident` and `notices`: report what happened, list who must be told."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows import console
from flows.arguments import Address, AsJson, PublisherKey, Store, Work
from flows.places import open_places
from stepdown.errors import WorldFailed


def incident(
    release: Address,
    reason: Annotated[str, typer.Option(help="What happened; kept in the ledger only.")],
    name: Annotated[str, typer.Option(help="Who reports it; default your account.")] = "",
    publisher_key: PublisherKey = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Suspend a release and all made from it at once; say who fetched it; open a new assessment."""
    from stepdown.config.people import account
    from stepdown.release.decisions.incident import report_incident
    from stepdown.release.decisions.withdraw import take_over

    workspace, place = open_places(work, store)
    actor = name or account()
    taken_over = take_over(workspace, place, release, actor, publisher_key)
    done = report_incident(
        workspace, place, release, reason=reason, actor=actor, publisher=publisher_key
    )
    facts = asdict(done) | ({"taken_over": list(taken_over)} if taken_over else {})
    if json:
        console.document(facts)
        return 0
    shown = ("reference", "suspended", "fetched", "told", "taken_over")
    console.facts({key: facts[key] for key in shown if key in facts}, False)
    for note in done.notes:
        console.line(f"Note: {note}.")
    console.line("\nNext:")
    console.line("  stepdown notices                tell them")
    console.line(
        f"  {done.draft}\n    the next risk assessment: answer it, put it beside the config"
    )
    console.line("    under assessments/, and sign it; until then nothing of these series goes out")
    return 0


def notices(
    send: Annotated[
        bool, typer.Option("--send", help="Send them by the URL in STEPDOWN_NOTIFY.")
    ] = False,
    told: Annotated[
        int | None, typer.Option("--told", help="Note that you told this one yourself.")
    ] = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """List the notices that were not sent yet, ready to paste; or send them."""
    from stepdown.config.people import account
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.publishing import delivery
    from stepdown.release.publishing.notices import mark_told_by_hand, open_notices
    from stepdown.workspace import open_workspace

    workspace = open_workspace(work, store)
    if told is not None:
        mark_told_by_hand(workspace, told, account())
    sent: list[int] = []
    if send:
        done = delivery.send_notices(workspace, os.environ.get(delivery.TEMPLATE, ""), account())
        sent = [notice.number for notice in done.sent]
        if done.failed:
            raise WorldFailed(
                f"{len(done.failed)} of {len(done.failed) + len(done.sent)} notices did not reach "
                f"{', '.join(dict.fromkeys(notice.whom for notice in done.failed))}",
                where=delivery.TEMPLATE,
                next="They stay open. Check the URL and the addresses, or tell them yourself: "
                "`stepdown notices` shows each text, `--told N` notes that it was told.",
            )
    with open_ledger(workspace).reading() as reader:
        waiting = open_notices(reader)
    if json:
        console.document({"open": [asdict(notice) for notice in waiting], "sent": sent})
        return 0
    if sent:
        console.line(f"{len(sent)} sent.")
    if not waiting:
        console.line("Everybody has been told.")
    for notice in waiting:
        console.line(
            f"--- notice {notice.number}, to {notice.contact or 'an address not known here'}"
        )
        console.line(delivery.message(notice))
    return 0
