"""Verify a release against all that is known about it: its bytes, its lineage, its measures.

The one module that looks at both sides: what was published, and what it was made from.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from stepdown.artifacts import check_bytes, sha256_of
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, ReleaseConfig, released_hash, tier_hash
from stepdown.errors import ReleaseUnknown, StoreCorrupt
from stepdown.opened import open_candidate
from stepdown.release.documents.documents import CONFIG, FULL_REPORT
from stepdown.release.documents.manifest import MANIFEST, check_candidate
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.ledger import Ledger, open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import RELEASE
from stepdown.release.publishing.recovery import finish_held
from stepdown.release.reading.catalogue import find_release, resolve_address
from stepdown.release.reading.earlier_releases import (
    ancestors,
    candidate_of,
    data_of,
    full_report,
    snapshot_of,
)
from stepdown.release.reading.verify_bytes import verify_bytes
from stepdown.release.requirements.publisher_key import publisher_keys
from stepdown.risk.assess import assess_risk
from stepdown.scratch import clear
from stepdown.vocabulary import ReleaseState
from stepdown.workspace import Workspace

_NEEDS_WORKSPACE = (
    "that the ledger recorded this manifest",
    "that the lineage is the one bound to the data",
    "rows and data subjects against the parent",
    "values against the parent",
)

_NEEDS_KEY = "who signed release.json: give the publisher's public key"


@dataclass(frozen=True)
class Verification:
    """What was found wrong with a release, and what could not be looked at."""

    release: str
    problems: tuple[str, ...]
    not_checked: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Nothing that was checked is wrong."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The shape of ``stepdown verify --json``."""
        return {
            "release": self.release,
            "ok": self.ok,
            "problems": list(self.problems),
            "not_checked": list(self.not_checked),
        }


def verify(
    store: Store, address: str, workspace: Workspace | None = None, publisher: str | None = None
) -> Verification:
    """Check a published release.

    Args:
        workspace: None checks the bytes against the manifest only, as any reader could.
        publisher: the public key that a reader was given; the ledger knows it too.

    Raises:
        ReleaseUnknown: the store has no such release.
    """
    if workspace:
        clear(workspace.scratch)  # a process that was killed left rows there
        with exclusively(workspace):
            finish_held(open_ledger(workspace), store)
    release = resolve_address(store, address)
    if workspace is None:
        problems = list(verify_bytes(store, release, [publisher] if publisher else []))
        unknown = () if publisher else (_NEEDS_KEY,)
        return Verification(release, tuple(problems), (*unknown, *_NEEDS_WORKSPACE))
    ledger = open_ledger(workspace)
    with ledger.reading() as reader:
        publishers = [publisher] if publisher else publisher_keys(reader)
    problems = list(verify_bytes(store, release, publishers))
    problems += [f"ledger: {problem}" for problem in verify_chain(ledger)]
    try:
        row = find_release(ledger, release)
    except ReleaseUnknown:
        problems.append("the ledger does not know this release")
        return Verification(release, tuple(problems), _NEEDS_WORKSPACE[1:])
    problems += _against_ledger(store, row)
    if row.state is ReleaseState.WITHDRAWN:
        return Verification(release, tuple(problems), _NEEDS_WORKSPACE[1:])
    found, not_checked = _against_workspace(ledger, row, workspace)
    return Verification(release, (*problems, *found), not_checked)


def _against_ledger(store: Store, row: Release) -> list[str]:
    try:
        document = json.loads(store.read(f"{row.address}/{RELEASE}"))
        same = document["manifest_sha256"] == row.manifest_sha256
    except (ValueError, KeyError, TypeError, FileNotFoundError):
        same = False
    return [] if same else ["release.json names another manifest than the ledger recorded"]


def _against_workspace(
    ledger: Ledger, row: Release, workspace: Workspace
) -> tuple[list[str], tuple[str, ...]]:
    """Measure the candidate again, from its lineage, its parent and the snapshot."""
    if not (Path(row.folder) / MANIFEST).is_file():
        return [], tuple(
            f"{what}: the candidate is no longer kept" for what in _NEEDS_WORKSPACE[1:]
        )
    with ledger.reading() as reader:
        chain = ancestors(reader, row)
    try:
        check_candidate(Path(row.folder), row.manifest_sha256 or "")
        _check_report(row)
        snapshot = snapshot_of(row, chain[-1], workspace)
        if snapshot is None:
            return [], tuple(
                f"{what}: the snapshot is no longer kept" for what in _NEEDS_WORKSPACE[2:]
            )
        candidate, loaded = candidate_of(row), _config(row)
        check_bytes(candidate.lineage)
    except StoreCorrupt as error:
        return [f"{error.where}: {error.message}"], _NEEDS_WORKSPACE[2:]
    problems = _made_from(row, candidate, chain[1] if len(chain) > 1 else None)
    parent = data_of(chain[1]) if len(chain) > 1 else snapshot
    if parent is None or not Path(parent.path).is_file():
        gone = "the parent's candidate is no longer kept"
        return problems, tuple(f"{what}: {gone}" for what in _NEEDS_WORKSPACE[2:])
    try:
        scale = data_of(chain[2]) if row.recipient else None
        with open_candidate(
            candidate, parent, snapshot, loaded, workspace.scratch, scale=scale
        ) as opened:
            risk = assess_risk(opened)
    except StoreCorrupt as error:
        return [f"{error.where}: {error.message}"], _NEEDS_WORKSPACE[2:]
    recorded = full_report(row)["risk"]
    problems += [*risk.nesting_problems, *risk.residue_problems]
    for field in fields(risk):
        # Attacks are sampled, and what they were run beside may have grown since.
        if field.name != "attacks" and not _same(getattr(risk, field.name), recorded[field.name]):
            problems.append(f"{field.name} is no longer what the report recorded")
    return problems, ()


def _check_report(row: Release) -> None:
    """The steward's report is the one that was signed; it says what the release was made from."""
    path = Path(row.folder) / FULL_REPORT
    recorded = row.terms.get("judged", {}).get("report_sha256")
    if not path.is_file() or sha256_of(path) != recorded:
        raise StoreCorrupt(
            "is missing or is not the report that the ledger recorded", where=str(path)
        )


def _made_from(row: Release, candidate: Candidate, parent: Release | None) -> list[str]:
    """The chain to the tier above, by hashes of the ledger: nothing that is published tells it.

    The ledger has it since ``manifest_version`` 2; an earlier manifest has it itself.
    """
    found = candidate.report.parent_sha256
    recorded = row.terms.get("judged", {}).get("parent_data_sha256", found)
    problems = []
    if found != recorded:
        problems.append("the steward's report names another parent than the ledger recorded")
    if parent is not None and parent.data_sha256 != found:
        problems.append(f"it was made from other data than those of {parent.address}")
    return problems


def _same(measured: Any, recorded: Any) -> bool:
    if is_dataclass(measured) and not isinstance(measured, type):
        measured = asdict(measured)
    if isinstance(measured, tuple | list) and isinstance(recorded, list):
        return len(measured) == len(recorded) and all(map(_same, measured, recorded))
    if isinstance(measured, dict):
        return measured.keys() == recorded.keys() and all(
            _same(value, recorded[name]) for name, value in measured.items()
        )
    if isinstance(measured, float) and isinstance(recorded, float | int):
        return math.isclose(measured, recorded, rel_tol=1e-9, abs_tol=1e-9)
    return bool(measured == recorded)


def _config(row: Release) -> LoadedConfig:
    path = Path(row.folder) / CONFIG
    kept = json.loads(path.read_bytes())
    columns = kept["config"]["columns"]
    ordered = kept["config"] | {"columns": {name: columns[name] for name in kept["columns"]}}
    config = ReleaseConfig.model_validate(ordered)
    manifest = json.loads((Path(row.folder) / MANIFEST).read_bytes())
    # An earlier manifest has the hash of the whole config itself.
    recorded = row.terms.get("judged", {}).get("config_sha256", manifest["config_sha256"])
    if tier_hash(config, row.tier, row.recipient) != recorded:
        raise StoreCorrupt("is not the config that the ledger recorded", where=str(path))
    released = [column["name"] for column in manifest["columns"]]
    published = released_hash(config, row.tier, released, row.recipient)
    if manifest["manifest_version"] > 1 and published != manifest["config_sha256"]:
        raise StoreCorrupt("is not the config that the manifest names", where=str(path))
    return LoadedConfig(config, path)
