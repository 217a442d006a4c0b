"""Withdraw a release, as a task."""

from __future__ import annotations

from stepdown.published_reason import check_reason
from stepdown.release.decisions import withdraw as decisions
from stepdown.release.ledger.store import open_store
from stepdown.workspace import Workspace
from tasks.boundary import library_task


@library_task
def withdraw(
    workspace: Workspace, store: str, release: str, reason: str, actor: str
) -> tuple[str, ...]:
    """Withdraw a release; gives the addresses that were suspended with it."""
    check_reason(workspace, release, reason)
    return decisions.withdraw(workspace, open_store(store), release, reason=reason, actor=actor)
