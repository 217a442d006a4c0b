"""Describe a release in DCAT 3 as JSON-LD, which catalogues and portals harvest."""

from __future__ import annotations

import re
from typing import Any

from stepdown.release.documents.description import Agent, DataFile, Description, Licence
from stepdown.vocabulary import Tier

ACCESS = {
    Tier.INTERNAL: "NON_PUBLIC",
    Tier.PARTNER: "RESTRICTED",
    Tier.PUBLIC: "PUBLIC",
}
"""Source: https://publications.europa.eu/resource/authority/access-right"""

_RIGHTS = "http://publications.europa.eu/resource/authority/access-right/"
_MEDIA = "https://www.iana.org/assignments/media-types/"
_MAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+")


def _iri(term: str) -> dict[str, str]:
    return {"@id": term, "@type": "@id"}


def _typed(term: str, datatype: str) -> dict[str, str]:
    return {"@id": term, "@type": datatype}


_CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "title": "dct:title",
    "description": "dct:description",
    "identifier": "dct:identifier",
    "citation": "dct:bibliographicCitation",
    "issued": _typed("dct:issued", "xsd:dateTime"),
    "version": "dcat:version",
    "keyword": "dcat:keyword",
    "creator": "dct:creator",
    "publisher": "dct:publisher",
    "name": "foaf:name",
    "contactPoint": "dcat:contactPoint",
    "fn": "vcard:fn",
    "hasEmail": _iri("vcard:hasEmail"),
    "license": _iri("dct:license"),
    "rights": "dct:rights",
    "label": "rdfs:label",
    "accessRights": _iri("dct:accessRights"),
    "page": _iri("foaf:page"),
    "distribution": "dcat:distribution",
    "accessURL": _iri("dcat:accessURL"),
    "downloadURL": _iri("dcat:downloadURL"),
    "mediaType": _iri("dcat:mediaType"),
    "byteSize": _typed("dcat:byteSize", "xsd:nonNegativeInteger"),
    "conformsTo": _iri("dct:conformsTo"),
    "checksum": "spdx:checksum",
    "algorithm": _iri("spdx:algorithm"),
    "checksumValue": _typed("spdx:checksumValue", "xsd:hexBinary"),
}
"""Written out, so that the file can be read without a network."""


def dcat(release: Description, report: str) -> dict[str, Any]:
    """A ``dcat:Dataset`` with one distribution; addresses are relative to the release's folder.

    Source: https://www.w3.org/TR/vocab-dcat-3/

    Args:
        report: file name of the report for people.
    """
    terms = _terms(release.licence)
    facts = {
        "@context": _CONTEXT,
        "@id": "./",
        "@type": "dcat:Dataset",
        "title": release.title,
        "description": release.description or release.title,
        "identifier": [release.doi, release.address] if release.doi else release.address,
        "citation": release.citation,
        "issued": release.published_at,
        "version": str(release.version),
        "keyword": list(release.keywords) or None,
        "creator": [_agent(creator) for creator in release.creators],
        "publisher": _agent(release.publisher),
        "contactPoint": _contact(release.contact),
        "accessRights": f"{_RIGHTS}{ACCESS[release.tier]}",
        "page": report,
        "distribution": [_distribution(release, data) | terms for data in release.data],
    }
    return {name: value for name, value in facts.items() if value is not None} | terms


def _distribution(release: Description, data: DataFile) -> dict[str, Any]:
    return {
        "@id": data.path,
        "@type": "dcat:Distribution",
        "title": release.title,
        "accessURL": "./",
        "downloadURL": data.path,
        "mediaType": f"{_MEDIA}{data.media_type}",
        "byteSize": str(data.size),
        "conformsTo": "https://parquet.apache.org/docs/file-format/",
        "checksum": {
            "@type": "spdx:Checksum",
            "algorithm": "spdx:checksumAlgorithm_sha256",
            "checksumValue": data.sha256,
        },
    }


def _agent(agent: Agent) -> dict[str, str]:
    kind = "foaf:Person" if agent.is_person else "foaf:Organization"
    return {"@type": kind, "name": agent.name} | ({"@id": agent.orcid} if agent.orcid else {})


def _contact(contact: str) -> dict[str, str]:
    mail = {"hasEmail": f"mailto:{contact}"} if _MAIL.fullmatch(contact) else {}
    return {"@type": "vcard:Kind", "fn": contact} | mail


def _terms(licence: Licence | None) -> dict[str, Any]:
    """A licence by its page; one that has no page, and an agreement, by name."""
    if licence is None:
        return {}
    if licence.url:
        return {"license": licence.url}
    if licence.is_spdx:
        return {"license": {"@type": "dct:LicenseDocument", "label": licence.text}}
    return {"rights": {"@type": "dct:RightsStatement", "label": licence.text}}
