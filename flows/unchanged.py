"""End a run at once where nothing has changed since the last one, and remember what each had.

Nothing heavy is imported here: neither Prefect nor what derives, measures and judges.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flows.afterwards import Afterwards
from flows.outcome import RunOutcome, TierOutcome
from flows.progress import progress
from stepdown import clock
from stepdown.config import LoadedConfig, ReleaseConfig
from stepdown.operations.unchanged import (
    Asked,
    changed_since,
    complete,
    forget,
    inputs_of,
    is_known,
    remember,
)
from stepdown.release.decisions.consent_enforcement import Rechecked
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger, record_run
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.store import open_store
from stepdown.release.reading.leftovers import make_ready
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace


def unchanged_run(asked: Asked, run: str, actor: str) -> RunOutcome | None:
    """The outcome of a run that has nothing to derive; None where it has, or may have.

    Call it while holding the dataset. What every run does for the ledger and the store is done
    here, too: a killed run's steps are finished, and a line says that this one happened.

    Raises:
        StepdownError: ledger or store are not what a run may go on with.
    """
    if not is_known(asked):
        return None
    progress("comparing with the last run")
    for mended in make_ready(asked.workspace, open_store(asked.store), asked.dataset):
        progress(mended)
    found = changed_since(asked)
    if found is None:
        return None
    last, changed = found
    if changed:
        # With another keyring every seal differs, and says nothing of what it seals.
        told = "the keyring" if "keyring" in changed else ", ".join(changed)
        progress(f"changed since run {last}: {told}")
        return None
    outcome = _repeated(asked, last, run)
    after = Afterwards()
    after.do("the ledger has no line for the run as a whole", _record, asked, outcome, actor)
    after.do("the outcome is not in the workspace's runs/", _save, asked, outcome)
    for name in outcome.ends:
        progress(f"{name}: unchanged")
    return after.then(outcome)


def derive_unless_unchanged(
    asked: Asked, run: str, actor: str, derive: Callable[[], RunOutcome], *, again: bool
) -> RunOutcome:
    """The outcome of a run, which is derived only where it may differ from the last one.

    Call it while holding the dataset.

    Args:
        derive: makes, judges and submits every tier.
        again: do so in any case.
    """
    if not again and (outcome := unchanged_run(asked, run, actor)):
        return outcome
    forget(asked)
    inputs = inputs_of(asked)
    outcome, after = derive(), Afterwards()
    if not any(end.stopped for end in outcome.ends.values()) and _is_clean(outcome):
        settled, releases = _is_settled(outcome), _releases(outcome)
        what = "the next run will derive every tier, whatever changed"
        facts = functools.partial(remember, settled=settled, releases=releases)
        after.do(what, facts, asked, outcome.run, inputs)
    return after.then(outcome)


def now_settled(asked: Asked, outcome: RunOutcome) -> None:
    """Let the next run compare itself with one whose last tier was published after it ended."""
    if _is_clean(outcome) and _is_settled(outcome):
        with asked.workspace.only_run(asked.dataset):
            complete(asked, outcome.run, _releases(outcome))


def what_is_asked(
    loaded: LoadedConfig,
    workspace: Workspace,
    store: str,
    last: Tier | None = None,
    as_of: dt.date | None = None,
) -> Asked:
    """Name what a run of a dataset reads.

    Args:
        last: the tier at which it stops; None means all.
        as_of: the date the data stand at; default the config's, else today.
    """
    day = as_of or loaded.config.source.as_of or clock.today()
    return Asked(loaded, workspace, store, loaded.config.tier_names(last), day)


def _is_clean(outcome: RunOutcome) -> bool:
    # A public release that holds somebody who withdrew is told of by every run.
    gone = outcome.rechecked is not None and any(outcome.rechecked.without.values())
    return not outcome.warnings and not gone


def _is_settled(outcome: RunOutcome) -> bool:
    return all(end.state in ("published", "unchanged") for end in outcome.ends.values())


def _releases(outcome: RunOutcome) -> list[str]:
    return [str(end.release) for end in outcome.ends.values()]


def _repeated(asked: Asked, last: str, run: str) -> RunOutcome:
    """The last run's outcome, read back, as that of this run."""
    facts = json.loads((asked.workspace.runs / f"{last}.json").read_bytes())
    gone = facts["rechecked"]
    return RunOutcome(
        facts["dataset"],
        run,
        {tier.value: _still(asked, facts["tiers"][tier.value]) for tier in asked.tiers},
        {name: _still(asked, end) for name, end in facts["recipients"].items()},
        Rechecked(**_with_tuples(gone)) if gone else None,
        unchanged_since=last,
    )


def _still(asked: Asked, facts: dict[str, Any]) -> TierOutcome:
    end = TierOutcome(**_with_tuples(facts))
    config = asked.loaded.config
    return replace(
        end,
        state="unchanged",
        reasons=(),
        steward_report=None,
        # What was just published asks no less than itself.
        weakened=end.weakened if end.state == "unchanged" else (),
        path=open_store(asked.store).location(str(end.release)),
        dropped=_as_declared(config, end.dropped),
        levels=_as_declared(config, end.levels),
        level_shares=_as_declared(config, end.level_shares),
    )


def _as_declared(config: ReleaseConfig, facts: dict[str, Any]) -> dict[str, Any]:
    """By column in the config's order, which no JSON document keeps."""
    return {name: facts[name] for name in config.columns if name in facts}


def _with_tuples(facts: dict[str, Any]) -> dict[str, Any]:
    lists = {"frontier", "next_steps"}
    return {
        name: tuple(value) if isinstance(value, list) and name not in lists else value
        for name, value in facts.items()
    }


def _record(asked: Asked, outcome: RunOutcome, actor: str) -> None:
    series = Series(asked.dataset, Tier.INTERNAL)
    states = {name: end.state for name, end in outcome.ends.items()}
    less = {name: list(end.weakened) for name, end in outcome.ends.items() if end.weakened}
    facts = {"states": states, "unchanged_since": outcome.unchanged_since}
    told = facts | ({"weakened": less} if less else {})
    record_run(open_ledger(asked.workspace), series, outcome.run, actor, told)


def _save(asked: Asked, outcome: RunOutcome) -> None:
    with exclusively(asked.workspace):
        outcome.save(asked.workspace.runs)
