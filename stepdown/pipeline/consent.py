"""Ask the consent register who may be in a tier today, and take out of reach who may not."""

from __future__ import annotations

from stepdown import clock, ingest
from stepdown.config.consent import Consents
from stepdown.ingest import Snapshot
from stepdown.operations import recheck as rechecks
from stepdown.pipeline.run import Run
from stepdown.release.decisions.consent_enforcement import Rechecked, register_verdicts
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.store import open_store
from stepdown.reports import Verdict


def read_consent(run: Run) -> Consents | None:
    """What the register says today; None where the config has none."""
    if run.config.consent is None:
        return None
    return ingest.read_consent(run.loaded, run.workspace, clock.today())


def validate_consent(run: Run, snapshot: Snapshot) -> tuple[Verdict, ...]:
    """Judge whether there is still a register, and everybody of the snapshot in it."""
    return (
        *register_verdicts(open_ledger(run.workspace), run.config),
        *ingest.consent_verdicts(run.loaded, snapshot.ref, run.workspace.scratch),
    )


def recheck(run: Run) -> Rechecked:
    """Read the register anew, and look at everything that is out or may go out."""
    return rechecks.recheck(
        run.workspace, open_store(run.store), run.loaded, clock.today(), run.actor
    )


def follow_register(run: Run) -> Rechecked:
    """Take out of reach what holds somebody who does not agree."""
    return rechecks.follow_register(run.workspace, open_store(run.store), run.loaded, run.actor)
