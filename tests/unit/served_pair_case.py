"""What a server answers of a source's releases, so that those of a pair can be held together."""

from __future__ import annotations

import asyncio
import json
import re

import httpx
from pair_case import RELEASES, Side
from partner_case import write_security_policy

from stepdown.release.ledger.ledger import open_ledger
from stepdown.sharing.app import make_app
from stepdown.sharing.readers.settings import Settings
from stepdown.sharing.readers.tokens import Terms, issue
from stepdown.sharing.server import make_service
from stepdown.sharing.service import Service

URL = "http://127.0.0.1:8765"
FILES = (
    "data/part-00000.parquet", "data.parquet", "data.csv", "data.xlsx", "manifest.json",
    "release.json", "report.html", "report.json", "datapackage.json", "croissant.json",
    "datacite.json", "dcat.jsonld", "lineage.parquet",
)  # fmt: skip
_KEY = re.compile(r"ed25519:[\w+/=]+")
_SEALED = re.compile(r"(?<=\.parquet\?)[^\"]+")
_ENDS = re.compile(r'"expirationTimestamp":\d+')


def answers(side: Side) -> dict[str, list[object]]:
    """Request → status, headers and body, as a stranger and the copy's recipient get them.

    Masked is what is signed: the publisher's key and signature, and signed URLs with their ends.
    Internal is left out: neither of the two may know of it.
    """
    write_security_policy(side.root)
    ledger = open_ledger(side.workspace)
    secret = issue(ledger, Terms("clinic", "2099-01-01T00:00:00+00:00"), "tester")[1]
    service = make_service(side.workspace, side.store.url, Settings(), URL)
    try:
        return asyncio.run(_ask(service, _requests(side), secret))
    finally:
        service.authority.close()
        service.log.close()


async def _ask(
    service: Service, asked: list[tuple[str, str]], secret: str
) -> dict[str, list[object]]:
    found = {}
    transport = httpx.ASGITransport(make_app(service))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        for who, headers in (("anybody", {}), ("clinic", {"Authorization": f"Bearer {secret}"})):
            for method, path in asked:
                body = b"{}" if method == "POST" else None
                answer = await client.request(method, path, headers=headers, content=body)
                found[f"{who}: {method} {path}"] = _masked(answer, path)
    return found


def _requests(side: Side) -> list[tuple[str, str]]:
    """Pages, files and tables of every version that was published, and of one that was not."""
    versions = ("latest", *(f"v{n}" for n in range(1, side.versions + 2)))
    asked = [("GET", "/"), ("GET", "/delta-sharing/shares")]
    for name in RELEASES:
        for version in versions:
            address = f"wells/{name}/{version}"
            asked.append(("GET", f"/datasets/{address}"))
            files = FILES if version == "latest" else ("data.csv", "manifest.json")
            asked += [("HEAD", f"/releases/{address}/{file}") for file in files]
    for share in ("public", "clinic", "internal"):
        schema = f"/delta-sharing/shares/{share}/schemas/wells/tables"
        asked.append(("GET", schema))
        for version in versions:
            asked += [("GET", f"{schema}/{version}/{what}") for what in ("version", "metadata")]
            asked.append(("POST", f"{schema}/{version}/query"))
    return asked


def _masked(answer: httpx.Response, path: str) -> list[object]:
    body, headers = _KEY.sub("KEY", answer.text), dict(answer.headers)
    if path.endswith("release.json"):
        headers.pop("etag", None)
    if path.endswith("query"):
        body = _SEALED.sub("SEALED", _ENDS.sub("ENDS", body))
    return [answer.status_code, json.dumps(sorted(headers.items())), body]
