"""Decide whether a replaced version is still served: where ``keep_superseded`` says so."""

from __future__ import annotations

from stepdown.release.ledger.addresses import version_number
from stepdown.release.ledger.ledger import Reader
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.publishing.suspension import fallen_above
from stepdown.release.requirements.consent_problem import consent_problem
from stepdown.vocabulary import IN_STORE, ReleaseState

KEY = "keep_superseded"
REPLACED = "a newer version has replaced it"

_STANDINGS = (EventKind.PUBLISHED, EventKind.SUSPENDED, EventKind.REINSTATED)


def may_be_kept(release: Release) -> bool:
    """Whether a version was replaced, and was published under a config that keeps such."""
    return release.state is ReleaseState.SUPERSEDED and bool(release.terms.get(KEY))


def why_not_kept(reader: Reader, release: Release) -> str:
    """Why a superseded version is served to nobody, for the steward; empty where it still is.

    Its own terms must say so, or it was signed without; and those of the newest, so that a config
    without the key ends it. An old version cannot be suspended, so whatever would take a live one
    down is asked here.
    """
    return (
        _not_asked_for(reader, release) or _taken_down(reader, release) or consent_problem(release)
    )


def _not_asked_for(reader: Reader, release: Release) -> str:
    if not may_be_kept(release):
        return f"it was published without `{KEY}`"
    known = reader.of_series(release.series, *IN_STORE)
    newest = max(known, key=lambda other: version_number(other.version or ""))
    # Beside a newest that was taken down the old one would be what is served instead of it.
    if newest.state is not ReleaseState.PUBLISHED:
        return f"{newest.address} is {newest.state}"
    if not reader.is_as_written(newest):
        return f"the row of {newest.address} in the ledger is not what its lines say"
    return "" if newest.terms.get(KEY) else f"{newest.address} was published without `{KEY}`"


def _taken_down(reader: Reader, release: Release) -> str:
    last = reader.lines_of(release, *_STANDINGS)[-1]
    if last["kind"] == EventKind.SUSPENDED:
        return "it was suspended when it was replaced"
    since = (line for line in reader.lines(EventKind.INCIDENT) if line["seq"] > last["seq"])
    if any(release.series.path in line["facts"]["series"] for line in since):
        return "there was an incident with its series"
    return fallen_above(reader, release)
