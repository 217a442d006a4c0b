"""Load a dataset's release config, and the policy it gives each tier."""

from stepdown.config.load import LoadedConfig, json_schema, load_config, released_hash, tier_hash
from stepdown.config.models import ReleaseConfig
from stepdown.config.policy import (
    TierPolicy,
    alternative_policies,
    released_columns,
    released_with_role,
    tier_policy,
    treatment_of,
)

__all__ = [
    "LoadedConfig",
    "ReleaseConfig",
    "TierPolicy",
    "alternative_policies",
    "json_schema",
    "load_config",
    "released_columns",
    "released_hash",
    "released_with_role",
    "tier_hash",
    "tier_policy",
    "treatment_of",
]
