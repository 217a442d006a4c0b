"""Describe a release as a Frictionless Data Package, its columns read from the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig, tier_policy
from stepdown.config.licences import spdx_expression, spdx_url
from stepdown.errors import StoreCorrupt

PARQUET = "application/vnd.apache.parquet"
DOI = "https://doi.org/"
ORCID = "https://orcid.org/"
_LICENCE_NAME = re.compile(r"[-a-zA-Z0-9._]+")
_FRICTIONLESS = {
    "string": "string",
    "large_string": "string",
    "int64": "integer",
    "int32": "integer",
    "double": "number",
    "float": "number",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us]": "datetime",
    "timestamp[us, tz=UTC]": "datetime",
}
_MISSING = {"integer": ["", "nan"], "datetime": ["", "NaT"]}
"""What frictionless, which reads Parquet through pandas, sees where these have no value."""


def data_package(
    config: ReleaseConfig, candidate: Candidate, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    """Frictionless Data Package, version 2.

    Source: https://datapackage.org/standard/data-package/
    """
    names = [config.dataset, candidate.tier.value, *filter(None, [candidate.recipient])]
    terms, doi = licence(config, candidate), _doi(config, candidate)
    package: dict[str, Any] = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "-".join(names),
        "id": f"{DOI}{doi}" if doi else None,
        "title": config.title,
        "description": config.description or None,
        "keywords": config.keywords or None,
        "licenses": [_licence(terms)] if terms else None,
        "contributors": _contributors(config),
        "resources": [
            {
                "name": name,
                "type": "table",
                "path": Path(part.path).relative_to(candidate.path).as_posix(),
                "format": "parquet",
                "mediatype": PARQUET,
                # Without `bytes`: frictionless counts none in Parquet, and calls that a mistake.
                "hash": f"sha256:{part.sha256}",
                "schema": {"fields": [_field(column) for column in columns]},
            }
            for name, part in _named(candidate.data.files)
        ],
    }
    return _said(package)


def _named(parts: Sequence[ArtifactRef]) -> list[tuple[str, ArtifactRef]]:
    """A name for each data file: what reads a package reads each resource by itself."""
    return [("data" if len(parts) == 1 else f"data-{i}", part) for i, part in enumerate(parts)]


def _contributors(config: ReleaseConfig) -> list[dict[str, Any]]:
    """Who made, publishes and answers for the data; an organisation is named twice.

    An ``organization`` equal to the title is how the other metadata know that it is no person.
    """
    people = [
        _said(
            {
                "title": creator.name,
                "path": f"{ORCID}{creator.orcid}" if creator.orcid else None,
                "organization": creator.name if creator.kind == "organisation" else None,
                "roles": ["creator"],
            }
        )
        for creator in config.creators
    ]
    if config.publisher:
        people.append({"title": config.publisher, "roles": ["publisher"]})
    return [*people, {"title": config.contact, "roles": ["contact"]}]


def _licence(terms: str) -> dict[str, Any]:
    known = spdx_expression(terms) == terms and _LICENCE_NAME.fullmatch(terms)
    return _said({"name": terms if known else "other", "title": terms, "path": spdx_url(terms)})


def _field(column: dict[str, Any]) -> dict[str, Any]:
    kind = _FRICTIONLESS[column["type"]]
    return _said(
        {
            "name": column["name"],
            "type": kind,
            "description": column["description"] or None,
            "missingValues": _MISSING.get(kind),
        }
    )


def _doi(config: ReleaseConfig, candidate: Candidate) -> str | None:
    """The tier's; a recipient's copy is other data than what the DOI names."""
    rules = getattr(config.tiers, candidate.tier.value)
    return None if candidate.recipient else rules.doi


def _said(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def licence(config: ReleaseConfig, candidate: Candidate) -> str | None:
    """What binds a reader: the recipient's agreement, else the tier's licence."""
    if candidate.recipient:
        return f"Agreement {config.recipients[candidate.recipient].agreement.reference}"
    return tier_policy(config, candidate.tier).licence


def file_schema(candidate: Candidate) -> list[dict[str, Any]]:
    """Name and type of every column, read from the first data file itself.

    Raises:
        StoreCorrupt: a file holds another number of rows than was written.
    """
    for part in candidate.data.files:
        found = pq.read_metadata(part.path).num_rows
        if found != part.rows:
            raise StoreCorrupt(
                f"the file holds {found} rows, {part.rows} were written",
                where=part.path,
                next="Run the release again.",
            )
    schema = pq.read_schema(candidate.data.path)
    return [{"name": field.name, "type": str(field.type)} for field in schema]
