"""Parse and write the address of a release: ``dataset/tier[/recipient]/version``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stepdown.errors import InputWrong
from stepdown.vocabulary import Tier

LATEST = "latest"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VERSION = re.compile(r"v[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Series:
    """All versions of one tier's file, or of one recipient's copy.

    Raises:
        InputWrong: a part could leave its folder or be taken for a version.
    """

    dataset: str
    tier: Tier
    recipient: str | None = None

    def __post_init__(self) -> None:
        check_name(self.dataset, "dataset")
        if self.recipient is not None:
            check_name(self.recipient, "recipient")
            if self.recipient in list(Tier):  # both name a share of the server
                raise InputWrong("is a tier's name and cannot be a recipient's", where=self.path)
            if self.tier is not Tier.PARTNER:
                raise InputWrong(
                    f"only partner has copies for recipients, not {self.tier}", where=self.path
                )

    @property
    def path(self) -> str:
        """Its folder in the store, and the start of its addresses."""
        parts = [self.dataset, self.tier.value, *([self.recipient] if self.recipient else [])]
        return "/".join(parts)


@dataclass(frozen=True)
class Address:
    """One version of a series; ``latest`` until the catalogue has looked it up."""

    series: Series
    version: str

    def __str__(self) -> str:
        return f"{self.series.path}/{self.version}"


def parse_address(text: str) -> Address:
    """The parts of an address.

    Raises:
        InputWrong: it is not an address.

    >>> str(parse_address("households/partner/who/v2"))
    'households/partner/who/v2'
    """
    parts = text.strip("/").split("/")
    tiers = [tier.value for tier in Tier]
    fits = len(parts) in (3, 4) and parts[1] in tiers
    if not fits or not (parts[-1] == LATEST or _VERSION.fullmatch(parts[-1])):
        raise InputWrong(
            "is not the address of a release",
            where=text[:200],
            next="Write dataset/tier/version or dataset/tier/recipient/version; "
            f"tiers: {', '.join(tiers)}; versions: v1, v2, …, {LATEST}.",
        )
    recipient = parts[2] if len(parts) == 4 else None
    return Address(Series(parts[0], Tier(parts[1]), recipient), parts[-1])


def check_name(name: str, what: str) -> None:
    """Refuse what is not a plain name, so that no address leads out of the store.

    Raises:
        InputWrong: the name has other characters, or is one that folders of the store use.
    """
    reserved = name == LATEST or _VERSION.fullmatch(name)
    if reserved or not _NAME.fullmatch(name):
        raise InputWrong(
            f"is not a name for a {what}",
            where=name[:80],
            next="Names start with a letter, have at most 63 of a-z 0-9 _ -, "
            "and do not look like a version.",
        )


def version_number(version: str) -> int:
    """``v12`` → 12; 0 for what is no version, so that a stray folder never counts."""
    return int(version[1:]) if _VERSION.fullmatch(version) else 0
