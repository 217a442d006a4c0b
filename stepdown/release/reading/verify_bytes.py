"""Verify a published release against its own manifest and metadata, by the store alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.errors import StoreCorrupt
from stepdown.release.documents.manifest import MANIFEST, Manifest, read_manifest
from stepdown.release.documents.metadata import METADATA
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import RELEASE
from stepdown.release.requirements.publisher_key import signed_by

_BLOCK = 1 << 23


def verify_bytes(store: Store, address: str, publishers: Collection[str] = ()) -> tuple[str, ...]:
    """What is wrong with a release's files; empty where every byte is as it was approved.

    Args:
        address: a full address, not ``latest``.
        publishers: public keys that may have signed it; none asks only that the signature holds.
    """
    try:
        document = json.loads(store.read(f"{address}/{RELEASE}"))
        signed = _signature(document, publishers)
        if document.get("state") == "withdrawn":
            return (*signed, *_leftovers(store, address))
        raw = store.read(f"{address}/{MANIFEST}")
        manifest = read_manifest(raw, f"{address}/{MANIFEST}", document["manifest_sha256"])
    except StoreCorrupt as error:
        return (f"{MANIFEST}: {error.message}",)
    except FileNotFoundError:
        return (f"{MANIFEST} or {RELEASE} is missing",)
    except (ValueError, KeyError, AttributeError):
        return (f"{RELEASE} is not a release document",)
    metadata = _metadata(document)
    problems = [*signed, *_names(store, address, manifest, document, metadata)]
    for name, sha256 in metadata.items():
        path = f"{address}/{name}"
        if store.exists(path) and _sha256(store, path) != sha256:
            problems.append(f"{name} has other bytes than {RELEASE} says")
    return (*problems, *_files(store, address, manifest))


def _metadata(document: dict[str, Any]) -> dict[str, str]:
    """Metadata files and their hashes; any other name in the list is a stray."""
    listed = document.get("metadata")
    if not isinstance(listed, dict):
        return {}
    return {name: listed[name] for name in METADATA if name in listed}


def _signature(document: dict[str, Any], publishers: Collection[str]) -> list[str]:
    signer = signed_by(document)
    if signer is None:
        return [f"{RELEASE} carries no signature that holds"]
    if publishers and signer not in publishers:
        return [f"{RELEASE} is signed, but not by the publisher"]
    return []


def _leftovers(store: Store, address: str) -> tuple[str, ...]:
    kept = f"{address}/{RELEASE}"
    return tuple(
        f"{name.removeprefix(address + '/')} is still there although the release is withdrawn"
        for name in store.files(address)
        if name != kept
    )


def _names(
    store: Store,
    address: str,
    manifest: Manifest,
    document: dict[str, Any],
    metadata: Collection[str],
) -> list[str]:
    problems = []
    if document.get("release") != address:
        problems.append(f"{RELEASE} is about another address")
    for fact in ("dataset", "tier", "recipient"):
        if manifest.content.get(fact) != document.get(fact):
            problems.append(f"{RELEASE} and {MANIFEST} name another {fact}")
    present = {name.removeprefix(address + "/") for name in store.files(address)}
    expected = {*manifest.files, *metadata, MANIFEST, RELEASE}
    problems += [f"{name} is missing" for name in sorted(expected - present)]
    problems += [f"{name} is not in the manifest" for name in sorted(present - expected)]
    return problems


def _files(store: Store, address: str, manifest: Manifest) -> list[str]:
    problems = []
    rows = 0
    promised = {entry["path"]: entry.get("rows") for entry in manifest.content["files"]}
    for name, sha256 in manifest.files.items():
        if not store.exists(f"{address}/{name}"):
            continue
        if _sha256(store, f"{address}/{name}") != sha256:
            problems.append(f"{name} has other bytes than the manifest says")
        elif name.endswith(".parquet"):
            with store.open(f"{address}/{name}") as file:
                found = pq.read_metadata(file).num_rows
                rows += found
                # Only where there are several data files does each have its own number.
                if promised[name] not in (None, found):
                    wanted = promised[name]
                    problems.append(f"{name} has {found} rows, the manifest says {wanted}")
                file.seek(0)
                problems += _schema(pq.read_schema(file), manifest, name)
    # A count over damaged files would only repeat what is wrong with them.
    if not problems and rows != manifest.content["rows"]:
        problems.append(f"the data hold {rows} rows, the manifest says {manifest.content['rows']}")
    return problems


def _schema(schema: pa.Schema, manifest: Manifest, name: str) -> list[str]:
    found = [{"name": field.name, "type": str(field.type)} for field in schema]
    if found == manifest.content["columns"]:
        return []
    return [f"{name} has other columns or types than the manifest says"]


def _sha256(store: Store, path: str) -> str:
    digest = hashlib.sha256()
    with store.open(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
