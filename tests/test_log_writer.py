"""Lines on their way out: in order, bounded, and never waited for."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtc_stt.log_writer import LogWriter


class Gated(io.StringIO):
    """A stream without a descriptor that blocks until its gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def write(self, text: str) -> int:
        self.gate.wait(10)
        return super().write(text)


@pytest.fixture
def stream() -> Iterator[Gated]:
    made = Gated()
    yield made
    made.gate.set()


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("room", logging.INFO, "", 0, text, (), None)


def test_lines_go_out_in_their_order(stream: Gated) -> None:
    stream.gate.set()
    writer = LogWriter(stream)
    for number in range(1_000):
        writer.handle(record(f"line {number}"))
    writer.close()
    assert stream.getvalue().split("\n") == [*(f"line {n}" for n in range(1_000)), ""]
    assert (writer.written, writer.dropped) == (1_000, 0)


def test_a_stream_that_is_stuck_is_not_waited_for_and_what_is_lost_is_told(stream: Gated) -> None:
    writer = LogWriter(stream, most_chars=10_000)
    began = time.monotonic()
    for number in range(1_000):
        writer.handle(record(f"{number:04d} " + 94 * "x"))
    assert time.monotonic() - began < 0.5
    assert writer.dropped == 900
    stream.gate.set()
    writer.close()
    told = stream.getvalue().split("\n")
    assert [line[:4] for line in told[:100]] == [f"{n:04d}" for n in range(100)]
    assert told[100:] == ["900 lines of the log were dropped", ""]


def test_after_its_end_lines_are_dropped(stream: Gated) -> None:
    stream.gate.set()
    writer = LogWriter(stream)
    writer.close()
    writer.handle(record("late"))
    assert (stream.getvalue(), writer.dropped) == ("", 1)


def test_a_line_that_cannot_be_made_is_dropped(stream: Gated, capsys: pytest.CaptureFixture[str]) -> None:
    writer = LogWriter(stream)
    writer.handle(logging.LogRecord("room", logging.INFO, "", 0, "%d", ("secret",), None))
    assert writer.dropped == 1
    assert capsys.readouterr().err == ""


def test_a_stream_that_is_closed_costs_lines_and_no_more() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        writer = LogWriter(stream)
        writer.handle(record("to nobody"))
        writer.close()
    assert (writer.written, writer.dropped) == (0, 1)


@pytest.mark.slow
def test_a_process_whose_pipe_nobody_reads_goes_on_and_ends() -> None:
    """The pipe has room for 64 KiB, and so have few lines; the process logs some megabytes and exits."""
    script = (
        "import logging\n"
        "from rtc_stt.logs import LogOptions, line_counts, set_up\n"
        "set_up(LogOptions(level='info'))\n"
        "for _ in range(5_000): logging.getLogger('room').info('x' * 1_000)\n"
        "print(line_counts()['dropped'] > 2_000)\n"
    )
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        text=True,
    ) as process:
        assert process.stdout
        assert process.wait(20) == 0  # nobody has read its standard error
        assert process.stdout.read() == "True\n"
    assert time.monotonic() - began < 15
