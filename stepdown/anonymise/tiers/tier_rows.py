"""Open the rows of a tier once, for its derivation and all that is asked beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from stepdown.anonymise.tiers.count_tier import CountedTier, asks_sensitive, count_tier
from stepdown.anonymise.tiers.eligible_rows import ENTERED
from stepdown.anonymise.tiers.prepare import Prepared, attach, prepare
from stepdown.anonymise.tiers.quasi_identifiers import Demand
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate, Earlier
from stepdown.config import TierPolicy, tier_policy
from stepdown.engine import Session
from stepdown.keyring import Keyring
from stepdown.opened import Source
from stepdown.vocabulary import Tier

_KEPT_ENTRIES = 300_000
"""Combinations of a count that is kept after the rows were closed; a larger one is made anew."""


class TierRows:
    """The rows that a tier is made from, opened when first needed, prepared and counted once.

    Not a dataclass: Prefect walks through every dataclass that a task is given.

    Args:
        source: the open snapshot.
        parent: the tier above; None for internal, which is made from the snapshot.
    """

    def __init__(self, source: Source, tier: Tier, parent: Candidate | None) -> None:
        self.source, self.tier, self.parent = source, tier, parent
        self.loaded, self.snapshot = source.loaded, source.snapshot
        self.policy = tier_policy(source.loaded.config, tier)
        self._stack = ExitStack()
        self._session: Session | None = None
        self._prepared: tuple[object, Prepared] | None = None
        self._demand: Demand | None = None
        self._counts: dict[object, CountedTier] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def above(self) -> ArtifactRef:
        """The file whose rows these are."""
        return self.parent.data if self.parent else self.snapshot

    @property
    def session(self) -> Session:
        """A session that sees the snapshot and the tier above."""
        if self._session is None:
            self._session = self._stack.enter_context(self.source.session.aside())
            attach(self._session, self.source, self.parent)
        return self._session

    def close(self) -> None:
        """Drop the rows; small counts are kept, and what else is asked opens them again."""
        self._stack.close()
        self._session = self._prepared = None
        self._counts = {
            key: counted
            for key, counted in self._counts.items()
            if counted.counted.base.entries <= _KEPT_ENTRIES
        }

    def prepare(
        self,
        keyring: Keyring,
        policy: TierPolicy | None = None,
        earlier: Sequence[Earlier] = (),
        remembered: ArtifactRef | None = None,
    ) -> Prepared:
        """Let the rows enter under a policy, by default the tier's own, and treat them.

        What is so already stays, unless rows were taken out since.

        Raises:
            as ``prepare.prepare`` does.
        """
        policy = policy or self.policy
        # Only where each version has a period of its own do earlier ones decide who enters.
        periods = [each.address for each in earlier] if policy.period == "increment" else []
        key = (policy.rows_per_subject, periods)
        if not self._is_prepared(key):
            made = prepare(
                self.session,
                self.loaded,
                policy,
                self.parent,
                keyring,
                demand=self._demand,
                earlier=earlier,
                now=self.source.check(remembered or self.snapshot) if earlier else None,
            )
            self._demand, self._prepared = made.demand, (key, made)
            return made
        assert self._prepared is not None
        return self._prepared[1]

    def _is_prepared(self, key: object) -> bool:
        if self._prepared is None or self._prepared[0] != key:
            return False
        made = self._prepared[1]
        # Beside earlier versions a derivation holds rows back: it deletes them from the table.
        held = self.session.scalar(f"SELECT count(*) FROM {ENTERED}")
        return held == made.entry.rows - made.lost_to_period

    def count(
        self, keyring: Keyring, policies: Sequence[TierPolicy], *, generalises: bool = True
    ) -> CountedTier | None:
        """Count the rows that enter under policies with one ``rows_per_subject``.

        Returns:
            None where there is no level to choose, or, unless ``generalises``, no quasi-identifier.
        """
        key = (policies[0].rows_per_subject, any(map(asks_sensitive, policies)))
        if key not in self._counts:
            made = self.prepare(keyring, policies[0])
            if not (made.demand.generalises if generalises else made.demand.columns):
                return None
            self._counts[key] = count_tier(self.session, self.loaded, self.tier, made, policies)
        return self._counts[key]
