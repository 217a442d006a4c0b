"""Define the `stepdown` command; nothing heavy is imported until a command needs it."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import console
from flows.access_commands import access
from flows.arguments import (
    Address,
    Again,
    AsJson,
    AsOf,
    Config,
    PublisherKey,
    Store,
    Tiers,
    Today,
    Work,
)
from flows.assessment_commands import assessment
from flows.confirming import Yes, confirm
from flows.consent_commands import recheck
from flows.fetch_command import fetch
from flows.given_once import Commands
from flows.incident_commands import incident, notices
from flows.interrupting import STOPPED, tell_stopped
from flows.ledger_commands import ledger
from flows.places import full_address, open_places, settle_clock
from flows.recipient_commands import recipient
from flows.retention_commands import retain, shred
from flows.review_commands import answer, pack, review
from flows.serve_command import serve
from flows.signing_commands import approve, keygen, reject, sign
from flows.table_commands import anonymise, assess
from flows.upkeep_commands import renew, upkeep
from stepdown import __version__
from stepdown.errors import InputWrong, StepdownError, defect
from stepdown.vocabulary import Tier

app = Commands(
    name="stepdown",
    help="From one sensitive dataset to nested, gated internal, partner and public releases.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

USAGE_ERROR: Any = typer.BadParameter.__base__
"""What Typer raises for wrong arguments; it does not export the class by name."""


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to build the example.")
    ] = Path("stepdown-demo"),
    again: Again = False,
    json: AsJson = False,
) -> int:
    """Build a real example in DIR and run the whole release: the place to start."""
    from flows.demo import run_demo

    return run_demo(folder, json, again)


@app.command()
def check(config: Config, json: AsJson = False) -> int:
    """Validate a config against its source, and say what a run would refuse; write nothing."""
    from flows.checking import check_config
    from flows.without_pandas import keep_pandas_out

    keep_pandas_out()
    loaded, summary, foreseen = check_config(config)
    console.checked(loaded, summary, json, foreseen)
    return 0


@app.command()
def plan(
    config: Config,
    tier: Tiers = None,
    as_of: AsOf = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Say what a run would do, at what risk and loss; publish nothing."""
    return _release(config, tier, as_of, work, store, json, publish=False)


@app.command()
def run(
    config: Config,
    tier: Tiers = None,
    as_of: AsOf = None,
    again: Again = False,
    today: Today = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Run the release flow: derive every tier, gate it, publish what may be published.

    Where nothing has changed since the last run it derives nothing, and says `unchanged`.
    """
    settle_clock(work, store, today)
    return _release(config, tier, as_of, work, store, json, publish=True, again=again)


def _release(
    config: Path,
    tiers: Sequence[Tier] | None,
    as_of: dt.datetime | None,
    work: Path,
    store: str,
    json: bool,
    publish: bool,
    again: bool = False,
) -> int:
    from flows.local_run import run_release

    day = as_of.date() if as_of else None
    outcome = run_release(config, work, store, tiers or [], day, publish=publish, again=again)
    console.outcome(outcome, work, store, json)
    return outcome.exit_code


@app.command()
def releases(work: Work = Path("work"), store: Store = "store", json: AsJson = False) -> int:
    """List every release and its state."""
    from stepdown.errors import WorldFailed
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.publishing.remembered import check_remembered
    from stepdown.release.reading.catalogue import list_releases

    workspace, place = open_places(work, store)
    ledger = open_ledger(workspace)
    console.releases(list_releases(ledger, place), json)
    try:
        check_remembered(ledger, place)
    except WorldFailed as error:  # it is a list of what the ledger knows, whatever the store says
        typer.echo(f"Warning: {error}", err=True)
    return 0


@app.command()
def show(
    release: Address, work: Work = Path("work"), store: Store = "store", json: AsJson = False
) -> int:
    """Show one release: what is in it, who signed, what is still missing."""
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.reading.catalogue import show_release

    workspace, place = open_places(work, store)
    console.facts(show_release(open_ledger(workspace), place, release), json)
    return 0


@app.command()
def verify(
    release: Address,
    publisher_key: Annotated[
        str, typer.Option(help="The publisher's public key, as you were given it: `ed25519:…`.")
    ] = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Compare a release's bytes with its manifest; with the workspace, its rows too."""
    from stepdown.operations.verify import verify as verify_release
    from stepdown.release.ledger.store import open_store

    workspace, place = open_places(work, store) if work.is_dir() else (None, open_store(store))
    found = verify_release(place, release, workspace, publisher_key or None)
    console.verified(found.as_json(), json)
    return 0 if found.ok else 1


@app.command()
def withdraw(
    release: Address,
    reason: Annotated[str, typer.Option(help="Why; published on the tombstone.")],
    name: Annotated[str, typer.Option(help="Who withdraws it.")] = "",
    publisher_key: PublisherKey = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Take a published release down and keep its tombstone; suspend what was made from it."""
    from stepdown.config.people import account
    from stepdown.published_reason import check_reason
    from stepdown.release.decisions.withdraw import take_over
    from stepdown.release.decisions.withdraw import withdraw as withdraw_release
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.publishing.kept import is_missing
    from stepdown.release.reading.catalogue import find_release

    workspace, place = open_places(work, store)
    actor = name or account()
    taken_over = take_over(workspace, place, release, actor, publisher_key)
    address = full_address(workspace, release)
    if unsearched := check_reason(workspace, address, reason):
        console.note(unsearched)
    was_missing = is_missing(place, find_release(open_ledger(workspace), address))
    suspended = withdraw_release(
        workspace, place, address, reason=reason, actor=actor, publisher=publisher_key
    )
    if was_missing:
        console.note(
            f"This store did not hold {address}. If it was published into another one, its data "
            "are still there: give the command again with that --store."
        )
    facts = {"release": address, "state": "withdrawn", "suspended": list(suspended)}
    console.facts(facts | ({"taken_over": list(taken_over)} if taken_over else {}), json)
    return 0


@app.command()
def reinstate(
    release: Address,
    reason: Annotated[str, typer.Option(help="Why it may stand; kept in the ledger.")],
    name: Annotated[str, typer.Option(help="Who decides; default your account.")] = "",
    yes: Yes = False,
    today: Today = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Publish a suspended release again: what it was made from was withdrawn, it may stay."""
    from stepdown.config.people import account
    from stepdown.release.decisions.withdraw import reinstate as reinstate_release

    settle_clock(work, store, today)
    workspace, place = open_places(work, store)
    address = full_address(workspace, release)
    confirm([address] if address.split("/")[1] == Tier.PUBLIC else [], yes)
    reinstate_release(workspace, place, address, reason=reason, actor=name or account())
    console.facts({"release": address, "state": "published"}, json)
    return 0


SIGNING = (keygen, approve, reject, sign, pack, review, answer, renew)
KEEPING = (recheck, incident, notices, upkeep, retain, shred)
for command in (*SIGNING, *KEEPING, anonymise, assess, serve):
    app.command()(command)
app.command()(fetch)
app.add_typer(assessment, name="assessment")
app.add_typer(access)
app.add_typer(ledger)
app.add_typer(recipient)


def main() -> None:
    """Run a command; every failure ends as a sentence and an exit code, never as a traceback."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = app(prog_name="stepdown", standalone_mode=False)
        if code == STOPPED:  # Typer took the interrupt for an exit
            tell_stopped()
    except USAGE_ERROR as error:
        command = error.ctx.command_path if error.ctx else "stepdown"
        wrong = InputWrong(error.format_message(), where=command, next=f"See: {command} --help")
        console.failure(wrong, as_json)
        code = wrong.exit_code
    except StepdownError as error:
        console.failure(error, as_json)
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        tell_stopped()
        code = STOPPED
    except Exception as error:
        told = defect("stepdown", error)
        console.failure(told, as_json)
        code = told.exit_code
    sys.exit(code or 0)
