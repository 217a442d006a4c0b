"""Write the files that describe a published release to catalogues, once it has its version.

They cannot be in the manifest: it is signed before anybody knows the version and the day. Their
hashes stand in ``release.json`` instead, under the publisher's signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from stepdown.artifacts import canonical_json
from stepdown.release.documents.croissant import croissant
from stepdown.release.documents.datacite import datacite
from stepdown.release.documents.dcat import dcat
from stepdown.release.documents.description import Description, describe
from stepdown.release.documents.documents import DATAPACKAGE, REPORT_HTML
from stepdown.release.documents.manifest import MANIFEST, Manifest
from stepdown.release.ledger.store import Store

CROISSANT = "croissant.json"
DATACITE = "datacite.json"
DCAT = "dcat.jsonld"
METADATA = (CROISSANT, DATACITE, DCAT)


def put_metadata(store: Store, manifest: Manifest, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write the files beside data that are in the store already.

    Args:
        manifest: the release's.
        document: the release document.

    Returns:
        the document, with the citation, the DOI, and name → SHA-256 of what was written.
    """
    address = document["release"]
    package = json.loads(store.read(f"{address}/{DATAPACKAGE}"))
    release = describe(package, manifest.content, document)
    files = metadata_files(release)
    for name, content in files.items():
        store.replace(f"{address}/{name}", content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {**document, "citation": release.citation, "doi": release.doi, "metadata": hashes}


def foreseen_files(package: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The manifest and the files below as a publication would write them, to be judged before.

    The version and the day are not known yet: they are counted, and say nothing of a person.
    """
    names = (manifest["dataset"], manifest["tier"], manifest["recipient"], "v1")
    document = {
        "release": "/".join(filter(None, names)),
        "version": "v1",
        "tier": manifest["tier"],
        "published_at": f"{manifest['as_of']}T00:00:00+00:00",
    }
    release = describe(package, manifest, document)
    return {MANIFEST: canonical_json(dict(manifest)), **metadata_files(release)}


def metadata_files(release: Description) -> dict[str, bytes]:
    """File name → content; the same bytes for the same description."""
    facts: Mapping[str, dict[str, Any]] = {
        CROISSANT: croissant(release),
        DATACITE: datacite(release),
        DCAT: dcat(release, REPORT_HTML),
    }
    return {name: canonical_json(facts[name]) for name in METADATA}
