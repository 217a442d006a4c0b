"""Do what comes after a commit: it may warn, and never makes the run look failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from stepdown.errors import StepdownError, WorldFailed
from stepdown.pipeline.carry import Carry, plainly

if TYPE_CHECKING:
    from flows.outcome import RunOutcome, TierOutcome

T = TypeVar("T")
ENDED: dict[str, RunOutcome] = {}
"""Run → how it ended, for whoever started it in this process: no server and no disk is asked."""


@dataclass
class Afterwards:
    """Does what is left to do, and keeps what went wrong.

    Args:
        carry: takes the steps of the run.
        warnings: one sentence per failure.
    """

    carry: Carry = plainly
    warnings: list[str] = field(default_factory=list)

    def do(self, what: str, act: Callable[..., T], *arguments: Any) -> T | None:
        """Do something that is no step of the run.

        Args:
            what: what will be missing, for the warning.
        """
        try:
            return act(*arguments)
        except Exception as error:
            self._warn(what, error)
            return None

    def take(self, what: str, step: Callable[..., T], *arguments: Any) -> T | None:
        """Take a step; where Prefect and not the step failed, take it again without Prefect."""
        return self.do(what, self._take, step, *arguments)

    def _take(self, step: Callable[..., T], *arguments: Any) -> T:
        try:
            return self.carry(step, *arguments)
        except StepdownError:
            raise
        except Exception:  # no step lets another one out, so it is Prefect's
            return plainly(step, *arguments)

    def _warn(self, what: str, error: Exception) -> None:
        # A foreign failure by its kind alone: its text may quote anything.
        why = error.message if isinstance(error, StepdownError) else type(error).__name__
        self.warnings.append(f"{what}: {why}")

    def then(self, outcome: RunOutcome) -> RunOutcome:
        """The outcome with what went wrong after it."""
        return replace(outcome, warnings=(*outcome.warnings, *self.warnings))


def stopped_between(ends: dict[str, TierOutcome], error: Exception) -> NoReturn:
    """Stop a run between two tiers, and say what it had published by then.

    Raises:
        StepdownError: the same kind of error, with that sentence.
    """
    out = [str(end.release) for end in ends.values() if end.state == "published"]
    told = f"Published before it stopped: {', '.join(out)}." if out else ""
    if isinstance(error, StepdownError):
        next = f"{error.next} {told}".strip()
        raise type(error)(error.message, where=error.where, next=next) from None
    raise WorldFailed(
        f"Prefect's server was lost between two tiers ({type(error).__name__})",
        where="run",
        next=f"{told or 'Nothing was published.'} Run again: what is out stays as it is.",
    ) from None
