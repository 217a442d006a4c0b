"""Serve files over plain HTTP: signed URLs, and addresses for curl, DuckDB and Polars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from stepdown.release.documents.documents import REPORT_HTML
from stepdown.release.documents.manifest import data_entries
from stepdown.release.ledger.addresses import LATEST, version_number
from stepdown.release.ledger.records import Release
from stepdown.sharing.files.csv_stream import csv_blocks
from stepdown.sharing.files.parquet_stream import parquet_blocks
from stepdown.sharing.files.release_files import PARQUET
from stepdown.sharing.files.xlsx_stream import check_fits, xlsx_blocks
from stepdown.sharing.readers.http_errors import Denied
from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.readers.signed_urls import SIGNATURE
from stepdown.sharing.routes.dependencies import SERVED, ServiceOf, VisitorOf
from stepdown.sharing.routes.render import REPORT_POLICY
from stepdown.sharing.service import Service, expired

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"*/*": {}}},
    206: {"description": "The ranges that were asked for.", "content": {"*/*": {}}},
    304: {"description": "The file is the one that `If-None-Match` names."},
    416: {"description": "No byte of the range exists."},
}
router = APIRouter(tags=["files"], responses={**SERVED, **_BYTES})


@router.get("/releases/{path:path}", response_class=Response)
@router.head("/releases/{path:path}", response_class=Response)
def file_of_release(request: Request, service: ServiceOf, visitor: VisitorOf, path: str) -> Any:
    """One file of a release.

    ``dataset/tier/version/FILE`` or ``dataset/partner/recipient/version/FILE``; the version may be
    ``latest``, and without a recipient, partner is the reader's own copy. FILE is a path that the
    manifest names, ``manifest.json``, ``release.json``, or the data, all their files in one, as
    ``data.parquet``, ``data.csv`` or ``data.xlsx``.
    """
    address, name = _split(path)
    release = service.find(visitor, address)
    how = "page" if visitor.on_page else "http"
    return send(request, service, visitor, release, name, how)


@router.get("/files/{path:path}", response_class=Response)
@router.head("/files/{path:path}", response_class=Response)
def granted_file(
    request: Request,
    service: ServiceOf,
    path: str,
    sealed: Annotated[str, Query(alias=SIGNATURE, max_length=2000)],
) -> Any:
    """A file behind a signed URL, which needs no token and works until it ends."""
    grant = service.signer.read(sealed, path)
    if grant is None:
        raise service.not_found(service.door.anybody(request), path)
    if expired(grant):
        raise Denied(403, "URL_EXPIRED", "the URL has expired: query the table again")
    visitor = service.door.granted(request, grant)
    address, name = _split(path)
    release = service.find(visitor, address)
    return service.send(request, visitor, release, name, "delta sharing", grant)


def send(
    request: Request, service: Service, visitor: Principal, release: Release, name: str, how: str
) -> Response:
    """A file of a release, or its data in another format."""
    form = name.rpartition(".")[2]
    if name not in ("data.parquet", "data.csv", "data.xlsx"):
        answer = service.send(request, visitor, release, name, how)
        if name == REPORT_HTML:
            answer.headers["content-security-policy"] = REPORT_POLICY
        return answer
    data = [each["path"] for each in data_entries(service.manifest(release))]
    as_name = f"{release.address.replace('/', '-')}.{form}"
    if form == "parquet" and len(data) == 1:
        return service.send(request, visitor, release, data[0], how, as_name=as_name)
    convert, kind = _CONVERTERS[form]
    if form == "xlsx":
        with ExitStack() as stack:
            files = [service.content(visitor, release, each).open() for each in data]
            if why := check_fits(*map(stack.enter_context, files)):
                raise Denied(406, "NOT_A_WORKBOOK", f"{why}: take data.csv or data.parquet")
    return service.convert(visitor, release, data, convert, kind, as_name, how)


_CONVERTERS: dict[str, tuple[Callable[..., Iterator[bytes]], str]] = {
    "parquet": (parquet_blocks, PARQUET),
    "csv": (csv_blocks, "text/csv; charset=utf-8"),
    "xlsx": (partial(xlsx_blocks, "data"), XLSX),
}


def _split(path: str) -> tuple[str, str]:
    """The address at the start of a path, and the file after it."""
    parts = path.split("/")
    for count in (3, 4):
        if len(parts) > count and (parts[count - 1] == LATEST or version_number(parts[count - 1])):
            return "/".join(parts[:count]), "/".join(parts[count:])
    return path, ""
