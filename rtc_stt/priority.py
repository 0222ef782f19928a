"""Who goes first on a busy processor: the loop, then the detector where it is a process, then decodes.

A loop that is 50 ms late is late for everybody who speaks; a decode that is 50 ms late is so for one.
Python's own threads keep their priority all the same: one that is put aside while it holds the interpreter's
lock would hold up the loop.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["DETECTOR_NICENESS", "NICENESS", "begin_behind"]

T = TypeVar("T")

NICENESS = 19
"""Of the threads behind: as nice as can be. Where the loop has nothing to do, all the rest of a core is
theirs; the less they weigh, the sooner the kernel puts them aside when it has."""

DETECTOR_NICENESS = 15
"""Of the detector's process, more than its server's: a thirtieth of the loop's weight, and more than twice
that of a decode, which waits for what the detector says. With a third of the loop's weight it held a core for
some milliseconds each time, while packets came."""


def begin_behind(make: Callable[[], T]) -> T:
    """Call ``make`` so that the threads which it starts come behind those of this process that exist.

    A thread inherits the niceness of the one that starts it, so ``make`` runs in a thread of its own, that is
    made nicer and then ends. Niceness belongs to a thread on Linux only: elsewhere ``make`` is simply called.

    Raises:
        Exception: what ``make`` raises.
    """
    if sys.platform != "linux":
        return make()
    made: Future[T] = Future()

    def run() -> None:
        try:
            nice = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(nice, NICENESS))
            made.set_result(make())
        except BaseException as error:  # whatever it is, it is the caller's
            made.set_exception(error)

    threading.Thread(target=run, name="begin-behind").start()
    return made.result()
