"""Report an incident: suspend the release and all made from it, tell, and assess anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stepdown import clock
from stepdown.artifacts import write_durably
from stepdown.config.assessment import FOLDER, draft_text
from stepdown.config.people import load_people
from stepdown.errors import ConfigInvalid, InputWrong, MoveForbidden
from stepdown.release.decisions.withdraw import descendants
from stepdown.release.ledger.ledger import Writer, open_ledger, protecting_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import STORE_BEHIND, EventKind, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.adoption import adopt
from stepdown.release.publishing.commit import settle
from stepdown.release.publishing.downloads import Fetched, tell_holders, who_fetched
from stepdown.release.publishing.notices import tell
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.publishing.remembered import advance_if_whole
from stepdown.release.reading.catalogue import find_release
from stepdown.release.requirements.assessments import RISK_OFFICER
from stepdown.vocabulary import IN_STORE, ReleaseState, Tier
from stepdown.workspace import Workspace

CANNOT_RECALL = "copies of public files cannot be recalled"


@dataclass(frozen=True)
class Reported:
    """What was done about an incident.

    Args:
        reference: how the next risk assessment names it.
        suspended: addresses that are no longer served.
        fetched: who had fetched it or something made from it.
        told: who gets a notice.
        draft: the next assessment, to be filled in.
        notes: what no suspension can undo.
    """

    reference: str
    suspended: tuple[str, ...]
    fetched: tuple[Fetched, ...]
    told: tuple[str, ...]
    draft: str
    notes: tuple[str, ...]


def report_incident(
    workspace: Workspace,
    store: Store,
    address: str,
    *,
    reason: str,
    actor: str,
    publisher: str = "",
) -> Reported:
    """Suspend a release and everything live that was made from it, in one transaction.

    The risk assessment in force is no longer so, and until one names the incident nothing of the
    series it touched is published or reinstated.

    Args:
        reason: what happened; kept in the ledger, not published.
        publisher: as for ``withdraw``.

    Raises:
        InputWrong: no reason is given.
        SignatureInvalid: only the store knows it, and its document is not one that we signed.
        ReleaseUnknown: no such release.
        MoveForbidden: it was never published.
    """
    if not reason.strip():
        raise InputWrong("an incident needs a reason", where=address, next="Say what happened.")
    with exclusively(workspace):
        ledger = protecting_ledger(workspace)
        recover_held(ledger, store)
        adopt(ledger, store, address, actor, publisher)
        release = find_release(ledger, address)
        if release.state not in IN_STORE:
            raise MoveForbidden(
                f"it is {release.state} and was never published",
                where=release.address,
                next="Reject it with `stepdown reject` if it waits.",
            )
        with ledger.writing() as writer:
            # Superseded ones count: somebody fetched them, and must be told.
            touched = [release, *(r for r in descendants(writer, release) if r.state in IN_STORE)]
            reference = f"{release.address} at {clock.now()}"
            fetched = [one for each in touched for one in who_fetched(writer, each)]
            live = [each for each in touched if each.state is ReleaseState.PUBLISHED]
            suspended = [_suspend(writer, each, reference, actor) for each in live]
            told = _tell(writer, release, touched, actor)
            _write_down(writer, release, touched, suspended, reference, reason, actor)
            number = len(writer.facts(EventKind.INCIDENT))
        for each in suspended:
            settle(ledger, store, each)
        advance_if_whole(open_ledger(workspace), store, actor)
    draft = _draft(workspace, release, reference, number)
    addresses = tuple(each.address for each in suspended)
    return Reported(reference, addresses, tuple(fetched), told, draft, _notes(touched))


def _suspend(writer: Writer, release: Release, reference: str, actor: str) -> Release:
    return writer.move(
        release,
        ReleaseState.SUSPENDED,
        EventKind.SUSPENDED,
        actor,
        {"because_of": reference},
        unsettled=STORE_BEHIND,
    )


def _tell(writer: Writer, release: Release, touched: list[Release], actor: str) -> tuple[str, ...]:
    contact = str(release.terms["contact"])
    text = (
        f"There was an incident with {release.address}. It and what was made from it are "
        "suspended; the steward can say more."
    )
    tell(writer, release, "contact", contact, text, actor)
    names = ["contact"]
    for each in touched:
        text = (
            f"There was an incident with {release.address}, and {each.address} is suspended. Stop "
            f"using your copy, keep it where only you can read it, and answer {contact}."
        )
        names += tell_holders(writer, each, text, actor)
    return tuple(dict.fromkeys(names))


def _write_down(
    writer: Writer,
    release: Release,
    touched: list[Release],
    suspended: list[Release],
    reference: str,
    reason: str,
    actor: str,
) -> None:
    facts = {
        "dataset": release.dataset,
        "reference": reference,
        "reason": reason.strip(),
        "at": clock.now(),
        "series": sorted({each.series.path for each in touched}),
        "suspended": [each.address for each in suspended],
    }
    writer.note(EventKind.INCIDENT, release, actor, facts)


def _draft(workspace: Workspace, release: Release, reference: str, number: int) -> str:
    path = workspace.root / FOLDER / f"{release.dataset}-after-incident-{number}.yaml"
    if not path.exists():
        by = _risk_officer(Path(release.terms["configs"]))
        text = draft_text(release.dataset, clock.today(), by, reference)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_durably(path, text.encode())
    return str(path)


def _risk_officer(folder: Path) -> str:
    # A mistake in people.yaml must not stand in the way of a suspension.
    try:
        officers = load_people(folder).in_role(RISK_OFFICER)
    except ConfigInvalid:
        return ""
    return officers[0].name if len(officers) == 1 else ""


def _notes(touched: list[Release]) -> tuple[str, ...]:
    notes = [
        f"{each.address} is {each.state}, not live: withdraw it if nobody may have it"
        for each in touched
        if each.state is ReleaseState.SUPERSEDED
    ]
    if any(each.tier is Tier.PUBLIC for each in touched):
        notes.append(CANNOT_RECALL)
    return tuple(notes)
