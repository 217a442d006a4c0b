"""Define `stepdown keygen`, `approve`, `reject` and `sign`: keys, and decisions with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import console
from flows.arguments import Address, AsJson, Store, Today, Work
from flows.confirming import Yes, confirm, introduce
from flows.consent_commands import look_again
from flows.places import deciding_workspace, open_places, settle_clock
from stepdown.errors import InputWrong

if TYPE_CHECKING:
    from stepdown.release.decisions.approvals import SignedRemarks

Key = Annotated[
    Path | None,
    typer.Option("--key", envvar="STEPDOWN_KEY", help="Your private key, from `stepdown keygen`."),
]
Capacity = Annotated[
    str, typer.Option("--role", help="The role you sign in, such as risk_officer.")
]
Reason = Annotated[str, typer.Option("--reason", "--note", help="Why; kept with the signature.")]
EvidenceFile = Annotated[
    Path | None,
    typer.Option("--evidence", help="YAML: who was consulted, how, when, and a document."),
]
Elsewhere = Annotated[
    Path | None,
    typer.Option("--signed", help="A decision that `stepdown sign` made; needs no key here."),
]
SignedName = Annotated[
    str, typer.Option("--name", help="Your name; refused where the key is somebody else's.")
]

Nth = Annotated[
    int,
    typer.Option(
        "--candidate",
        help="Which candidate of this version number you looked at: more than 1 where earlier ones "
        "lapsed; `stepdown show` says it.",
    ),
]


def keygen(
    name: Annotated[str, typer.Argument(help="Whose key it is, as it stands in people.yaml.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the private key goes.")
    ] = None,
    publisher: Annotated[
        bool, typer.Option("--publisher", help="Make the key that signs releases instead.")
    ] = False,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Make a key to sign with; print its public half for people.yaml."""
    if publisher == bool(name) or publisher == bool(output):
        raise InputWrong(
            "a person's key needs NAME and -o FILE, the publisher's only --publisher",
            where="keygen",
            next='For instance: stepdown keygen "Ada Stolz" -o ada.key',
        )
    if publisher:
        return _keygen_publisher(work, store, json)
    from stepdown.signing import make_key, write_key

    assert output is not None
    key = make_key()
    write_key(output, key)
    facts = {"name": name, "key": str(output), "public_key": key.public}
    if json:
        console.document(facts)
        return 0
    console.line(f"{output}: the private key. Keep it where only you can read it; back it up.")
    console.line("For people.yaml, beside the configs:\n")
    console.line(f'  - name: "{name}"\n    roles: []  # steward, owner, risk_officer, …')
    console.line(f"    public_key: {key.public}")
    return 0


def _keygen_publisher(work: Path, store: str, json: bool) -> int:
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.ledger.locks import exclusively
    from stepdown.release.requirements.publisher_key import key_path, make_publisher_key

    workspace = deciding_workspace(work, store)
    ledger = open_ledger(workspace)
    with exclusively(workspace):
        key = make_publisher_key(ledger)
    facts = {"name": "publisher", "key": str(key_path(ledger)), "public_key": key.public}
    if json:
        console.document(facts)
        return 0
    console.line(f"{key_path(ledger)}: the publisher's private key. Back it up.")
    console.line(f"Readers check releases with\n  {key.public}")
    return 0


def approve(
    release: Address,
    key: Key = None,
    role: Annotated[
        str, typer.Option("--role", help="The role you sign in, such as risk_officer.")
    ] = "",
    reason: Reason = "",
    evidence: EvidenceFile = None,
    signed: Elsewhere = None,
    name: SignedName = "",
    candidate: Nth = 1,
    yes: Yes = False,
    today: Today = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Sign a waiting release: its address, the hash of its manifest and of its risk report.

    Asks before a signature with which a public release has all it needs of people.
    """
    from stepdown.release.decisions import approvals

    places = open_places(work, store)
    if signed is None and not role:
        raise InputWrong(
            "an approval needs --role", where=release, next="See: stepdown approve --help"
        )
    settle_clock(work, store, today)
    look_again(*places, release)
    if signed is not None:
        return _record(places, release, signed, "approve", json, yes)
    words, private = _words(role, reason, evidence), load_private_key(key)
    meant: dict[str, Any] = {"name": name, "candidate": candidate}
    found = approvals.foresee_approval(places[0], release, private, words, **meant)
    introduce(found)
    confirm(found.for_everybody, yes)
    address, sure = found.release.address, found.for_everybody
    after = approvals.approve(*places, address, private, words, confirmed=sure, **meant)
    console.standing(after, json)
    return 0


def reject(
    release: Address,
    key: Key = None,
    reason: Reason = "",
    signed: Elsewhere = None,
    name: SignedName = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Turn a waiting release down, signed; what waits on it is refused."""
    from stepdown.release.decisions import approvals

    places = open_places(work, store)
    if signed is not None:
        return _record(places, release, signed, "reject", json)
    words = _words("", reason, None)
    console.standing(
        approvals.reject(*places, release, load_private_key(key), words, name=name), json
    )
    return 0


def _record(
    places: tuple[Any, Any],
    release: str,
    file: Path,
    decision: str,
    json: bool,
    yes: bool = False,
) -> int:
    from stepdown.release.decisions.approvals import foresee_recorded, record_decision
    from stepdown.release.ledger.statements import parse_signed

    signed = parse_signed(read_bytes(file), str(file))
    if signed.statement.get("decision") != decision:
        raise InputWrong(f"it does not {decision}", where=str(file), next="Look at the file.")
    sure: tuple[str, ...] = ()
    if decision == "approve":
        found = foresee_recorded(places[0], release, signed)
        introduce(found)
        confirm(found.for_everybody, yes)
        release, sure = found.release.address, found.for_everybody
    console.standing(record_decision(*places, release, signed, sure), json)
    return 0


def sign(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What `stepdown pack` made for you.")
    ],
    name: Annotated[str, typer.Option("--name", help="Your name, as in people.yaml.")],
    role: Capacity,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the signed decision goes.")],
    key: Key = None,
    reason: Reason = "",
    evidence: EvidenceFile = None,
    rejected: Annotated[bool, typer.Option("--reject", help="Turn it down instead.")] = False,
    json: AsJson = False,
) -> int:
    """Sign away from the workspace what you were given; hand the file back to the steward."""
    from stepdown.artifacts import write_durably
    from stepdown.release.decisions.approvals import sign_pack

    decision = "reject" if rejected else "approve"
    signed = sign_pack(
        folder, load_private_key(key), name, _words(role, reason, evidence), decision
    )
    write_durably(output, signed.as_bytes())
    release = str(signed.statement["release"])
    hand = f"stepdown {decision} {release} --signed {output.name}"
    facts = {"release": release, "decision": decision, "signed": str(output)}
    console.facts(facts | {"next": f"Give {output} to the steward, for `{hand}`."}, json)
    return 0


def load_private_key(key: Path | None) -> Any:
    """The private key that a command was given."""
    from stepdown.signing import load_key

    if key is None:
        raise InputWrong(
            "a decision needs your private key",
            where="--key",
            next="Give --key, or set STEPDOWN_KEY; `stepdown keygen` makes one.",
        )
    return load_key(key)


def _words(role: str, reason: str, evidence: Path | None) -> SignedRemarks:
    from stepdown.release.decisions.approvals import SignedRemarks
    from stepdown.release.requirements.evidence import load_evidence

    return SignedRemarks(role, reason, load_evidence(evidence) if evidence else None)


def read_bytes(path: Path) -> bytes:
    """A file that a command was given."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputWrong(
            f"cannot be read ({error.strerror})", where=str(path), next="Look at the path."
        ) from None
