"""Describe a release in Croissant 1.0, which machine-learning tools load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from stepdown.release.documents.description import Agent, DataFile, Description

RECORDS = "records"

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification asks for, whole: readers compare it with theirs."""

_TYPES = {
    "string": "sc:Text",
    "integer": "sc:Integer",
    "number": "sc:Float",
    "boolean": "sc:Boolean",
    "date": "sc:Date",
    "datetime": "sc:DateTime",
}
"""Types of the data package → Croissant's."""

_PARQUET = "application/x-parquet"
"""Croissant's own name for it; its readers know no other."""


def croissant(release: Description) -> dict[str, Any]:
    """A Croissant dataset: one file, and one record set that reads its columns.

    Source: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html
    """
    licence = release.licence
    facts = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": release.title,
        "alternateName": release.name,
        "description": release.description or release.title,
        "url": release.doi or "./",
        "license": (licence.url or licence.text) if licence else None,
        "creator": [_agent(creator) for creator in release.creators],
        "publisher": _agent(release.publisher),
        "keywords": list(release.keywords) or None,
        # Croissant asks for three numbers; a release has one.
        "version": f"{release.version}.0.0",
        "datePublished": release.day,
        "citeAs": release.citation,
        "distribution": [*map(_file, release.data), *_together(release.data)],
        "recordSet": [
            {
                "@id": RECORDS,
                "@type": "cr:RecordSet",
                "name": RECORDS,
                "field": [_field(release.data, field) for field in release.data[0].fields],
            }
        ],
    }
    return {name: value for name, value in facts.items() if value is not None}


def _file(data: DataFile) -> dict[str, str]:
    return {
        "@id": data.path,
        "@type": "cr:FileObject",
        "name": data.path,
        "contentUrl": data.path,
        "contentSize": f"{data.size} B",
        "encodingFormat": _PARQUET,
        "sha256": data.sha256,
    }


def _together(data: Sequence[DataFile]) -> list[dict[str, str]]:
    """Several files as the one table that they are."""
    if len(data) == 1:
        return []
    facts = {"name": "data", "includes": "data/*.parquet", "encodingFormat": _PARQUET}
    return [{"@id": "data", "@type": "cr:FileSet", **facts}]


def _field(data: Sequence[DataFile], field: Mapping[str, str]) -> dict[str, Any]:
    source = {"fileObject": {"@id": data[0].path}}
    if len(data) > 1:
        source = {"fileSet": {"@id": "data"}}
    told = {"description": field["description"]} if field.get("description") else {}
    return {
        # An address may hold neither spaces nor what else stands in a column's name.
        "@id": f"{RECORDS}/{quote(field['name'], safe='')}",
        "@type": "cr:Field",
        "name": field["name"],
        "dataType": _TYPES[field["type"]],
        "source": {**source, "extract": {"column": field["name"]}},
    } | told


def _agent(agent: Agent) -> dict[str, str]:
    kind = "sc:Person" if agent.is_person else "sc:Organization"
    return {"@type": kind, "name": agent.name} | ({"url": agent.orcid} if agent.orcid else {})
