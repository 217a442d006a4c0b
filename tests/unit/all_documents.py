"""Write all documents of a candidate at once, as the steps of a run do one after the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig
from stepdown.release.documents.documents import write_published, write_steward
from stepdown.release.documents.gate import Decision
from stepdown.reports import TierReport


def write_documents(
    loaded: LoadedConfig,
    candidate: Candidate,
    report: TierReport,
    decision: Decision,
    as_of: dt.date,
    *,
    previous: Mapping[str, Any] | None = None,
) -> Decision:
    """Write the published documents and the steward's beside the candidate's data.

    Args:
        report: everything measured; its verdicts are replaced by the decision's.
        previous: the full report of the version before, from ``read_full_report``. Only the
            steward's page compares with it: the published one is the same whatever came before.

    Returns:
        the decision, about these documents too.
    """
    decision, _ = write_published(loaded, candidate, report, decision, as_of)
    write_steward(loaded, candidate, report, decision, as_of, previous)
    return decision
