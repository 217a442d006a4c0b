"""Show a run in Prefect: its tiers, its measures and a page, in counts and names only."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from stepdown.errors import WorldFailed
from stepdown.pipeline.run import Run
from stepdown.release.documents import summary
from stepdown.reports import TierReport


def summarise(
    run: Run,
    table: list[dict[str, str]],
    reasons: list[str],
    reports: Sequence[TierReport] = (),
) -> None:
    """The run as tables and a page in Prefect: verdicts, risk and attacks.

    Args:
        table: a row of words per tier. reasons: why something stopped or waits.
        reports: what was measured of each candidate.
    """
    try:
        key = run.config.dataset.replace("_", "-")  # Prefect's artifact keys know no underscore
        create_table_artifact(table=table, key=f"{key}-tiers", description="Tiers of the run")
        measured = [row for report in reports for row in summary.measure_rows(report)]
        if measured:
            create_table_artifact(
                table=measured,
                key=f"{key}-measures",
                description="Risk and attacks by their limits",
            )
        text = summary.run_summary(run.config, table, reasons, reports)
        create_markdown_artifact(markdown=text, key=f"{key}-summary")
    except Exception as error:  # by its kind alone: nothing of it is ours
        kind = type(error).__name__
        raise WorldFailed(f"Prefect's server did not take it ({kind})", where="summary") from None
