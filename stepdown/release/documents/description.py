"""Read what a published release says of itself, once, for every format that describes it.

Three documents go in, and nothing else: its ``datapackage.json``, which the gate judged for
withheld identifiers, its manifest, which has sizes, and its release document, which has the version
and the day. No text of the config can reach a reader past the judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepdown.config.licences import spdx_expression
from stepdown.release.ledger.addresses import version_number
from stepdown.vocabulary import Tier


@dataclass(frozen=True)
class Agent:
    """A person or an organisation.

    Args:
        orcid: URL of a person's ORCID iD.
    """

    name: str
    is_person: bool
    orcid: str | None = None


@dataclass(frozen=True)
class Licence:
    """What binds a reader: an SPDX licence, an agreement, or terms by name.

    Args:
        is_spdx: the text is an SPDX id or expression.
        url: page of the licence, where it is one that SPDX lists.
    """

    text: str
    is_spdx: bool
    url: str | None


@dataclass(frozen=True)
class DataFile:
    """A data file: path in the release, size in bytes, columns as the data package has them."""

    path: str
    size: int
    sha256: str
    media_type: str
    fields: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Description:
    """Everything that DCAT, Croissant and DataCite have in common.

    Args:
        name: dataset, tier and recipient, joined by hyphens.
        address: of the release, with its version.
        published_at: ISO 8601 with time zone.
        doi: as a URL.
    """

    name: str
    address: str
    version: int
    tier: Tier
    published_at: str
    title: str
    description: str | None
    keywords: tuple[str, ...]
    creators: tuple[Agent, ...]
    publisher: Agent
    contact: str
    licence: Licence | None
    doi: str | None
    data: tuple[DataFile, ...]

    @property
    def day(self) -> str:
        return self.published_at[:10]

    @property
    def citation(self) -> str:
        """One line: who, when, what, which version, from whom, where.

        Source: DataCite's recommended form, https://schema.datacite.org/meta/kernel-4.5/
        """
        names = "; ".join(creator.name for creator in self.creators)
        parts = [f"{names} ({self.day[:4]})", self.title, f"Version {self.version}"]
        if names != self.publisher.name:
            parts.append(self.publisher.name)
        parts.append(self.doi or self.address)
        return ". ".join(" ".join(part.split()).rstrip(".") for part in parts)


def describe(
    package: Mapping[str, Any], manifest: Mapping[str, Any], document: Mapping[str, Any]
) -> Description:
    """Read a release's description from its data package, manifest and release document."""
    listed = {entry["path"]: entry for entry in manifest["files"]}
    contact = _with_role(package, "contact")[0].name
    publisher = (*_with_role(package, "publisher"), Agent(contact, is_person=False))[0]
    return Description(
        name=package["name"],
        address=document["release"],
        version=version_number(document["version"]),
        tier=Tier(document["tier"]),
        published_at=document["published_at"],
        title=package["title"],
        description=package.get("description"),
        keywords=tuple(package.get("keywords", ())),
        creators=_with_role(package, "creator") or (publisher,),
        publisher=publisher,
        contact=contact,
        licence=_licence(package),
        doi=package.get("id"),
        data=tuple(
            DataFile(
                path=resource["path"],
                size=listed[resource["path"]]["bytes"],
                sha256=listed[resource["path"]]["sha256"],
                media_type=resource["mediatype"],
                fields=tuple(resource["schema"]["fields"]),
            )
            for resource in package["resources"]
        ),
    )


def _with_role(package: Mapping[str, Any], role: str) -> tuple[Agent, ...]:
    return tuple(
        Agent(
            each["title"],
            is_person=role == "creator" and each.get("organization") != each["title"],
            orcid=each.get("path"),
        )
        for each in package["contributors"]
        if role in each["roles"]
    )


def _licence(package: Mapping[str, Any]) -> Licence | None:
    for each in package.get("licenses", ()):
        is_spdx = each["title"] == spdx_expression(each["title"])
        return Licence(each["title"], is_spdx, each.get("path"))
    return None
