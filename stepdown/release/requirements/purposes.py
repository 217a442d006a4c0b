"""Check that a tier is released for what the data were collected for."""

from __future__ import annotations

from stepdown.config import ReleaseConfig
from stepdown.config.policy import tier_purpose
from stepdown.reports import Verdict
from stepdown.vocabulary import Tier


def collected_for(config: ReleaseConfig, tier: Tier) -> Verdict:
    """Whether the tier's purpose is among the dataset's.

    A dataset that states its purposes asks every tier for one of them; of one that states none,
    no tier may claim a purpose.

    Source: purpose limitation, Regulation (EU) 2016/679, article 5 (1) (b).
    """
    purpose, known = tier_purpose(config, tier), config.purposes
    holds = purpose in known if known or purpose else True
    collected = ", ".join(known) or "nothing that the config states"
    return Verdict(
        "purpose",
        holds,
        f"{tier} is released for {purpose or 'no stated purpose'}; the data were collected for "
        f"{collected}.",
        ""
        if holds
        else f"State tiers.{tier}.purpose, one of the dataset's purposes, or leave the tier out.",
    )
