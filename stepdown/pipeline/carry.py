"""Take one step of a run: hide what a foreign exception quotes, and try a busy place again.

The steps of a run are plain functions. Whoever orders them hands in what carries each: here it is
a call, under Prefect a task (``tasks.boundary.as_task``). docs/decisions/0056 says why.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from stepdown.errors import StepdownError, TransientError, WorldFailed, defect

P = ParamSpec("P")
R = TypeVar("R")

RETRY_SECONDS = (1, 10)
"""How long to wait before a step is tried again whose failure may pass."""


class Carry(Protocol):
    """Takes a step: calls it with its arguments, and gives what it gives."""

    def __call__(self, step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...


def plainly(step: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Take a step in this process, with the retries and the scrubbed errors of a task."""
    for seconds in RETRY_SECONDS:
        try:
            return scrubbed(step)(*args, **kwargs)
        except TransientError:
            time.sleep(seconds)
    return scrubbed(step)(*args, **kwargs)


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
