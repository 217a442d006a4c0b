"""Define `stepdown recipient`: give out tokens in profile files, list and revoke them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import console
from flows.arguments import AsJson, Store, Work
from flows.given_once import Commands
from flows.places import deciding_workspace, ledger_in
from stepdown.errors import InputWrong
from stepdown.vocabulary import Tier

recipient = Commands(
    name="recipient", help="Tokens for the people who may fetch.", no_args_is_help=True
)
_MOST_DAYS = 366
Output = Annotated[
    Path, typer.Option("--output", "-o", help="Where the profile file goes; hand it over safely.")
]
Url = Annotated[
    str,
    typer.Option(
        envvar="STEPDOWN_SERVE_PUBLIC_URL", help="How readers reach the server: https://…"
    ),
]
Days = Annotated[int, typer.Option(min=1, max=_MOST_DAYS, help="How long the token works.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A token's id, from `recipient list`.")]


@recipient.command()
def add(
    name: Annotated[
        str, typer.Argument(help="A partner's recipient name, or a person of the security policy.")
    ],
    output: Output,
    url: Url,
    days: Days = 90,
    tier: Annotated[
        list[Tier] | None, typer.Option("--tier", help="Only releases of this tier.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Only releases of this dataset.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option("--from", help="Only from this address or network.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Instead of the server's limit.")
    ] = None,
    bytes_per_day: Annotated[
        int | None, typer.Option(min=1, help="Instead of the server's limit.")
    ] = None,
    steward: Annotated[
        bool, typer.Option("--steward", help="Opens the steward's pages too.")
    ] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Opens /metrics, no data.")] = False,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Make a token and write the profile file that Delta Sharing clients and `fetch` read."""
    from stepdown.config.people import account, same_person
    from stepdown.release.reading.access import ANYBODY
    from stepdown.sharing.readers.settings import as_network
    from stepdown.sharing.readers.tokens import Terms, issue

    whom = " ".join(name.split())
    if same_person(whom) in ("", ANYBODY) or (steward and metrics):
        why = "has one role" if steward and metrics else "names somebody"
        raise InputWrong(f"a token {why}", where="recipient add", next="See: recipient add --help")
    try:
        networks = tuple(as_network(each) for each in network or ())
    except ValueError:
        raise InputWrong(
            "is neither an address nor a network", where="--from", next="For example 192.0.2.0/24"
        ) from None
    terms = Terms(
        whom,
        _in_days(days),
        tuple(each.value for each in tier or ()),
        tuple(dataset or ()),
        networks,
        "steward" if steward else "metrics" if metrics else "reader",
        requests_per_minute,
        bytes_per_day,
    )
    check_url(url)
    deciding_workspace(work, store)
    ledger = ledger_in(work, store)
    _new(output)
    token, secret = issue(ledger, terms, account())
    return _hand_over(ledger, token, secret, url, output, json)


@recipient.command("list")
def list_tokens(
    who: Annotated[str, typer.Option("--who", help="Only this recipient's or person's.")] = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """List every token, its terms, and whether it works."""
    from stepdown import clock
    from stepdown.sharing.readers.tokens import tokens, tokens_of

    with ledger_in(work, store).reading() as reader:
        found = tokens_of(reader, who) if who else list(tokens(reader).values())
    listed = [token.as_json(clock.now()) for token in found]
    if json:
        console.document(listed)
    elif not listed:
        console.line("No tokens yet: stepdown recipient add NAME --url URL -o FILE")
    else:
        columns = ["id", "who", "state", "expires_at", "role", "tiers", "datasets", "networks"]
        rows = [[_cell(line[name]) for name in columns] for line in listed]
        console.table("tokens", columns, rows)
    return 0


@recipient.command()
def rotate(
    id: Id,
    output: Output,
    url: Url,
    days: Days = 90,
    overlap: Annotated[
        int, typer.Option(min=0, max=90, help="Days that the old token still works.")
    ] = 7,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Make a new token on the terms of an old one, which runs out after the overlap."""
    from stepdown.config.people import account
    from stepdown.sharing.readers.tokens import rotate as rotate_token

    check_url(url)
    deciding_workspace(work, store)
    ledger = ledger_in(work, store)
    _new(output)
    token, secret = rotate_token(ledger, id, dt.timedelta(days=overlap), _in_days(days), account())
    return _hand_over(ledger, token, secret, url, output, json)


@recipient.command()
def revoke(id: Id, work: Work = Path("work"), store: Store = "store", json: AsJson = False) -> int:
    """Let a token and every URL signed for it stop working now."""
    from stepdown.config.people import account
    from stepdown.sharing.readers.tokens import revoke as revoke_token

    token = revoke_token(ledger_in(work, store), id, account())
    console.facts({"id": token.id, "who": token.terms.who, "revoked_at": token.revoked_at}, json)
    return 0


def check_url(url: str) -> None:
    """Refuse an address that no reader could reach, or that would carry the token in the clear."""
    from stepdown.sharing.readers.settings import as_public_url

    try:
        as_public_url(url)
    except ValueError as error:
        next = "Let a proxy speak TLS in front; docs/sharing.md shows how."
        raise InputWrong(str(error), where="--url", next=next) from None


def _hand_over(ledger: Any, token: Any, secret: str, url: str, output: Path, json: bool) -> int:
    import json as json_module

    from stepdown.artifacts import write_durably
    from stepdown.release.requirements.publisher_key import publisher_keys

    with ledger.reading() as reader:
        keys = publisher_keys(reader)
    profile = {
        "shareCredentialsVersion": 1,
        "endpoint": f"{url.rstrip('/')}/delta-sharing",
        "bearerToken": secret,
        "expirationTime": token.terms.expires_at.replace("+00:00", ".000Z"),
        "stepdown": {"publisherKeys": keys},
    }
    write_durably(output, (json_module.dumps(profile, indent=1) + "\n").encode(), mode=0o600)
    facts = {
        "id": token.id,
        "who": token.terms.who,
        "role": token.terms.role,
        "expires_at": token.terms.expires_at,
        "profile": str(output),
    }
    console.facts(facts, json)
    return 0


def _in_days(days: int) -> str:
    from stepdown import clock

    return (dt.datetime.fromisoformat(clock.now()) + dt.timedelta(days=days)).isoformat()


def _new(output: Path) -> None:
    from stepdown.artifacts import new_file

    new_file(output, "the profile")


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(value) or "any"
    return str(value)
