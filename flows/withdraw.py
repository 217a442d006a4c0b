"""Withdraw a release: delete its data, keep its tombstone, suspend what was made from it."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from stepdown.config.people import account
from stepdown.pipeline.carry import scrubbed
from stepdown.workspace import open_workspace
from tasks.withdraw import withdraw as take_down


@flow(name="withdraw", flow_run_name="{release}", persist_result=False, log_prints=False)
def withdraw(release: str, reason: str, work: str, store: str, name: str = "") -> State[None]:
    """Withdraw a published release.

    Args:
        release: its address.
        reason: published on the tombstone.
        work, store: the workspace's folder; the store's folder or URL.
        name: who withdraws it; default the account the flow runs under.
    """
    return _withdraw(release, reason, Path(work), store, name or account())


@scrubbed
def _withdraw(release: str, reason: str, work: Path, store: str, name: str) -> State[None]:
    suspended = take_down(open_workspace(work, store), store, release, reason, name)
    told = f"; suspended: {', '.join(suspended)}" if suspended else ""
    return Completed(message=f"{release} is withdrawn{told}")
