"""Carry the library's steps as Prefect tasks: with names, retries, and errors without values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from stepdown.errors import TransientError
from stepdown.pipeline.carry import RETRY_SECONDS, scrubbed

P = ParamSpec("P")
R = TypeVar("R")


def as_task(step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Take a step as a task of the flow that runs."""
    return library_task(step)(*args, **kwargs)


@functools.cache
def _task(function: Callable[..., Any]) -> Callable[..., Any]:
    return task(
        name=function.__name__.replace("_", " "),
        task_run_name=_run_name(function.__name__.replace("_", " ")),
        retries=len(RETRY_SECONDS),
        retry_delay_seconds=list(RETRY_SECONDS),
        retry_condition_fn=_is_transient,
        cache_policy=NO_CACHE,
        persist_result=False,
        log_prints=False,
    )(scrubbed(function))


def library_task(function: Callable[P, R]) -> Callable[P, R]:
    """A task named after the library function it calls.

    It retries on TransientError only, caches and persists nothing, and lets no exception out
    but ours: Prefect stores a failed run's exception, and a foreign one may quote a cell.
    """
    return cast(Callable[P, R], _task(function))


def _run_name(step: str) -> Callable[..., str]:
    """How Prefect's pages call a run of the task: the step, and the tier or copy it is about."""

    def name(parameters: dict[str, Any]) -> str:
        opened = parameters.get("opened")
        about = (
            opened.candidate if opened else parameters.get("candidate") or parameters.get("copy")
        )
        tier = about.tier if about else parameters.get("tier")
        recipient = about.recipient if about else parameters.get("recipient")
        if recipient:
            return f"{step}: partner/{recipient}"
        return f"{step}: {tier}" if tier else step

    return name


def _is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.data, TransientError) or isinstance(
        getattr(state.data, "result", None), TransientError
    )
