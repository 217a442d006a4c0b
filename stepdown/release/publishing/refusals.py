"""Write the reason of a refusal, in the workspace and where the file would have gone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stepdown.artifacts import write_durably
from stepdown.release.documents.documents import STEWARD_HTML
from stepdown.release.ledger.addresses import Series
from stepdown.reports import Verdict
from stepdown.workspace import Workspace

NOTE_FILE = "REFUSED.md"


def write_note(
    workspace: Workspace,
    series: Series,
    run: str,
    reasons: Sequence[Verdict],
    folder: Path | None,
) -> Path:
    """Write the note twice: among the refusals, and beside the candidate if there is one.

    Args:
        reasons: the verdicts that failed, at least one.
        folder: the candidate's folder.
    """
    page = folder / STEWARD_HTML if folder else None
    text = _text(series, run, reasons, page if page and page.is_file() else None).encode()
    name = f"{series.path.replace('/', '-')}-{Path(run).name}.md"
    for target in (workspace.refusals / name, *([folder / NOTE_FILE] if folder else [])):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_durably(target, text, mode=0o600)
    return workspace.refusals / name


def _text(series: Series, run: str, reasons: Sequence[Verdict], page: Path | None) -> str:
    count = f"{len(reasons)} check{'s' if len(reasons) != 1 else ''}"
    lines = [
        f"# {series.path} was refused",
        "",
        f"Run {run}. {count} did not pass. The last published version, if there is one, "
        "stays in place.",
    ]
    for reason in reasons:
        lines += ["", f"## {reason.check}", "", reason.message]
        if reason.next:
            lines += ["", f"**What to do:** {reason.next}"]
    if page is not None:
        lines += ["", f"Everything measured, with charts: {page}"]
    return "\n".join(lines) + "\n"
