"""Threads that come behind the loop."""

import os
import sys
import threading

import pytest

from rtc_stt.priority import NICENESS, begin_behind


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="niceness belongs to a thread on Linux only")
def test_threads_that_it_starts_are_nicer_and_ours_stay_as_they_are() -> None:
    found: list[int] = []
    before = niceness()

    def start() -> threading.Thread:
        thread = threading.Thread(target=lambda: found.append(niceness()))
        thread.start()
        return thread

    begin_behind(start).join()
    assert found == [max(before, NICENESS)]
    assert niceness() == before


def test_what_it_makes_comes_back() -> None:
    assert begin_behind(lambda: "made") == "made"


def test_what_goes_wrong_is_the_callers() -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_behind(fail)
