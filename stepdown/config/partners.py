"""Load who gets a copy and on what terms: one file per recipient, ``partners/NAME.yaml``."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import Field

from stepdown.config.models import Agreement, Name, Reason, Recipient
from stepdown.config.treatments import Model
from stepdown.config.yaml_file import load_model
from stepdown.errors import ConfigInvalid

PARTNERS = "partners"
_NEXT = "docs/config.md lists every key of a partner's file; docs/governance.md shows one."


class Agreed(Model):
    """What a partner may have of one dataset."""

    columns: list[str] = Field(min_length=1, description="The columns they agreed to, at most.")
    purposes: list[Reason] = Field(
        [], description="What they may use it for; none listed leaves it to the agreement's text."
    )


class Partner(Model):
    """An organisation that gets copies, and what binds it."""

    recipient: Name = Field(description="Name in addresses and paths; the file's own name.")
    organisation: Reason = Field(description="Who they are.")
    contact: Reason = Field(description="Whom to reach there: notices go to it.")
    agreement: Agreement = Field(description="What binds them.")
    datasets: dict[Name, Agreed] = Field(
        min_length=1, description="Dataset → what they may have of it."
    )
    onward_sharing: Literal["none", "with our consent", "under the same terms"] = Field(
        "none", description="Whether they may pass it on."
    )
    retention_days: int = Field(
        ge=0, description="Days after the agreement's end by which they must have deleted it."
    )

    def as_recipient(self, dataset: str) -> Recipient:
        """What they agreed to for one dataset."""
        agreed = self.datasets[dataset]
        return Recipient(
            organisation=self.organisation,
            contact=self.contact,
            agreement=self.agreement,
            columns=agreed.columns,
            purposes=agreed.purposes,
            onward_sharing=self.onward_sharing,
            retention_days=self.retention_days,
        )


def load_partners(folder: Path) -> dict[str, Partner]:
    """Every partner that a folder of configs has a file of, by name.

    Raises:
        ConfigInvalid: a file has keys or values that are not allowed, is not named after its
            recipient, is the second of a recipient or of an agreement, or names a document whose
            bytes are not those that were signed.
    """
    place = folder / PARTNERS
    if not place.exists():
        return {}
    if not place.is_dir():
        raise ConfigInvalid("is not a folder", where=str(place), next="Put one file per partner.")
    files = sorted(path for path in place.iterdir() if path.suffix.lower() in (".yaml", ".yml"))
    found = {path: load_model(path, Partner, "partner's file", _NEXT) for path in files}
    _one_file_each(place, found)
    for path, partner in found.items():
        _is_named_after_recipient(path, partner)
        _is_the_signed_document(path, partner.agreement)
    return {partner.recipient: partner for partner in found.values()}


def recipients_of(partners: dict[str, Partner], dataset: str) -> dict[str, Recipient]:
    """The partners who agreed on a dataset, as its config holds them."""
    return {
        name: partner.as_recipient(dataset)
        for name, partner in partners.items()
        if dataset in partner.datasets
    }


def _one_file_each(place: Path, found: dict[Path, Partner]) -> None:
    for what, names in (
        ("recipient", {path: partner.recipient for path, partner in found.items()}),
        ("organisation under one agreement", {p: _bound(found[p]) for p in found}),
    ):
        for name, times in Counter(names.values()).items():
            if times > 1:
                twins = ", ".join(path.name for path in found if names[path] == name)
                raise ConfigInvalid(
                    f"two files for one {what}: {twins}",
                    where=str(place),
                    next="Keep the one that is in force, and move the other out of the folder.",
                )


def _bound(partner: Partner) -> str:
    return " | ".join(
        " ".join(text.casefold().split())
        for text in (partner.organisation, partner.agreement.reference)
    )


def _is_named_after_recipient(path: Path, partner: Partner) -> None:
    if path.stem != partner.recipient:
        raise ConfigInvalid(
            f"is the file of {partner.recipient}, and has another name",
            where=str(path),
            next=f"Rename it to {partner.recipient}.yaml, or correct its `recipient:`.",
        )


def _is_the_signed_document(path: Path, agreement: Agreement) -> None:
    if agreement.document is None:
        return
    document = path.parent / agreement.document
    try:
        found = hashlib.sha256(document.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigInvalid(
            f"agreement.document cannot be read ({error.strerror or type(error).__name__})",
            where=str(path),
            next="Give its path relative to this file, or leave the key out.",
        ) from None
    if found != agreement.document_sha256:
        raise ConfigInvalid(
            "the agreement's document has not the SHA-256 that document_sha256 says",
            where=str(path),
            next="Find out which of the two changed; the hash is of what both parties signed.",
        )
