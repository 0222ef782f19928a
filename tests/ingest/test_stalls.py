"""The watcher of the machine's own stalls."""

import os
import signal
import time
from pathlib import Path

import psutil

from tools.ingest.stalls import Stalls, watching


def test_it_counts_what_was_long_enough_and_late_enough(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text(
        "late 10.0 0.030\nlate 20.0 0.012\nlate 30.0 0.060\nlate 31.0 0.0", encoding="ascii"
    )  # the last is half written
    stalls = Stalls(str(notes))
    assert stalls.over(0.025, since=0.0) == 2
    assert stalls.over(0.025, since=15.0) == 1
    assert stalls.over(0.01, since=15.0) == 2


def test_a_watcher_that_is_stopped_for_a_while_notes_it() -> None:
    with watching(min(os.sched_getaffinity(0))) as stalls:
        (watcher,) = [p for p in psutil.Process().children() if "tools.ingest.stalls" in p.cmdline()]
        time.sleep(0.5)  # it has begun
        begun = time.monotonic()
        watcher.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        watcher.send_signal(signal.SIGCONT)
        deadline = begun + 5
        while not stalls.over(0.05, begun) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert stalls.over(0.05, begun) >= 1
    assert not watcher.is_running()
