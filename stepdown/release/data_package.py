"""The release's description for other tools, and what is read from the file itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig, tier_policy
from stepdown.errors import StoreCorrupt

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


def data_package(
    config: ReleaseConfig, candidate: Candidate, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    """Frictionless Data Package, version 2.

    Source: https://datapackage.org/standard/data-package/
    """
    names = [config.dataset, candidate.tier.value, *filter(None, [candidate.recipient])]
    path = Path(candidate.data.path)
    terms = licence(config, candidate)
    package: dict[str, Any] = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "-".join(names),
        "title": config.title,
        "contributors": [{"title": config.contact, "roles": ["contact"]}],
        "resources": [
            {
                "name": "data",
                "type": "table",
                "path": path.relative_to(candidate.path).as_posix(),
                "format": "parquet",
                "mediatype": "application/vnd.apache.parquet",
                "bytes": path.stat().st_size,
                "hash": f"sha256:{candidate.data.sha256}",
                "schema": {
                    "fields": [
                        {
                            "name": column["name"],
                            "type": _FRICTIONLESS[column["type"]],
                            "description": column["description"],
                        }
                        for column in columns
                    ]
                },
            }
        ],
    }
    if config.description:
        package["description"] = config.description
    if terms:
        fits = _LICENCE_NAME.fullmatch(terms)
        package["licenses"] = [{"name": terms if fits else "other", "title": terms}]
    return package


def licence(config: ReleaseConfig, candidate: Candidate) -> str | None:
    """What binds a reader: the recipient's agreement, else the tier's licence."""
    if candidate.recipient:
        return f"Agreement {config.recipients[candidate.recipient].agreement.reference}"
    return tier_policy(config, candidate.tier).licence


def file_schema(candidate: Candidate) -> list[dict[str, Any]]:
    """Name and type of every column, read from the file itself.

    Raises:
        StoreCorrupt: the file holds another number of rows than was written.
    """
    found = pq.read_metadata(candidate.data.path).num_rows
    if found != candidate.data.rows:
        raise StoreCorrupt(
            f"the file holds {found} rows, {candidate.data.rows} were written",
            where=candidate.data.path,
            next="Run the release again.",
        )
    schema = pq.read_schema(candidate.data.path)
    return [{"name": field.name, "type": str(field.type)} for field in schema]
