"""Serve the Delta Sharing protocol's REST interface.

Source: https://github.com/delta-io/delta-sharing/blob/main/PROTOCOL.md
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from stepdown.release.documents.manifest import data_entries
from stepdown.release.ledger.addresses import LATEST, Address, version_number
from stepdown.release.ledger.records import Release
from stepdown.sharing.readers.access_cache import is_live
from stepdown.sharing.readers.http_errors import Denied, wrong
from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.readers.signed_urls import SIGNATURE
from stepdown.sharing.routes import delta
from stepdown.sharing.routes.delta import Table
from stepdown.sharing.routes.dependencies import SERVED, ServiceOf, VisitorOf
from stepdown.sharing.service import Service
from stepdown.vocabulary import Tier

NDJSON = "application/x-ndjson; charset=utf-8"
PREFIX = "/delta-sharing"
_DEFAULT_PAGE = 500
_MOST_TEXT = 2000
T = TypeVar("T")

router = APIRouter(prefix=PREFIX, tags=["Delta Sharing"], responses=SERVED)
Most = Annotated[
    int | None, Query(alias="maxResults", ge=0, le=2**31 - 1, description="Items a page, at most.")
]
Page = Annotated[
    str | None, Query(alias="pageToken", max_length=_MOST_TEXT, description="Of the page before.")
]
Version = Annotated[int | None, Query(ge=0, le=2**63 - 1, description="Of the table.")]
Timestamp = Annotated[
    str | None, Query(max_length=64, description="ISO 8601; the version that was current then.")
]
Formats = Annotated[str | None, Header(alias=delta.CAPABILITIES)]


class TableQuery(BaseModel):
    """What a reader asks of a table; hints may be ignored, and a release of one file has no use of
    them."""

    predicateHints: list[str] | None = None  # noqa: N815 - the protocol's names
    jsonPredicateHints: str | None = None  # noqa: N815
    limitHint: int | None = Field(None, ge=0, le=2**63 - 1)  # noqa: N815
    version: int | None = Field(None, ge=0, le=2**63 - 1)
    timestamp: str | None = Field(None, max_length=64)
    startingVersion: int | None = None  # noqa: N815
    endingVersion: int | None = None  # noqa: N815


@router.get("/shares")
def shares(service: ServiceOf, visitor: VisitorOf, most: Most = None, page: Page = None) -> Any:
    """The shares that hold something for the reader: tiers, and their own copies."""
    names = sorted({table.share for table in _tables(service, visitor)})
    return _page(service, "shares", names, lambda name: {"name": name}, most, page)


@router.get("/shares/{share}")
def share(service: ServiceOf, visitor: VisitorOf, share: str) -> Any:
    """One share."""
    tables = _in_share(service, visitor, share)
    return {"share": {"name": tables[0].share}}


@router.get("/shares/{share}/schemas")
def schemas(
    service: ServiceOf, visitor: VisitorOf, share: str, most: Most = None, page: Page = None
) -> Any:
    """A share's datasets."""
    tables = _in_share(service, visitor, share)
    name = tables[0].share
    names = sorted({table.schema for table in tables})
    where = f"schemas of {name}"
    return _page(service, where, names, lambda each: {"name": each, "share": name}, most, page)


@router.get("/shares/{share}/schemas/{schema}/tables")
def tables(
    service: ServiceOf,
    visitor: VisitorOf,
    share: str,
    schema: str,
    most: Most = None,
    page: Page = None,
) -> Any:
    """A dataset's tables: ``latest``, and every version that is served."""
    found = [t for t in _in_share(service, visitor, share) if t.schema == schema.lower()]
    if not found:
        raise service.not_found(visitor, f"{share}/{schema}")
    return _page_of_tables(
        service, f"tables of {share.lower()}/{schema.lower()}", found, most, page
    )


@router.get("/shares/{share}/all-tables")
def all_tables(
    service: ServiceOf, visitor: VisitorOf, share: str, most: Most = None, page: Page = None
) -> Any:
    """Every table of a share."""
    found = _in_share(service, visitor, share)
    return _page_of_tables(service, f"all tables of {share.lower()}", found, most, page)


_LINES: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"description": "Lines of JSON.", "content": {NDJSON: {}}}},
}
_TABLE = "/shares/{share}/schemas/{schema}/tables/{table}"


@router.get(f"{_TABLE}/version", **_LINES)
@router.head(_TABLE, include_in_schema=False)
def version(
    service: ServiceOf,
    visitor: VisitorOf,
    share: str,
    schema: str,
    table: str,
    starting: Annotated[str | None, Query(alias="startingTimestamp", max_length=64)] = None,
) -> Response:
    """The table's version, in the header ``Delta-Table-Version``."""
    found = _table(service, visitor, share, schema, table)
    release = found.current
    if starting is not None:
        first = delta.version_from(found, _moment(starting))
        if first is None:
            raise wrong("startingTimestamp is after the newest version")
        release = first
    return Response(headers={delta.VERSION: _number(release)}, media_type=NDJSON)


@router.get(f"{_TABLE}/metadata", **_LINES)
def metadata(
    service: ServiceOf,
    visitor: VisitorOf,
    share: str,
    schema: str,
    table: str,
    version: Version = None,
    timestamp: Timestamp = None,
    formats: Formats = None,
) -> Response:
    """What a reader must be able to do, and the table's columns."""
    found = _table(service, visitor, share, schema, table)
    release = _at(service, visitor, found, version, timestamp)
    form = delta.answer_format(formats)
    return _lines(form, release, _head(service, form, found, release))


@router.post(f"{_TABLE}/query", **_LINES)
def query(
    service: ServiceOf,
    visitor: VisitorOf,
    share: str,
    schema: str,
    table: str,
    asked: TableQuery | None = None,
    formats: Formats = None,
) -> Response:
    """The table's files, behind signed URLs."""
    asked = asked or TableQuery()
    found = _table(service, visitor, share, schema, table)
    if asked.startingVersion is not None or asked.endingVersion is not None:
        raise _no_changes()
    release = _at(service, visitor, found, asked.version, asked.timestamp)
    form = delta.answer_format(formats)
    documents = _head(service, form, found, release)
    manifest = service.manifest(release)
    token = visitor.token.id if visitor.token else ""
    for file in data_entries(manifest):
        path = f"{release.address}/{file['path']}"
        grant, sealed = service.signer.grant(path, token, service.settings.url_seconds)
        url = f"{service.public_url}/files/{path}?{SIGNATURE}={sealed}"
        documents.append(delta.file_line(form, release, manifest, file, url, grant.ends))
    return _lines(form, release, documents)


@router.get(f"{_TABLE}/changes", **_LINES)
def changes(
    service: ServiceOf, visitor: VisitorOf, share: str, schema: str, table: str
) -> Response:
    """Always an error: releases are whole, and what changed between two of them is not kept."""
    _table(service, visitor, share, schema, table)
    raise _no_changes()


def _no_changes() -> Denied:
    message = (
        "releases have no change data feed, since what changed could single people out: "
        "load two versions as tables of their own"
    )
    return Denied(400, "CHANGES_NOT_KEPT", message)


def _tables(service: Service, visitor: Principal) -> list[Table]:
    served = service.served(visitor)
    return delta.tables_of(served, [release for release in served if is_live(release)])


def _in_share(service: Service, visitor: Principal, share: str) -> list[Table]:
    found = [table for table in _tables(service, visitor) if table.share == share.lower()]
    if not found:
        raise service.not_found(visitor, share)
    return found


def _table(service: Service, visitor: Principal, share: str, schema: str, name: str) -> Table:
    wanted = (share.lower(), schema.lower(), name.lower())
    for table in _tables(service, visitor):
        if (table.share, table.schema, table.name) == wanted:
            return table
    # What is no longer served says why, to those who may know of it; anything else is not found.
    whose, dataset, version = wanted
    middle = whose if whose in set(Tier) else f"{Tier.PARTNER}/{whose}"
    service.find(visitor, f"{dataset}/{middle}/{version}")
    raise service.not_found(visitor, "/".join(wanted))


def _at(
    service: Service, visitor: Principal, table: Table, version: int | None, timestamp: str | None
) -> Release:
    if version is not None and timestamp is not None:
        raise wrong("give version or timestamp, not both")
    if timestamp is not None:
        found = delta.version_at(table, _moment(timestamp))
        if found is None:
            raise wrong("timestamp is before the first version that is served")
        return found
    if version is None:
        return table.current
    for release in table.versions:
        if version_number(release.version or "") == version:
            return release
    service.find(visitor, str(Address(table.current.series, f"v{version}")))
    raise service.not_found(visitor, f"{table.share}/{table.schema}/{LATEST} at {version}")


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise wrong("a timestamp is written like 2026-11-29T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _head(service: Service, form: str, table: Table, release: Release) -> list[dict[str, Any]]:
    manifest = service.manifest(release)
    return [
        delta.protocol_line(form, manifest["columns"]),
        delta.metadata_line(form, table, release, manifest),
    ]


def _lines(form: str, release: Release, documents: list[dict[str, Any]]) -> Response:
    headers = {delta.VERSION: _number(release), delta.CAPABILITIES: f"responseformat={form}"}
    return Response(delta.lines(documents), media_type=NDJSON, headers=headers)


def _number(release: Release) -> str:
    return str(version_number(release.version or ""))


def _page_of_tables(
    service: Service, where: str, found: list[Table], most: int | None, page: str | None
) -> Response:
    names = {f"{t.schema}/{t.name}": t for t in found}
    as_item = {
        name: {"name": t.name, "schema": t.schema, "share": t.share, "id": t.id}
        for name, t in names.items()
    }
    return _page(service, where, sorted(names), as_item.__getitem__, most, page)


def _page(
    service: Service,
    where: str,
    names: Sequence[str],
    as_item: Callable[[str], dict[str, str]],
    most: int | None,
    page: str | None,
) -> Response:
    """Items after the one that the page's token names; the token is good for this list only."""
    after = ""
    if page:
        facts = service.signer.open("page", page)
        if facts is None or facts["of"] != where:
            raise wrong("pageToken is not one that this list gave out")
        after = facts["after"]
    rest = [name for name in names if name > after]
    shown = rest[: _DEFAULT_PAGE if most is None else most]
    document: dict[str, Any] = {"items": [as_item(name) for name in shown]}
    if len(shown) < len(rest):
        facts = {"of": where, "after": shown[-1] if shown else after}
        document["nextPageToken"] = service.signer.seal("page", facts)
    return Response(delta.lines([document]), media_type="application/json; charset=utf-8")
