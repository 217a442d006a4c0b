"""Which keys of the keyring a dataset's releases need."""

from __future__ import annotations

from stepdown.anonymise.subjects import SUBJECTS
from stepdown.config import ReleaseConfig, tier_policy, treatment_of
from stepdown.config.treatments import Surrogate
from stepdown.keyring import key_name
from stepdown.vocabulary import Tier


def keys_needed(config: ReleaseConfig) -> list[str]:
    """Names of the keys that a run of all declared tiers uses: subjects, tiers, recipients."""
    subjects = [key_name(config.dataset, SUBJECTS)] if config.consent else []
    tiers = [key_name(config.dataset, tier) for tier in config.tier_names() if _uses(config, tier)]
    return (
        subjects
        + tiers
        + [
            key_name(config.dataset, Tier.PARTNER, recipient)
            for recipient in config.recipients
            if own_pseudonyms(config, recipient)
        ]
    )


def own_pseudonyms(config: ReleaseConfig, recipient: str) -> list[str]:
    """Columns of a recipient's copy that hold pseudonyms under their own key, in source order."""
    agreed = config.recipients[recipient].columns
    return [
        name
        for name in config.columns
        if name in agreed and treatment_of(config, name, Tier.PARTNER) == "pseudonym"
    ]


def _uses(config: ReleaseConfig, tier: Tier) -> bool:
    if tier_policy(config, tier).rows_per_subject:
        return True
    # Below internal a pseudonym is either a recipient's own or forbidden.
    treatments = [treatment_of(config, name, tier) for name in config.columns]
    return tier is Tier.INTERNAL and any(
        treatment == "pseudonym" or isinstance(treatment, Surrogate) for treatment in treatments
    )
