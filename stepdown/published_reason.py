"""Search the published reason of a withdrawal for identifiers of somebody in the data."""

from __future__ import annotations

from pathlib import Path

from stepdown.config import LoadedConfig
from stepdown.errors import InputWrong, ReleaseUnknown, StepdownError
from stepdown.opened import open_source
from stepdown.release.documents.documents import read_kept_config
from stepdown.release.documents.wording import fixed_text
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.reading.catalogue import find_release
from stepdown.release.reading.earlier_releases import ancestors, in_place, snapshot_of
from stepdown.risk.leaks.config_texts import identified_by
from stepdown.workspace import Workspace


def check_reason(workspace: Workspace, address: str, reason: str) -> str:
    """Refuse a reason that repeats an identifier, as a text of a config is refused.

    It is searched in the source that the release was made from. That it cannot be searched stands
    in nobody's way: a withdrawal protects people.

    Returns:
        a sentence that says why it could not be searched; empty where it was.

    Raises:
        InputWrong: it repeats a value of an identifying column.
    """
    ledger = open_ledger(workspace)
    try:
        release = find_release(ledger, address)
    except ReleaseUnknown:  # the withdrawal may take it over from the store
        return _not_searched(address, "its source is not known here")
    try:
        with ledger.reading() as reader:
            root = in_place(ancestors(reader, release)[-1], workspace)
        here = in_place(release, workspace)
        snapshot = snapshot_of(here, root, workspace)
        if snapshot is None:
            return _not_searched(release.address, "its source is not kept any more")
        loaded = LoadedConfig(read_kept_config(here.folder), Path(release.terms["config"]))
        with open_source(snapshot, loaded, workspace.scratch) as source:
            columns = identified_by(source, reason, fixed_text())
    except (OSError, ValueError, KeyError, StepdownError):
        return _not_searched(
            release.address, "its source or its config cannot be read, or the disk is full"
        )
    if columns:
        raise InputWrong(
            f"the reason repeats a value of {', '.join(columns)}, and it is published",
            where=release.address,
            next="Say why without naming anybody. Nothing was done.",
        )
    return ""


def _not_searched(address: str, why: str) -> str:
    return (
        f"The reason is published, and could not be searched for names of people in {address}: "
        f"{why}. See that it names nobody."
    )
