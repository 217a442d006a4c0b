"""What a run ended in, tier by tier; written to the workspace so that any process can read it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stepdown.artifacts import canonical_json, write_durably

STOPPED = ("refused", "rejected")


@dataclass(frozen=True)
class TierOutcome:
    """One tier or copy after a run (or as it would be, after a plan).

    Args:
        state: a release state, `unchanged`, or `would_publish`, `would_wait`, `would_refuse`.
        release: its address, where it has one.
        dropped: column → why it is not in the release.
        reasons: what refused it, or what it waits for.
    """

    state: str
    release: str | None
    rows: int | None
    columns: tuple[str, ...] = ()
    smallest_class: int | None = None
    highest_risk: float | None = None
    loss: float | None = None
    suppressed: int = 0
    dropped: dict[str, str] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    path: str | None = None

    @property
    def stopped(self) -> bool:
        return self.state in STOPPED or self.state == "would_refuse"


@dataclass(frozen=True)
class RunOutcome:
    """Every tier of one run, and the recipients' copies."""

    dataset: str
    run: str
    tiers: dict[str, TierOutcome]
    recipients: dict[str, TierOutcome] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """1 where a gate or a person stopped a release, else 0."""
        ends = [*self.tiers.values(), *self.recipients.values()]
        return 1 if any(end.stopped for end in ends) else 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def save(self, folder: Path) -> None:
        """Write ``<run>.json`` into a folder."""
        write_durably(folder / f"{self.run}.json", canonical_json(self.as_json()))


def load_outcome(path: Path) -> RunOutcome:
    """Read back what ``save`` wrote."""
    facts = json.loads(path.read_text(encoding="utf-8"))
    return RunOutcome(
        dataset=facts["dataset"],
        run=facts["run"],
        tiers={name: _tier(end) for name, end in facts["tiers"].items()},
        recipients={name: _tier(end) for name, end in facts["recipients"].items()},
    )


def _tier(facts: dict[str, Any]) -> TierOutcome:
    lists = {key: tuple(facts[key]) for key in ("columns", "reasons")}
    return TierOutcome(**(facts | lists))
