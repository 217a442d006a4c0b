"""End a command within seconds of Ctrl-C or SIGTERM, also where it is deep in compiled code."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flows import console
from stepdown.errors import WorldFailed

STOPPED = 130
"""The exit code of a command that Ctrl-C ended."""
_PATIENCE_SECONDS = 2


@contextmanager
def prompt_end() -> Iterator[None]:
    """Let Ctrl-C or SIGTERM stop what is done here, and end the process within 2 seconds.

    Such an end is safe at any moment, as a kill is: the next command recovers what it leaves.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are not for this thread
        return
    # Python's own handler waits until the main thread leaves compiled code; the byte on this
    # descriptor is written at once, and another thread can read it.
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    interrupted, finished = threading.Event(), threading.Event()
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watch = threading.Thread(target=_watch, args=(reader, interrupted, finished), daemon=True)
    watch.start()
    # Unhandled, a SIGTERM would end the process before anything could be said.
    unhandled = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if unhandled:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
        finished.set()
    except BaseException as error:
        # Whatever it was turned into on its way: the engine says that a query failed.
        if interrupted.wait(0.1 if isinstance(error, KeyboardInterrupt) else 0):
            _stop()
        raise
    finally:
        if unhandled:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(before)
        writer.close()
        watch.join()


def tell_stopped() -> None:
    """Say that the user stopped the command."""
    stopped = WorldFailed("stopped by the user", next="Nothing is half done: run it again.")
    console.failure(stopped, "--json" in sys.argv[1:])


def _watch(reader: socket.socket, interrupted: threading.Event, finished: threading.Event) -> None:
    with reader:
        while received := reader.recv(1):
            if received[0] in (signal.SIGINT, signal.SIGTERM):
                interrupted.set()
                if not finished.wait(_PATIENCE_SECONDS):
                    _stop()


_stopping = threading.Lock()


def _stop() -> None:
    with _stopping:  # for good: the other thread may want to say the same
        try:
            tell_stopped()
            sys.stdout.flush()
        finally:  # its reader may have ended
            os._exit(STOPPED)
