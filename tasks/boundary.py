"""Make a library function a task: its name, its retries, and errors that hold no value."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from stepdown.errors import StepdownError, TransientError, WorldFailed, defect

P = ParamSpec("P")
R = TypeVar("R")


def library_task(function: Callable[P, R]) -> Callable[P, R]:
    """A task named after the library function it calls.

    It retries on TransientError only, caches and persists nothing, and lets no exception out
    but ours: Prefect stores a failed run's exception, and a foreign one may quote a cell.
    """
    wrapped = task(
        name=function.__name__.replace("_", " "),
        task_run_name=_run_name(function.__name__.replace("_", " ")),
        retries=2,
        retry_delay_seconds=[1, 10],
        retry_condition_fn=_is_transient,
        cache_policy=NO_CACHE,
        persist_result=False,
        log_prints=False,
    )(scrubbed(function))
    return cast(Callable[P, R], wrapped)


def _run_name(step: str) -> Callable[..., str]:
    """How Prefect's pages call a run of the task: the step, and the tier or copy it is about."""

    def name(parameters: dict[str, Any]) -> str:
        about = parameters.get("candidate") or parameters.get("copy")
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


def scrubbed(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, but nothing leaves it except our own errors, without their history."""

    @functools.wraps(function)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        failure: StepdownError
        try:
            return function(*args, **kwargs)
        except StepdownError as error:
            failure = error
        except MemoryError:
            failure = WorldFailed("the machine ran out of memory", where=function.__name__)
        except OSError as error:
            failure = WorldFailed(
                f"the system refused ({os.strerror(error.errno or 0)})", where=function.__name__
            )
        except Exception as error:
            failure = defect(function.__name__, error)
        # Raised outside the handlers, so that no context with values hangs on it.
        raise failure.with_traceback(None)

    return inner
