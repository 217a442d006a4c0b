"""Describe releases to Delta Sharing clients: shares, tables, and their lines of JSON.

A share is a tier or a recipient, a schema a dataset, a table one release: ``latest``, and each that
is served under its own version, because some clients read only the newest state of a table.

Source: https://github.com/delta-io/delta-sharing/blob/main/PROTOCOL.md
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepdown.release.documents.manifest import data_entries
from stepdown.release.ledger.addresses import LATEST, version_number
from stepdown.release.ledger.records import Release
from stepdown.vocabulary import Tier

PARQUET, DELTA = "parquet", "delta"
CAPABILITIES = "delta-sharing-capabilities"
VERSION = "Delta-Table-Version"
_NTZ = "timestampNtz"
_TYPES = {
    "string": "string",
    "large_string": "string",
    "int32": "integer",
    "int64": "long",
    "float": "float",
    "double": "double",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us, tz=UTC]": "timestamp",
}
_NAIVE = "timestamp[us]"
_IDS = uuid.UUID("6f6c7f2e-8f0e-5d8a-9d8b-6b1d3a2f4c11")
"""Namespace of the ids of tables, so that a table keeps its id from one server to the next."""


@dataclass(frozen=True)
class Table:
    """A table that a reader may see, and the versions of it, oldest first.

    Args:
        versions: one where the table is named after a version; else every version of the series
            that is served, the current one last.
    """

    share: str
    schema: str
    name: str
    versions: tuple[Release, ...]

    @property
    def current(self) -> Release:
        return self.versions[-1]

    @property
    def id(self) -> str:
        """A stable id, as the protocol wants."""
        return str(uuid.uuid5(_IDS, f"{self.share}/{self.schema}/{self.name}"))


def share_of(release: Release) -> str:
    """The share that a release is in: its tier, or the recipient whose copy it is."""
    return release.recipient or release.tier.value


def tables_of(releases: Iterable[Release], current: Iterable[Release]) -> list[Table]:
    """Every table of what a reader may see, sorted.

    Args:
        releases: all that is served to them. current: those of them that are live.
    """
    live = {release.id for release in current}
    series: dict[tuple[str, str], list[Release]] = {}
    for release in sorted(releases, key=lambda r: version_number(r.version or "")):
        # The base of partner is served to nobody, so that a share never mixes the two.
        assert release.recipient or release.tier is not Tier.PARTNER
        series.setdefault((share_of(release), release.dataset), []).append(release)
    found = []
    for (share, schema), versions in sorted(series.items()):
        if versions[-1].id in live:
            found.append(Table(share, schema, LATEST, tuple(versions)))
        found += [Table(share, schema, str(each.version), (each,)) for each in versions]
    return found


def answer_format(header: str | None) -> str:
    """Parquet, unless the reader takes only Delta."""
    for part in (header or "").lower().split(";"):
        name, _, value = part.strip().partition("=")
        if name.strip() == "responseformat":
            formats = {form.strip() for form in value.split(",")}
            if DELTA in formats and PARQUET not in formats:
                return DELTA
    return PARQUET


def protocol_line(form: str, columns: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What a reader must be able to do."""
    if form == PARQUET:
        return {"protocol": {"minReaderVersion": 1}}
    if not any(column["type"] == _NAIVE for column in columns):
        return {"protocol": {"deltaProtocol": {"minReaderVersion": 1, "minWriterVersion": 2}}}
    features = {"readerFeatures": [_NTZ], "writerFeatures": [_NTZ]}
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    return {"protocol": {"deltaProtocol": protocol}}


def metadata_line(
    form: str, table: Table, release: Release, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """Name, description and columns of a table at one version."""
    files = data_entries(manifest)
    described = {
        "id": table.id,
        "name": f"{table.schema}/{table.name}",
        "description": str(manifest["title"]),
        "format": {"provider": "parquet", **({"options": {}} if form == DELTA else {})},
        "schemaString": schema_string(form, manifest["columns"]),
        "partitionColumns": [],
        "configuration": {},
    }
    counted = {
        "version": version_number(release.version or ""),
        "size": sum(file["bytes"] for file in files),
        "numFiles": len(files),
    }
    if form == PARQUET:
        return {"metaData": {**described, **counted}}
    created = _milliseconds(release.published_at)
    return {"metaData": {"deltaMetadata": {**described, "createdTime": created}, **counted}}


def file_line(
    form: str,
    release: Release,
    manifest: Mapping[str, Any],
    file: Mapping[str, Any],
    url: str,
    ends: int,
) -> dict[str, Any]:
    """One file of a version, behind a signed URL that ends at a second since 1970."""
    stats = json.dumps({"numRecords": file.get("rows", manifest["rows"])})
    moment = _milliseconds(release.published_at)
    version = version_number(release.version or "")
    shared = {"id": file["sha256"], "version": version, "timestamp": moment}
    if form == PARQUET:
        facts = {
            "url": url,
            "partitionValues": {},
            "size": file["bytes"],
            "stats": stats,
            "expirationTimestamp": ends * 1000,
        }
        return {"file": {**shared, **facts}}
    add = {
        "path": url,
        "partitionValues": {},
        "size": file["bytes"],
        "modificationTime": moment,
        "dataChange": True,
        "stats": stats,
    }
    ending = {"expirationTimestamp": ends * 1000}
    return {"file": {**shared, **ending, "deltaSingleAction": {"add": add}}}


def lines(documents: Iterable[Mapping[str, Any]]) -> bytes:
    """Documents as clients parse them: one a line, ASCII only, none after the last."""
    return "\n".join(json.dumps(each, separators=(",", ":")) for each in documents).encode()


def schema_string(form: str, columns: Sequence[Mapping[str, str]]) -> str:
    """The columns as Spark writes a schema.

    A timestamp without a zone is declared with one in the Parquet format, the only one it knows.
    """
    naive = "timestamp_ntz" if form == DELTA else "timestamp"
    fields = [
        {
            "name": column["name"],
            "type": naive if column["type"] == _NAIVE else _TYPES[column["type"]],
            "nullable": True,
            "metadata": {},
        }
        for column in columns
    ]
    return json.dumps({"type": "struct", "fields": fields}, separators=(",", ":"))


def version_at(table: Table, moment: dt.datetime) -> Release | None:
    """The version that was current at a time."""
    before = [each for each in table.versions if _published(each) <= moment]
    return before[-1] if before else None


def version_from(table: Table, moment: dt.datetime) -> Release | None:
    """The first version published at a time or after it."""
    after = [each for each in table.versions if _published(each) >= moment]
    return after[0] if after else None


def _published(release: Release) -> dt.datetime:
    return dt.datetime.fromisoformat(str(release.published_at))


def _milliseconds(moment: str | None) -> int:
    return int(dt.datetime.fromisoformat(str(moment)).timestamp() * 1000)
