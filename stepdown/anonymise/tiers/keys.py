"""Name the keys of the keyring that a dataset's releases need."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count

from stepdown.anonymise.tiers.earlier_versions import DRAWS
from stepdown.anonymise.tiers.source_tokens import MEMORY
from stepdown.anonymise.tiers.subjects import SUBJECTS
from stepdown.config import ReleaseConfig, tier_policy, treatment_of
from stepdown.config.treatments import Surrogate
from stepdown.keyring import key_name
from stepdown.vocabulary import Tier


def keys_needed(config: ReleaseConfig, shredded: Collection[str] = ()) -> list[str]:
    """Names of the keys that a run of all declared tiers uses.

    Args:
        shredded: names that can never be used again; the next number takes their place.
    """
    owners = [
        (MEMORY, None),
        *([(DRAWS, None)] if _draws(config) else []),
        *([(SUBJECTS, None)] if config.consent else []),
        *((tier.value, None) for tier in config.tier_names() if _uses(config, tier)),
        *((Tier.PARTNER.value, name) for name in config.recipients if own_pseudonyms(config, name)),
    ]
    return [next_name(config.dataset, *owner, shredded) for owner in owners]


def next_name(dataset: str, tier: str, recipient: str | None, shredded: Collection[str]) -> str:
    """The first name of a tier's or recipient's keys that was not shredded."""
    names = (key_name(dataset, tier, recipient, number) for number in count(1))
    return next(name for name in names if name not in shredded)


def own_pseudonyms(config: ReleaseConfig, recipient: str) -> list[str]:
    """Columns of a recipient's copy that hold pseudonyms under their own key, in source order."""
    agreed = config.recipients[recipient].columns
    return [
        name
        for name in config.columns
        if name in agreed and treatment_of(config, name, Tier.PARTNER) == "pseudonym"
    ]


def _draws(config: ReleaseConfig) -> bool:
    """Whether anybody may be held back, and others with them."""
    policies = [tier_policy(config, tier) for tier in config.tier_names() if tier.parent]
    return any(policy.hold_back and policy.period == "whole" for policy in policies)


def _uses(config: ReleaseConfig, tier: Tier) -> bool:
    if tier_policy(config, tier).rows_per_subject:
        return True
    # Below internal a pseudonym is either a recipient's own or forbidden.
    treatments = [treatment_of(config, name, tier) for name in config.columns]
    return tier is Tier.INTERNAL and any(
        treatment == "pseudonym" or isinstance(treatment, Surrogate) for treatment in treatments
    )
