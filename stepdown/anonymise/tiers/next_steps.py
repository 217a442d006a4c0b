"""Find single changes of its config that would let a refused tier pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from stepdown.anonymise.lattice.best_node import BestNode, Counted
from stepdown.anonymise.lattice.feasibility import judge
from stepdown.anonymise.tiers.count_tier import CountedTier, is_small_enough
from stepdown.anonymise.tiers.quasi_identifiers import privacy_models
from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.config import TierPolicy
from stepdown.keyring import Keyring
from stepdown.reports import NextStep, stable
from stepdown.vocabulary import Tier

MOST_STEPS = 3
MOST_SEARCHES = 20
_SLACK = 1e-9


def next_steps(rows: TierRows, keyring: Keyring) -> tuple[NextStep, ...]:
    """The cheapest single changes with which the tier would pass, the cheapest first.

    Tried are: more suppressed records, a higher ``at_most`` of a column, and no column of that
    name. A smaller k is never proposed. They are ranked by information loss, in which a dropped
    column counts as wholly lost, so that dropping it does not look cheaper than its top level;
    where it is the loss that refuses the tier, by what the loss of the released columns would be,
    and if no single change is enough the best one is given, and says so. A tier that is recoded
    locally is tried full-domain without suppression; its own loss will be less than that.

    Returns:
        at most three; () where the tier passes, no single change is enough, or the table is so
        large that trying them would take minutes.

    Raises:
        the same errors as ``derive_tier``, but not where the policy cannot be met.
    """
    counted = rows.count(keyring, [rows.policy], generalises=False)
    if counted is None or not is_small_enough(counted.counted, rows.policy):
        return ()
    return _Refusal(rows.tier, rows.policy, counted, rows.above.rows).steps()


@dataclass(frozen=True)
class _Change:
    """One change of the config, and how to get the histogram that it leaves to be searched."""

    words: str
    count: Callable[[], Counted]
    suppression: float
    column: str = ""
    level: int | None = None
    drops: bool = False


@dataclass(frozen=True)
class _Outcome:
    """The result of one change; changes are ranked by ``cost``."""

    step: NextStep
    cost: float
    passes: bool


@dataclass(frozen=True, eq=False)
class _Refusal:
    tier: Tier
    policy: TierPolicy
    counted: CountedTier
    rows_above: int

    def steps(self) -> tuple[NextStep, ...]:
        now = self.counted.best(self.policy, suppressed_records=self._suppression)
        if now is not None and self._passes(now, self.counted.as_configured()):
            return ()
        by_loss = now is not None
        found = [x for x in self._outcomes(by_loss) if x is not None]
        good = sorted(
            (x for x in found if x.passes), key=lambda x: (round(x.cost, 12), x.step.change)
        )
        if good or not by_loss or now is None:
            return tuple(x.step for x in good[:MOST_STEPS])
        nearer = [x for x in found if x.step.information_loss < now.optimum.score - _SLACK]
        best = min(nearer, key=lambda x: (x.cost, x.step.change), default=None)
        return () if best is None else (_not_enough(best.step),)

    @property
    def _suppression(self) -> float:
        return 0.0 if self.policy.recoding == "local" else self.policy.suppressed_records

    def _outcomes(self, by_loss: bool) -> Iterator[_Outcome | None]:
        changes = [*self._more_suppression(), *self._drops()]
        yield from (self._tried(change, by_loss) for change in changes[:MOST_SEARCHES])
        left = MOST_SEARCHES - len(changes)
        for j, (column, steps) in enumerate(
            zip(self.counted.counted.columns, self.counted.steps, strict=True)
        ):
            for more in dict.fromkeys((steps + 1, column.axis.steps)):
                if more > column.axis.steps or left <= 0:
                    continue
                left -= 1
                outcome = self._tried(self._lift(j, more), by_loss)
                yield outcome
                if outcome is not None and outcome.passes:
                    break

    def _lift(self, j: int, steps: int) -> _Change:
        column, now = self.counted.counted.columns[j], self.counted.steps[j]
        level = column.axis.lowest + steps - 1
        return _Change(
            f"{column.name}: at_most level {column.axis.lowest + now - 1} → {level}",
            partial(
                self.counted.counted.up_to,
                [*self.counted.steps[:j], steps, *self.counted.steps[j + 1 :]],
            ),
            self._suppression,
            column.name,
            level,
        )

    def _drops(self) -> Iterator[_Change]:
        if len(self.counted.counted.columns) < 2:
            return
        for column in self.counted.counted.columns:
            yield _Change(
                f"drop {column.name}",
                partial(self.counted.as_configured().without, column.name),
                self._suppression,
                column.name,
                drops=True,
            )

    def _more_suppression(self) -> Iterator[_Change]:
        """What the coarsest levels would have to suppress: hardly any node suppresses less."""
        if self.policy.recoding == "local":
            return
        counted = self.counted.as_configured()
        top = tuple(axis.steps - 1 for axis in counted.axes)
        models, rows = privacy_models(self.policy), counted.rows
        judged = judge(counted.base, counted.axes, top, models, rows)
        share = math.ceil(judged.suppressed / rows * 1000 - _SLACK) / 1000
        if judged.valid and judged.suppressed < rows and self._suppression < share < 1:
            words = f"suppressed_records: {self._suppression:g} → {share:g}"
            yield _Change(words, self.counted.as_configured, share)

    def _tried(self, change: _Change, by_loss: bool) -> _Outcome | None:
        counted = change.count()
        found = self.counted.best(self.policy, counted, suppressed_records=change.suppression)
        if found is None:
            return None
        loss = found.optimum.score
        step = NextStep(
            change.words,
            stable(loss),
            stable(found.optimum.suppressed / self.rows_above),
            change.column,
            change.level,
        )
        cost = self._with_dropped(loss, change.column) if change.drops and not by_loss else loss
        return _Outcome(step, cost, self._passes(found, counted))

    def _with_dropped(self, loss: float, name: str) -> float:
        """The geometric loss in which the dropped column counts as wholly lost."""
        axes = self.counted.counted.axes
        weights = {axis.name: axis.weight / max(a.weight for a in axes) for axis in axes}
        logs = math.log1p(loss) * (len(axes) - 1) + math.log1p(weights[name])
        return math.expm1(logs / len(axes))

    def _passes(self, found: BestNode, counted: Counted) -> bool:
        """Whether the gate would let it pass as far as loss goes."""
        if found.optimum.score > self.policy.information_loss + _SLACK:
            return False
        return self.tier is Tier.INTERNAL or not _is_useless(found, counted, self.counted)


def _is_useless(found: BestNode, counted: Counted, whole: CountedTier) -> bool:
    """Whether every column is at the top of its hierarchy, where nothing is left of it."""
    return all(
        min(found.level_shares[column.name]) >= whole.tops[column.name] > 0
        for column in counted.columns
    )


def _not_enough(step: NextStep) -> NextStep:
    return NextStep(
        f"{step.change} (not enough by itself)",
        step.information_loss,
        step.suppressed_share,
        step.column,
        step.level,
    )
