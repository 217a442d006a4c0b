"""Turn a judged candidate into a published, waiting or refused release."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stepdown import clock
from stepdown.artifacts import sha256_of
from stepdown.candidate import SUBJECTS_FILE, Candidate
from stepdown.config import LoadedConfig, tier_hash, tier_policy
from stepdown.config.governance import load_governance
from stepdown.config.policy import keeps_superseded, tier_purpose
from stepdown.release.documents.data_package import licence
from stepdown.release.documents.documents import FULL_REPORT
from stepdown.release.documents.gate import Decision, Outcome
from stepdown.release.documents.manifest import Manifest, write_manifest
from stepdown.release.ledger.addresses import Series, parse_address
from stepdown.release.ledger.ledger import Ledger, Reader, next_version, open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind, NewRelease, Release, nth_candidate
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import DEAD, RELEASE, advance, lose, publish
from stepdown.release.publishing.kept import check_kept, check_whole_release
from stepdown.release.publishing.kept_versions import KEY
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.publishing.refusals import write_note
from stepdown.release.publishing.suspension import cause_of, let_back
from stepdown.release.requirements.agreements import (
    agreement_terms,
    agreement_verdict,
    purpose_verdict,
)
from stepdown.release.requirements.assessments import assessment_verdict
from stepdown.release.requirements.purposes import collected_for
from stepdown.release.requirements.requirements import waiting_for
from stepdown.reports import Verdict
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import Workspace

_PENDING = (ReleaseState.CANDIDATE, ReleaseState.AWAITING_APPROVAL)
_TAKEN_BACK = (ReleaseState.WITHDRAWN, ReleaseState.SUSPENDED)


@dataclass(frozen=True)
class SubmissionResult:
    """Where a release stands after a decision.

    Args:
        outcome: ``published``, ``waiting``, ``refused``, ``unchanged``, or ``joined`` where an
            equal candidate was waiting already.
        release: its address; a refused candidate has none.
        state: its state now.
        waiting_for: what it still needs, in words.
        reasons: the verdicts that refused it.
        expired: address of a waiting release that this one replaces.
        note: path of the refusal note.
        candidate: which one of its number it is; those before it lapsed.
    """

    outcome: str
    release: str | None
    state: ReleaseState
    waiting_for: tuple[str, ...] = ()
    reasons: tuple[Verdict, ...] = ()
    expired: str | None = None
    note: str | None = None
    candidate: int = 1


def submit(
    workspace: Workspace,
    store: Store,
    loaded: LoadedConfig,
    candidate: Candidate,
    decision: Decision,
    *,
    run: str,
    as_of: dt.date,
    parent: str | None,
    actor: str,
) -> SubmissionResult:
    """Bring a judged candidate to the state that the decision and its parent allow.

    Args:
        decision: about its data and the documents that are beside them.
        parent: address of the release it was made from; None for internal.
        actor: who started the run.

    Raises:
        StoreCorrupt: a file of the candidate changed after it was judged.
        StoreIncomplete: the store does not hold what the ledger says is out.
        WorldFailed: the store or the ledger failed; the next call recovers.
    """
    series = Series(loaded.config.dataset, candidate.tier, candidate.recipient)
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        check_kept(ledger, store, series.dataset)
        recover_held(ledger, store, is_whole=True)  # as the run that submits found it
        above = _parent(ledger, series, parent)
        reasons = [*decision.reasons, *_objections(loaded, candidate, decision, above)]
        reasons += _unassessed(ledger, loaded, candidate.tier)
        if decision.outcome is Outcome.REFUSE or reasons:
            return _refuse(workspace, ledger, series, run, reasons, actor, candidate, above)
        manifest = write_manifest(loaded, candidate, decision, as_of)
        if candidate.recipient:
            governance = load_governance(loaded.folder, series.dataset)
            let_back(ledger, store, series.dataset, governance, clock.today(), actor)
        new = _describe(loaded, candidate, manifest, run, as_of, above, actor)
        if reasons := _taken_back(ledger, new):
            return _refuse(workspace, ledger, series, run, reasons, actor, candidate, above)
        return _settle_among_others(ledger, store, new, actor)


def record_refusal(
    workspace: Workspace,
    series: Series,
    run: str,
    reasons: Sequence[Verdict],
    actor: str,
) -> SubmissionResult:
    """Write down a refusal that came before there was a candidate, raw data that failed, say."""
    with exclusively(workspace):
        return _refuse(workspace, open_ledger(workspace), series, run, reasons, actor)


def _parent(ledger: Ledger, series: Series, address: str | None) -> Release | None:
    if address is None:
        return None
    wanted = parse_address(address)
    with ledger.reading() as reader:
        found = [r for r in reader.of_series(wanted.series) if r.version == wanted.version]
    return found[0] if found else None


def _objections(
    loaded: LoadedConfig,
    candidate: Candidate,
    decision: Decision,
    parent: Release | None,
) -> list[Verdict]:
    """Reasons against a release that are not in its bytes."""
    objections = []
    if decision.sha256 != candidate.data.sha256:
        text = "The decision is about another file: its SHA-256 is not this candidate's."
        objections.append(Verdict("decision", False, text, "Ask the gate about this file."))
    if candidate.recipient:
        recipient = loaded.config.recipients[candidate.recipient]
        purpose = tier_purpose(loaded.config, Tier.PARTNER)
        asked = (
            # Of the day, not of the date the data stand at: that one may be years back.
            agreement_verdict(recipient.agreement, clock.today()),
            purpose_verdict(recipient, purpose),
        )
        objections += [verdict for verdict in asked if not verdict.passed]
    objections += _other_purpose(loaded, candidate.tier)
    if candidate.tier is not Tier.INTERNAL:
        above = Tier.PARTNER if candidate.recipient else candidate.tier.parent
        dataset = loaded.config.dataset
        if parent is None or parent.series != Series(dataset, above or Tier.INTERNAL):
            text = f"A {candidate.tier} release is made from a release of {above}; none was named."
            objections.append(Verdict("parent", False, text, "Release the tier above it first."))
        elif parent.data_sha256 != candidate.report.parent_sha256:
            text = f"It was made from a file whose SHA-256 is not that of {parent.address}."
            objections.append(Verdict("parent", False, text, "Derive it from its parent again."))
        elif parent.state in DEAD:
            text = f"Its parent {parent.address} is {parent.state}."
            objections.append(Verdict("parent", False, text, "Release the tier above it first."))
    return objections


def foreseen(workspace: Workspace, loaded: LoadedConfig, tier: Tier) -> list[Verdict]:
    """What a submission today would object to that is known before there is a candidate."""
    unassessed = _unassessed(open_ledger(workspace), loaded, tier)
    return [*_other_purpose(loaded, tier), *unassessed]


def _other_purpose(loaded: LoadedConfig, tier: Tier) -> list[Verdict]:
    verdict = collected_for(loaded.config, tier)
    return [] if verdict.passed else [verdict]


def _unassessed(ledger: Ledger, loaded: LoadedConfig, tier: Tier) -> list[Verdict]:
    if tier is not Tier.PUBLIC:
        return []
    dataset = loaded.config.dataset
    governance = load_governance(loaded.folder, dataset)
    with ledger.reading() as reader:
        verdict = assessment_verdict(governance, reader, dataset, clock.today())
    return [] if verdict.passed else [verdict]


def _taken_back(ledger: Ledger, new: NewRelease) -> list[Verdict]:
    # Without this a scheduled run would quietly publish again what a steward took down.
    with ledger.reading() as reader:
        same = [
            release
            for release in reader.of_series(new.series, *_TAKEN_BACK)
            if release.manifest_sha256 == new.manifest_sha256
            and not _fell_for_others(reader, release, new)
        ]
    return [
        Verdict(
            "taken_back",
            False,
            f"{release.address} has the very same content and is {release.state}.",
            "Correct what it was taken back for; a suspended release may be reinstated instead, or "
            "renewed where its review was overdue.",
        )
        for release in same
    ]


def _describe(
    loaded: LoadedConfig,
    candidate: Candidate,
    manifest: Manifest,
    run: str,
    as_of: dt.date,
    parent: Release | None,
    actor: str,
) -> NewRelease:
    config, policy = loaded.config, tier_policy(loaded.config, candidate.tier)
    recipient = config.recipients[candidate.recipient] if candidate.recipient else None
    is_base = candidate.tier is Tier.PARTNER and recipient is None
    return NewRelease(
        series=Series(config.dataset, candidate.tier, candidate.recipient),
        run=run,
        folder=candidate.folder,
        data_sha256=candidate.data.sha256,
        lineage_sha256=candidate.lineage.sha256,
        manifest_sha256=manifest.sha256,
        rows=candidate.data.rows,
        columns=[column["name"] for column in manifest.content["columns"]],
        parent=parent.id if parent else None,
        sign_off=policy.sign_off.model_dump(mode="json"),
        terms={
            "title": config.title,
            "contact": config.contact,
            "recipient": (
                {"organisation": recipient.organisation, "contact": recipient.contact}
                if recipient
                else None
            ),
            "licence": licence(config, candidate),
            "agreement": agreement_terms(recipient) if recipient else None,
            "purpose": tier_purpose(config, candidate.tier),
            "review_months": policy.review_months,
            "served": not is_base,
            KEY: keeps_superseded(config, candidate.tier),
            "as_of": as_of.isoformat(),
            "configs": str(loaded.folder),
            "config": str(loaded.path),
            "consent": _consent(loaded, candidate),
            "judged": {
                "report_sha256": sha256_of(candidate.path / FULL_REPORT),
                # Of every column and of what it was made from: no published hash covers them.
                "config_sha256": tier_hash(config, candidate.tier, candidate.recipient),
                "parent_data_sha256": candidate.report.parent_sha256,
                "at": clock.now(),
                "by": [actor],
                "sensitivity": config.sensitivity,
                "sanity_check": (
                    policy.sanity_check.model_dump(mode="json") if policy.sanity_check else None
                ),
            },
        },
    )


def _consent(loaded: LoadedConfig, candidate: Candidate) -> dict[str, Any] | None:
    if loaded.consents is None:
        return None
    return {
        "day": loaded.consents.day.isoformat(),
        "without": 0,
        "subjects_sha256": sha256_of(candidate.path / SUBJECTS_FILE),
    }


def _settle_among_others(
    ledger: Ledger, store: Store, new: NewRelease, actor: str
) -> SubmissionResult:
    """Place a candidate beside the live release and those that wait in its series."""
    with ledger.reading() as reader:
        live = reader.of_series(new.series, ReleaseState.PUBLISHED)
        pending = reader.of_series(new.series, *_PENDING)
    is_live = (
        bool(live) and live[0].manifest_sha256 == new.manifest_sha256 and _same_people(live[0], new)
    )
    same = [r for r in pending if not is_live and _may_join(store, r, new)]
    expired = _end_others(ledger, [r for r in pending if r not in same], actor)
    if is_live:
        check_whole_release(store, live[0])
        advance(ledger, store, actor)
        return SubmissionResult("unchanged", live[0].address, live[0].state, expired=expired)
    release = _write_down(ledger, store, new, same, actor)
    # To the byte what joined it, unless it is that one itself: a step that failed is tried again.
    for before in same[:1]:
        if before.folder != release.folder:
            _discard(Path(before.folder))
    if release.state is ReleaseState.CANDIDATE:
        publish(ledger, store, release, actor)
    advance(ledger, store, actor)
    return standing(ledger, release.id, joined=bool(same), expired=expired)


def standing(
    ledger: Ledger, id: int, *, joined: bool = False, expired: str | None = None
) -> SubmissionResult:
    """How a release stands now."""
    with ledger.reading() as reader:
        release = reader.release(id)
        waits = release.state is ReleaseState.AWAITING_APPROVAL
        needs = waiting_for(reader, release) if waits else ()
    outcome = release.state.value if not waits else ("joined" if joined else "waiting")
    reasons = tuple(Verdict(r["check"], False, r["message"]) for r in release.reasons)
    return SubmissionResult(
        outcome,
        release.address,
        release.state,
        needs,
        reasons,
        expired,
        candidate=release.candidate,
    )


def _may_join(store: Store, release: Release, new: NewRelease) -> bool:
    """Whether a waiting release is the new one, to the byte: what is published, and what is not.

    Equal manifests are no proof of it: they say nothing of what was withheld, which the steward's
    report does, and which those who signed have seen.
    """
    taken = store.exists(f"{release.address}/{RELEASE}")
    reports = [each.terms["judged"]["report_sha256"] for each in (release, new)]
    return release.manifest_sha256 == new.manifest_sha256 and reports[0] == reports[1] and not taken


def _same_people(release: Release, new: NewRelease) -> bool:
    """Whether the consent register would be asked about the same people; where one is asked.

    Somebody may be replaced by somebody else with the very same row: no byte that is published
    differs, but whose withdrawal takes the release out of reach does.
    """
    before, now = ((each.terms.get("consent") or {}) for each in (release, new))
    known = (before.get("subjects_sha256"), now.get("subjects_sha256"))
    return None in known or known[0] == known[1]


def _fell_for_others(reader: Reader, release: Release, new: NewRelease) -> bool:
    """Whether it is suspended for people who are no longer in it: it can never come back itself."""
    suspended = release.state is ReleaseState.SUSPENDED
    return suspended and cause_of(reader, release) == "consent" and not _same_people(release, new)


def _end_others(ledger: Ledger, others: list[Release], actor: str) -> str | None:
    for release in others:
        waited = release.state is ReleaseState.AWAITING_APPROVAL
        to = ReleaseState.EXPIRED if waited else ReleaseState.REFUSED
        lose(ledger, release, to, "a later run made a different file", actor)
    return others[-1].address if others else None


def _discard(folder: Path) -> None:
    """Delete one candidate's files; a copy's are in a folder of their own below the base's."""
    for path in [*folder.glob("*"), *(folder / "data").glob("*")]:
        if path.is_file():
            path.unlink()


def _write_down(
    ledger: Ledger, store: Store, new: NewRelease, same: list[Release], actor: str
) -> Release:
    with ledger.writing() as writer:
        if same:
            judged = new.terms["judged"]
            starters = dict.fromkeys([*same[0].terms.get("judged", judged)["by"], *judged["by"]])
            judged = {**judged, "by": list(starters)}
            release = writer.change(
                same[0],
                EventKind.JOINED,
                actor,
                {"judged": judged, "consent": new.terms["consent"]},
                terms={**new.terms, "judged": judged, **nth_candidate(same[0].candidate)},
                run=new.run,
                folder=new.folder,
                parent=new.parent,
                lineage_sha256=new.lineage_sha256,
            )
        else:
            version = next_version(writer, new.series, store.folders(new.series.path))
            release = writer.add(replace(new, version=version), actor)
        needs = waiting_for(writer, release)
        if needs and release.state is ReleaseState.CANDIDATE:
            to = ReleaseState.AWAITING_APPROVAL
            release = writer.move(release, to, EventKind.WAITING, actor, {"waiting_for": needs})
        return release


def _refuse(
    workspace: Workspace,
    ledger: Ledger,
    series: Series,
    run: str,
    reasons: Sequence[Verdict],
    actor: str,
    candidate: Candidate | None = None,
    parent: Release | None = None,
) -> SubmissionResult:
    folder = candidate.path if candidate else None
    note = write_note(workspace, series, run, reasons, folder)
    facts = [asdict(reason) for reason in reasons]
    new = NewRelease(
        series,
        run,
        str(folder or ""),
        data_sha256=candidate.data.sha256 if candidate else None,
        lineage_sha256=candidate.lineage.sha256 if candidate else None,
        rows=candidate.data.rows if candidate else None,
        parent=parent.id if parent else None,
        reasons=facts,
    )
    with ledger.writing() as writer:
        release = writer.add(new, actor)
        told = {"reasons": facts, "note": Path(note).name}
        writer.move(release, ReleaseState.REFUSED, EventKind.REFUSAL, actor, told, note=str(note))
    refused = ReleaseState.REFUSED
    return SubmissionResult("refused", None, refused, reasons=tuple(reasons), note=str(note))
