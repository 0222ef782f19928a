"""The detector in a process of its own: real processes, which are killed, stopped and left behind."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from rtc_stt.audio import WINDOW, Samples
from rtc_stt.bench.clips import load
from rtc_stt.errors import DecodeFailed, ModelError
from rtc_stt.instrument import Instrument
from rtc_stt.priority import DETECTOR_NICENESS
from rtc_stt.vad import ProcessBatcher, SileroDetector, VadBatcher
from rtc_stt.vad.batcher import MAX_WINDOWS
from rtc_stt.vad.board import LEAD_WINDOWS, MAX_ENDED
from tests.vad.detectors import ALIVE, BROKEN, DEADLY, SLOW

pytestmark = pytest.mark.e2e

SUM = "tests.vad.detectors:SumDetector"
TIMEOUT_S = 20.0


class Losses(Instrument):
    count = 0

    def detector_lost(self) -> None:
        self.count += 1


def windows(*values: float) -> list[Samples]:
    """Windows of which each sums up to its value."""
    return [np.full(WINDOW, value / WINDOW, np.float32) for value in values]


async def judged(answer: asyncio.Future[list[float]]) -> list[float]:
    return await asyncio.wait_for(answer, TIMEOUT_S)


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not ended(pid):
        assert time.monotonic() < deadline, "the process lives on"
        time.sleep(0.01)


@pytest.fixture
def losses() -> Losses:
    return Losses()


@pytest.fixture
async def batcher(losses) -> AsyncIterator[ProcessBatcher]:
    batcher = ProcessBatcher(SUM, losses)
    yield batcher
    batcher.close()


def pid_of(batcher: ProcessBatcher) -> int:
    assert batcher.pid
    return batcher.pid


async def test_the_same_probabilities_as_in_a_thread_to_the_last_digit(monkeypatch):
    """Streams of every length at the same time, through both; also over more windows than one go has."""
    # Or else it computes products whole over there and in slices here, and the last digits differ.
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    clips = [clip.speech() for clip in load("clean", "digits", limit=12)]
    streams = [
        [clip[at : at + WINDOW] for at in range(0, len(clip) - WINDOW * (n % 2), WINDOW)]
        for n, clip in enumerate(clips)
    ]
    told = []
    for batcher in (VadBatcher(SileroDetector()), ProcessBatcher()):
        states = [batcher.new_state() for _ in streams]
        answers = [batcher.detect(*one) for one in zip(states, streams, strict=True)]
        told.append([await judged(answer) for answer in answers])
        batcher.close()
    assert told[0] == told[1]
    assert [len(one) for one in told[1]] == [len(stream) for stream in streams]
    assert max(map(len, streams)) > MAX_WINDOWS
    assert max(map(max, told[1])) > 0.9


async def test_streams_side_by_side_keep_what_is_theirs(batcher):
    states = [batcher.new_state() for _ in range(150)]
    for go in (1, 2, 3):
        answers = [batcher.detect(state, windows(n + 1)) for n, state in enumerate(states)]
        for n, answer in enumerate(answers):
            assert await judged(answer) == pytest.approx([go * (n + 1)], rel=1e-5)
    assert await judged(batcher.detect(states[0], [])) == []
    assert await judged(batcher.detect(states[0], [np.ones(10, np.float32)])) == pytest.approx([13])


async def test_killed_in_the_middle_of_a_batch_it_is_begun_anew_and_nobody_notices(batcher, losses):
    """What a stream was heard to say before is heard again by the one that follows, as far as it goes."""
    short, long = batcher.new_state(), batcher.new_state()
    assert await judged(batcher.detect(short, windows(1, 2))) == pytest.approx([1, 3])
    await judged(batcher.detect(long, windows(*[1] * (LEAD_WINDOWS + 40))))
    first = pid_of(batcher)
    answers = [batcher.detect(short, windows(SLOW, 4)), batcher.detect(long, windows(1, 1, 1))]
    await asyncio.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    assert await judged(answers[0]) == pytest.approx([-47, -43])
    assert await judged(answers[1]) == pytest.approx([LEAD_WINDOWS + n for n in (1, 2, 3)])
    assert pid_of(batcher) != first
    assert losses.count == 1
    assert await judged(batcher.detect(short, windows(1))) == pytest.approx([-42]), "once was enough"
    wait_until_ended(first)


async def test_killed_while_nobody_speaks_it_is_there_when_somebody_does(batcher, losses):
    state = batcher.new_state()
    await judged(batcher.detect(state, windows(1)))
    for _ in range(2):
        os.kill(before := pid_of(batcher), signal.SIGKILL)
        while batcher.pid in (None, before):
            await asyncio.sleep(0.01)
    assert await judged(batcher.detect(state, windows(2))) == pytest.approx([3])
    assert losses.count == 2


async def test_one_that_dies_before_the_loop_runs_is_replaced_at_the_first_window(losses):
    batcher = ProcessBatcher(SUM, losses)
    os.kill(pid_of(batcher), signal.SIGKILL)
    wait_until_ended(pid_of(batcher))
    assert await judged(batcher.detect(batcher.new_state(), windows(7))) == pytest.approx([7])
    assert losses.count == 1
    batcher.close()


async def test_one_that_stands_still_is_ended_and_replaced(batcher, losses, monkeypatch):
    monkeypatch.setattr("rtc_stt.vad.process.HANG_S", 0.2)
    state, stopped = batcher.new_state(), pid_of(batcher)
    os.kill(stopped, signal.SIGSTOP)
    asked = time.monotonic()
    answer = batcher.detect(state, windows(3))
    assert await judged(answer) == pytest.approx([3])
    assert time.monotonic() - asked > 0.2
    assert losses.count == 1
    wait_until_ended(stopped)


async def test_a_batch_that_no_process_survives_fails_and_the_next_one_is_judged(batcher, losses, caplog):
    deadly = batcher.detect(batcher.new_state(), windows(DEADLY))
    with pytest.raises(DecodeFailed, match="again and again"):
        await judged(deadly)
    assert losses.count == 3
    assert await judged(batcher.detect(batcher.new_state(), windows(5))) == pytest.approx([5])
    assert caplog.text.count("begun anew") == 3


async def test_a_detector_that_fails_fails_this_batch_and_serves_the_next(batcher, losses, caplog):
    with pytest.raises(DecodeFailed):
        await judged(batcher.detect(batcher.new_state(), windows(BROKEN)))
    assert await judged(batcher.detect(batcher.new_state(), windows(1))) == pytest.approx([1])
    assert "ValueError" in caplog.text
    assert "heard -404" not in caplog.text, "a message may quote what was said"
    assert losses.count == 0


async def test_streams_that_end_are_forgotten_over_there(batcher):
    """Those that nobody holds any more, with the next batches; also more of them than a message has."""
    held = batcher.new_state()
    assert await judged(batcher.detect(held, windows(ALIVE))) == [1]
    others = [batcher.new_state() for _ in range(MAX_ENDED + 10)]
    for answer in [batcher.detect(other, windows(1)) for other in others]:
        await judged(answer)
    assert await judged(batcher.detect(held, windows(ALIVE))) == [1 + len(others)]
    del others
    assert await judged(batcher.detect(held, windows(ALIVE))) == [11]
    assert await judged(batcher.detect(held, windows(ALIVE))) == [1]


async def test_signals_that_come_to_all_processes_of_a_terminal_or_a_service_are_not_for_it(batcher):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid_of(batcher), number)
    assert await judged(batcher.detect(batcher.new_state(), windows(2))) == pytest.approx([2])
    assert os.getpgid(pid_of(batcher)) != os.getpgid(0)
    assert os.getsid(pid_of(batcher)) == os.getsid(0)


def test_it_is_nicer_than_its_server_and_knows_none_of_its_secrets(monkeypatch):
    monkeypatch.setenv("API_KEYS", "a-key-that-is-secret")
    batcher = ProcessBatcher(SUM)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid_of(batcher)) == min(19, own + DETECTOR_NICENESS)
    inherited = Path(f"/proc/{pid_of(batcher)}/environ").read_bytes()
    assert b"API_KEYS" not in inherited
    assert b"OPENBLAS_NUM_THREADS=1" in inherited
    batcher.close()


async def test_closing_leaves_nothing_behind():
    def held() -> tuple[int, bool, int]:
        process = psutil.Process()
        mapped = any("rtc-stt-vad" in part.path for part in process.memory_maps())
        return process.num_fds(), mapped, len(process.children())

    before = held()
    for _ in range(3):
        batcher = ProcessBatcher(SUM)
        pid, answer = pid_of(batcher), batcher.detect(batcher.new_state(), windows(SLOW))
        await asyncio.sleep(0.05)
        batcher.close()
        batcher.close()
        assert answer.cancelled()
        assert not psutil.pid_exists(pid), "it was seen out, and is no zombie"
        with pytest.raises(asyncio.CancelledError):
            await judged(batcher.detect(batcher.new_state(), windows(1)))
    assert held() == before
    assert not before[1]


async def test_closing_while_it_is_begun_anew(batcher, losses):
    await judged(batcher.detect(batcher.new_state(), windows(1)))
    os.kill(pid_of(batcher), signal.SIGKILL)
    while not losses.count:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    pid = batcher.pid
    batcher.close()
    assert pid is None or not psutil.pid_exists(pid)
    await asyncio.sleep(0.3)
    assert batcher.pid is None


def test_it_ends_with_its_server_even_if_that_is_killed():
    code = f"from rtc_stt.vad import ProcessBatcher as P; b = P({SUM!r}); print(b.pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        pid = int(server.stdout.readline())
        assert not ended(pid)
        server.kill()
        wait_until_ended(pid)


def test_what_cannot_be_loaded_over_there_is_said_here():
    with pytest.raises(ModelError, match="there is no such model: install it"):
        ProcessBatcher("tests.vad.detectors:Missing")


def test_a_process_that_ends_at_its_start(monkeypatch, capfd):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match="ended at its start"):
        ProcessBatcher(SUM)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ModelError, match="cannot be begun"):
        ProcessBatcher(SUM)


async def test_while_it_cannot_be_begun_what_is_asked_fails(batcher, losses, monkeypatch, caplog):
    """Rather than wait for ever; and it goes on as soon as it can be."""
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr("rtc_stt.vad.process.FIRST_DELAY_S", 0.01)
    state = batcher.new_state()
    await judged(batcher.detect(state, windows(1)))
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(sys, "executable", "/nowhere/python")
        os.kill(pid_of(batcher), signal.SIGKILL)
        with pytest.raises(DecodeFailed):
            await judged(batcher.detect(state, windows(1)))
    assert losses.count >= 3
    again = batcher.new_state()
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                assert await batcher.detect(again, windows(4)) == pytest.approx([4])
                break
            except DecodeFailed:
                await asyncio.sleep(0.01)
