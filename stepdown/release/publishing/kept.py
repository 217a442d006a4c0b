"""Check that the store still holds what the ledger calls live or suspended.

A store that was deleted or is not mounted, or another one named by mistake, would let a run say
``unchanged`` of what nobody can fetch, or publish the next version where nobody looks.
"""

from __future__ import annotations

from stepdown.errors import StoreIncomplete, WorldFailed
from stepdown.release.documents.manifest import MANIFEST, read_manifest
from stepdown.release.ledger.ledger import Ledger
from stepdown.release.ledger.records import Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import committed
from stepdown.vocabulary import ReleaseState

_OUT = (ReleaseState.PUBLISHED, ReleaseState.SUSPENDED)


def check_kept(ledger: Ledger, store: Store, dataset: str) -> None:
    """Refuse to go on where a live or suspended release of a dataset is not in the store.

    Call it before recovery, which would take a publication for one that was never committed.

    Raises:
        StoreIncomplete: one is not, or its document is another's.
        StoreCorrupt: a document is not JSON.
        WorldFailed: the store or the ledger cannot be read.
    """
    with ledger.reading() as reader:
        out = [release for release in reader.releases(dataset) if release.state in _OUT]
    lost = [release for release in out if committed(store, release) is None]
    if lost:
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        raise _incomplete(lost[0], f"this store does not hold it{more}")


def is_missing(store: Store, release: Release) -> bool:
    """Whether a store that can be read does not hold a release; holds nothing up."""
    try:
        return committed(store, release) is None
    except WorldFailed:
        return False


def check_whole_release(store: Store, release: Release) -> None:
    """Refuse to call a live release unchanged where files of it are missing; no data are read.

    Raises:
        StoreIncomplete: a file is not there.
        StoreCorrupt: its manifest is not the one that was recorded.
    """
    where = f"{release.address}/{MANIFEST}"
    try:
        raw = store.read(where)
    except FileNotFoundError:
        raise _incomplete(release, f"its {MANIFEST} is missing from the store") from None
    held = set(store.files(release.address))
    for name in read_manifest(raw, where, release.manifest_sha256).files:
        if f"{release.address}/{name}" not in held:
            raise _incomplete(release, f"its {name} is missing from the store")


def _incomplete(release: Release, what: str) -> StoreIncomplete:
    return StoreIncomplete(
        f"by the ledger {release.address} is {release.state}, and {what}",
        where="STEPDOWN_STORE",
        next="Let --store or STEPDOWN_STORE name the store into which it was published, or bring "
        "the store back from its backup. Where there is none, `stepdown withdraw` it.",
    )
