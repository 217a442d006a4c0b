"""Gather what a page shows one reader of releases, from ledger, manifest and metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepdown.release.documents.documents import DATAPACKAGE, REPORT_HTML
from stepdown.release.documents.manifest import MANIFEST, data_entries
from stepdown.release.ledger.addresses import LATEST, version_number
from stepdown.release.ledger.records import Release
from stepdown.release.publishing.commit import RELEASE
from stepdown.release.reading.access import OUTSIDE, Access
from stepdown.sharing.files.xlsx_stream import MOST_ROWS
from stepdown.sharing.readers.access_cache import is_live
from stepdown.sharing.readers.http_errors import Denied
from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.routes.delta import share_of
from stepdown.sharing.service import Service
from stepdown.vocabulary import ReleaseState, Tier

_TIERS = list(reversed(Tier))
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "date": "date",
    "datetime": "date and time",
}
_FORMS = {"data.parquet": "Parquet", "data.csv": "CSV", "data.xlsx": "Excel"}


@dataclass(frozen=True)
class Entry:
    """A release in the catalogue.

    Args:
        link: path of its page. binds: its licence or agreement. flags: what a reader must know.
    """

    release: Release
    link: str
    binds: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A dataset in the catalogue, described by its most open release."""

    name: str
    title: str
    description: str
    entries: list[Entry]


@dataclass(frozen=True)
class Version:
    """A line of a release's history.

    Args:
        link: path of its page; empty where the visitor may not have it.
        why: why not; for a withdrawn public release the reason.
    """

    release: Release
    link: str
    why: str
    is_shown: bool


def catalogue(service: Service, visitor: Principal) -> list[Dataset]:
    """Every dataset that holds something for them, by name."""
    named: dict[str, list[Release]] = {}
    for release in service.served(visitor):
        named.setdefault(release.dataset, []).append(release)
    found = []
    for name, releases in sorted(named.items()):
        ordered = sorted(releases, key=_place)
        package = _package(service, visitor, ordered[0])
        entries = [_entry(service, visitor, release) for release in ordered]
        title = ordered[0].terms["title"]
        found.append(Dataset(name, title, str(package.get("description") or ""), entries))
    return found


def release_facts(service: Service, visitor: Principal, release: Release) -> dict[str, Any]:
    """Everything that the page of a release shows.

    Raises:
        Denied: it cannot be had just now.
    """
    manifest, document = service.manifest(release), service.document(release)
    package = _package(service, visitor, release)
    data = data_entries(manifest)
    whole = f"/releases/{release.address}"
    return {
        "entry": _entry(service, visitor, release),
        "release": release,
        "document": document,
        "description": str(package.get("description") or ""),
        "keywords": package.get("keywords") or [],
        "as_of": manifest["as_of"],
        "columns": _columns(manifest, package),
        "downloads": [
            {"name": words, "link": f"{whole}/{name}"}
            for name, words in _FORMS.items()
            if name != "data.xlsx" or manifest["rows"] <= MOST_ROWS
        ],
        "data_bytes": sum(file["bytes"] for file in data),
        "files": _files(whole, manifest, document),
        "report": f"{whole}/{REPORT_HTML}",
        "versions": versions(service, visitor, release),
        "data_files": len(data),
        "snippets": _snippets(service, release, [file["path"] for file in data]),
    }


def versions(service: Service, visitor: Principal, release: Release) -> list[Version]:
    """Every version of a release's series that the visitor may know of, the newest first."""
    picture = service.authority.now()
    found = []
    for each in picture.releases:
        if each.series == release.series:
            access = picture.access(each, visitor)
            if access.answer != OUTSIDE:
                link = page_of(each) if access.allowed else ""
                found.append(Version(each, link, _why(each, access), each.id == release.id))
    return sorted(found, key=lambda v: -version_number(v.release.version or ""))


def page_of(release: Release) -> str:
    """Path of a release's page."""
    return f"/datasets/{release.address}"


def _place(release: Release) -> tuple[int, str, int]:
    number = version_number(release.version or "")
    return _TIERS.index(release.tier), release.recipient or "", -number


def _entry(service: Service, visitor: Principal, release: Release) -> Entry:
    flags = service.authority.last.access(release, visitor).flags
    binds = release.terms["licence"] or "not stated"
    return Entry(release, page_of(release), binds, tuple(flags))


def _why(release: Release, access: Access) -> str:
    if release.state is ReleaseState.WITHDRAWN and release.tier is Tier.PUBLIC:
        return f"withdrawn: {release.terms['withdrawn']['reason']}"
    return access.answer


def _package(service: Service, visitor: Principal, release: Release) -> dict[str, Any]:
    try:
        with service.content(visitor, release, DATAPACKAGE).open() as file:
            return dict(json.loads(file.read()))
    except Denied:  # it is being taken down at this moment
        return {}


def _columns(manifest: Mapping[str, Any], package: Mapping[str, Any]) -> list[dict[str, str]]:
    fields = {
        field["name"]: field
        for resource in package.get("resources", ())
        for field in resource["schema"]["fields"]
    }
    return [
        {
            "name": column["name"],
            "type": _WORDS.get(fields.get(column["name"], {}).get("type", ""), column["type"]),
            "exactly": column["type"],
            "description": fields.get(column["name"], {}).get("description", ""),
        }
        for column in manifest["columns"]
    ]


def _files(
    whole: str, manifest: Mapping[str, Any], document: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Every file, its link, and the hash to hold it against."""
    listed = [(file["path"], file["sha256"]) for file in manifest["files"]]
    listed += sorted((document.get("metadata") or {}).items())
    listed += [(MANIFEST, document["manifest_sha256"]), (RELEASE, "")]
    return [{"name": n, "link": f"{whole}/{n}", "sha256": sha256} for n, sha256 in listed]


def _snippets(service: Service, release: Release, data: list[str]) -> list[dict[str, str]]:
    folder = f"{service.public_url}/releases/{release.address}"
    url = f"{folder}/data.parquet"
    # What is joined while it is sent has no ranges, and DuckDB reads by ranges.
    named = ",\n".join(f"  '{folder}/{name}'" for name in data)
    duckdb = (
        f"FROM read_parquet([\n{named}\n]);\n" if data[1:] else f"FROM read_parquet('{url}');\n"
    )
    version = LATEST if is_live(release) else release.version
    table = f"{share_of(release)}.{release.dataset}.{version}"
    delta = (
        "# pip install delta-sharing\n"
        "import delta_sharing\n\n"
        f'table = "profile.share#{table}"\n'
        "frame = delta_sharing.load_as_pandas(table)\n"
    )
    if release.tier is Tier.PUBLIC:
        pandas = f'import pandas as pd\n\nurl = "{url}"\nframe = pd.read_parquet(url)\n'
        curl = f"curl -fOJ {url}\n"
        return [
            {"name": "pandas", "code": pandas},
            {"name": "DuckDB", "code": duckdb},
            {"name": "curl", "code": curl},
            {"name": "pandas, Spark, R or Power BI with a profile file", "code": delta},
        ]
    duckdb = (
        "CREATE SECRET releases (\n"
        f"  TYPE http, BEARER_TOKEN 'YOUR TOKEN', SCOPE '{service.public_url}'\n);\n{duckdb}"
    )
    curl = f'curl -fOJ -H "Authorization: Bearer $TOKEN" \\\n  {url}\n'
    return [
        {"name": "pandas", "code": delta},
        {"name": "DuckDB", "code": duckdb},
        {"name": "curl", "code": curl},
    ]
