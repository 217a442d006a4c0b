"""Describe a release in DataCite's JSON: to register a DOI, and for reference managers."""

from __future__ import annotations

from typing import Any

from stepdown.release.documents.data_package import DOI, ORCID
from stepdown.release.documents.description import Agent, Description, Licence

SCHEMA = "http://datacite.org/schema/kernel-4"


def datacite(release: Description) -> dict[str, Any]:
    """DataCite metadata, version 4; without a DOI where the config names none.

    Source: https://schema.datacite.org/meta/kernel-4.5/
    """
    licence = release.licence
    facts = {
        "schemaVersion": SCHEMA,
        "doi": release.doi.removeprefix(DOI) if release.doi else None,
        "creators": [_creator(creator) for creator in release.creators],
        "titles": [{"title": release.title}],
        "publisher": {"name": release.publisher.name},
        "publicationYear": release.day[:4],
        "types": {"resourceType": "Dataset", "resourceTypeGeneral": "Dataset"},
        "subjects": [{"subject": word} for word in release.keywords] or None,
        "contributors": [{"contributorType": "ContactPerson", "name": release.contact}],
        "dates": [{"date": release.day, "dateType": "Issued"}],
        "version": str(release.version),
        "alternateIdentifiers": [
            {"alternateIdentifier": release.address, "alternateIdentifierType": "Local"}
        ],
        "rightsList": [_rights(licence)] if licence else None,
        "descriptions": [{"description": release.description, "descriptionType": "Abstract"}]
        if release.description
        else None,
        "sizes": [f"{sum(data.size for data in release.data)} B"],
        "formats": [release.data[0].media_type],
    }
    return {name: value for name, value in facts.items() if value is not None}


def _creator(agent: Agent) -> dict[str, Any]:
    kind = "Personal" if agent.is_person else "Organizational"
    if not agent.orcid:
        return {"name": agent.name, "nameType": kind}
    orcid = {
        "nameIdentifier": agent.orcid,
        "nameIdentifierScheme": "ORCID",
        "schemeUri": ORCID.rstrip("/"),
    }
    return {"name": agent.name, "nameType": kind, "nameIdentifiers": [orcid]}


def _rights(licence: Licence) -> dict[str, str]:
    if not licence.url:
        return {"rights": licence.text}
    return {
        "rights": licence.text,
        "rightsUri": licence.url,
        "rightsIdentifier": licence.text,
        "rightsIdentifierScheme": "SPDX",
        "schemeUri": "https://spdx.org/licenses/",
    }
