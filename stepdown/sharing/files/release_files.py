"""Read a release's files from the store, each checked against its hash first."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from stepdown.errors import StoreCorrupt
from stepdown.release.documents.manifest import MANIFEST, read_manifest
from stepdown.release.ledger.records import Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import RELEASE
from stepdown.sharing.files.download import Content

PARQUET = "application/vnd.apache.parquet"
_TYPES = {".json": "application/json", ".jsonld": "application/ld+json", ".html": "text/html"}
_MOST_KEPT = 256


@dataclass
class Shelf:
    """Hands out files of releases; remembers manifests, and which data files it has hashed."""

    store: Store
    _manifests: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)
    _hashed: dict[tuple[str, str], str] = field(default_factory=dict)
    _hashing: threading.Lock = field(default_factory=threading.Lock)

    def manifest(self, release: Release) -> dict[str, Any]:
        """The content of a release's manifest.

        Raises:
            FileNotFoundError: the release is no longer in the store.
            StoreCorrupt: it is not the manifest that was judged.
        """
        sha256 = release.manifest_sha256 or ""
        if sha256 not in self._manifests:
            path = f"{release.address}/{MANIFEST}"
            self._manifests[sha256] = read_manifest(self.store.read(path), path, sha256).content
            if len(self._manifests) > _MOST_KEPT:
                self._manifests.popitem(last=False)
        return self._manifests[sha256]

    def document(self, release: Release) -> dict[str, Any]:
        """The release document.

        Raises:
            FileNotFoundError: the release is no longer in the store.
        """
        return dict(json.loads(self.store.read(f"{release.address}/{RELEASE}")))

    def content(self, release: Release, name: str) -> Content | None:
        """One file of a release; None where it has none of that name.

        Raises:
            FileNotFoundError: the release is no longer in the store.
            StoreCorrupt: its bytes are not those that were judged.
        """
        listed = {file["path"]: file for file in self.manifest(release)["files"]}
        path = f"{release.address}/{name}"
        if name in listed and name.endswith(".parquet"):
            return self._data(path, listed[name]["sha256"], listed[name]["bytes"])
        expected = {entry: file["sha256"] for entry, file in listed.items()}
        expected |= {MANIFEST: release.manifest_sha256, RELEASE: None}
        if name not in expected:
            expected |= self.document(release).get("metadata") or {}
        return self._small(path, expected[name]) if name in expected else None

    def _small(self, path: str, expected: str | None) -> Content:
        raw = self.store.read(path)
        found = hashlib.sha256(raw).hexdigest()
        if expected not in (None, found):
            raise _changed(path)
        kind = _TYPES.get(Path(path).suffix, "application/octet-stream")
        return Content(lambda: BytesIO(raw), len(raw), found, kind)

    def _data(self, path: str, expected: str, size: int) -> Content:
        key = (path, self.store.state(path))
        if key not in self._hashed:
            with self._hashing:  # else every reader of a new release would hash it, all at once
                if key not in self._hashed:
                    self._hashed[key] = self.store.sha256(path)
        if self._hashed[key] != expected:
            raise _changed(path)
        return Content(lambda: self.store.open(path), size, expected, PARQUET)


def _changed(path: str) -> StoreCorrupt:
    return StoreCorrupt(
        "its bytes are not those that were judged", where=path, next="Run `stepdown verify` on it."
    )
