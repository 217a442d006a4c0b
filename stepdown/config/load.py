"""Load a config from YAML and check it, with the line of every mistake."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown.config.assessment import higher, load_assessment
from stepdown.config.consent import Consents
from stepdown.config.consistency import check_consistency
from stepdown.config.models import ReleaseConfig
from stepdown.config.partners import PARTNERS, load_partners, recipients_of
from stepdown.config.yaml_file import read_document, validate
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import Tier

_NEXT = "docs/config.md lists every key; the JSON Schema lets an editor complete them."


@dataclass(frozen=True)
class LoadedConfig:
    """A config and the file it came from.

    Relative paths in the config are relative to ``folder``.

    Args:
        consents: what the consent register says today, as a run pinned it; None before it is read,
            and where the config has no register.
    """

    config: ReleaseConfig
    path: Path
    consents: Consents | None = None

    @property
    def folder(self) -> Path:
        return self.path.parent

    def resolve(self, relative: str) -> Path:
        """A path of the config as an absolute path."""
        return (self.folder / relative).resolve()


def load_config(path: str | Path) -> LoadedConfig:
    """Read and check a config.

    Raises:
        ConfigInvalid: as ``read_config`` does, or its parts do not fit together.
        PolicyInvalid: a tier is looser than its parent, or than its default without a reason.
    """
    loaded = read_config(path)
    check_consistency(loaded.config, loaded.path)
    return loaded


def read_config(path: str | Path) -> LoadedConfig:
    """Read a config without asking whether its parts fit together.

    Its sensitivity is the graver of its own and the risk assessment's, signed or not: a draft
    that fears more already tightens.

    Raises:
        ConfigInvalid: the file or a partner's is not there, is not YAML, or has keys or values
            that are not allowed; the message lists every one with its line.
    """
    path = Path(path).absolute()
    document = read_document(path, "config")
    if "recipients" in document:
        raise ConfigInvalid(
            "recipients: a partner is a file now",
            where=str(path),
            next=f"Write {PARTNERS}/NAME.yaml beside the config for each; "
            "docs/governance.md shows one.",
        )
    config = validate(document, ReleaseConfig, path, _NEXT)
    recipients = recipients_of(load_partners(path.parent), config.dataset)
    config = config.model_copy(update={"recipients": recipients})
    if assessed := load_assessment(path.parent, config.dataset):
        graver = higher(config.sensitivity, assessed.assessment.sensitivity)
        config = config.model_copy(update={"sensitivity": graver})
    return LoadedConfig(config, path)


def tier_hash(config: ReleaseConfig, tier: Tier, recipient: str | None = None) -> str:
    """SHA-256 of what the config says about a tier and those above it, however it is spelled.

    Of all columns, released or not: this hash is the ledger's, and is not published.
    What a config says about lower tiers, other recipients and the schedule cannot change a byte of
    this tier, so a change there asks nobody to sign it again; nor does an agreement's renewal.
    """
    below = [other.value for other in list(Tier)[list(Tier).index(tier) + 1 :]]
    facts = config.model_dump(
        mode="json", exclude_defaults=True, exclude={"schedule", "auxiliary", "retention"}
    )
    for column in facts["columns"].values():
        # What an intruder may hold decides whether a file is released, not what is in it.
        for name in (*below, "id_pattern"):
            column.pop(name, None)
    for name in below:
        facts.get("tiers", {}).pop(name, None)
    for name, rules in facts.get("tiers", {}).items():
        rules.pop("alternatives", None)  # what was only considered changes no byte
        if name != tier.value:
            rules.pop("keep_superseded", None)  # how long others are served is theirs to sign
    copies = facts.pop("recipients", {})
    own = _in_bytes(copies[recipient]) if recipient else None
    # Columns keep their order: it is the order of the released table.
    text = json.dumps([facts, own, list(config.columns)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def released_hash(
    config: ReleaseConfig, tier: Tier, columns: Sequence[str], recipient: str | None = None
) -> str:
    """SHA-256 of what the config says of released columns, and of the policy they are held to.

    This one is published: what the config says of other columns, of the source and of the consents
    is not in it, or a guess of it could be confirmed. ``tier_hash`` covers those too.

    Args:
        columns: those of the released file, in its order.
    """
    tiers = list(Tier)[: list(Tier).index(tier) + 1]
    facts = config.model_dump(mode="json", exclude_defaults=True, include=set(_ABOUT))
    rules = config.model_dump(mode="json", exclude_defaults=True, include={"tiers"})
    for name in tiers:
        told = rules.get("tiers", {}).get(name.value, {})
        facts[name.value] = {
            key: value
            for key, value in told.items()
            if key != "alternatives" and (name is tier or key != "keep_superseded")
        }
    below = {other.value for other in Tier} - {name.value for name in tiers}
    for released in columns:
        column = config.columns[released].model_dump(mode="json", exclude_defaults=True)
        facts[f"column {released}"] = {
            key: value for key, value in column.items() if key not in {*below, "id_pattern"}
        }
    copy = config.recipients[recipient].model_dump(mode="json") if recipient else None
    own = _in_bytes(copy) if copy else None
    text = json.dumps([facts, own, list(columns)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


_ABOUT = (
    "dataset",
    "title",
    "description",
    "contact",
    "creators",
    "publisher",
    "keywords",
    "sensitivity",
    "purposes",
)
"""What a config says of the dataset as a whole."""


def _in_bytes(agreed: dict[str, Any]) -> dict[str, Any]:
    """What of a recipient's terms is in their copy: its columns, and words of its report."""
    return {
        "columns": sorted(agreed["columns"]),
        "organisation": agreed["organisation"],
        "reference": agreed["agreement"]["reference"],
    }


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a config, for editors."""
    schema = ReleaseConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
