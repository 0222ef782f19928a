"""One detector call for all streams gives each what it would have got alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from rtc_stt.audio import WINDOW, Samples
from rtc_stt.vad.batcher import MAX_STREAMS, MAX_TOLD, MAX_WINDOWS, Batcher, Job, Judgement, VadBatcher
from rtc_stt.vad.detector import DetectorState

TIMEOUT_S = 5.0


class Sum(DetectorState):
    total = 0.0


class SumDetector:
    """Gives for each window the sum of all samples of its stream so far: any mix-up shows."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.sizes: list[int] = []
        self.error: Exception | None = None

    def new_state(self) -> DetectorState:
        return Sum()

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        assert self.gate.wait(TIMEOUT_S)
        if self.error:
            raise self.error
        assert windows.shape == (len(states), WINDOW)
        assert len(set(map(id, states))) == len(states), "a stream occurs once in a call"
        self.sizes.append(len(states))
        told = []
        for state, window in zip(states, windows, strict=True):
            assert isinstance(state, Sum)
            state.total += float(window.sum())
            told.append(state.total)
        return told


def windows(*values: float) -> list[Samples]:
    """Windows of which each sums up to its value."""
    return [np.full(WINDOW, value / WINDOW, np.float32) for value in values]


@pytest.fixture
async def detector() -> SumDetector:
    return SumDetector()


@pytest.fixture
async def batcher(detector) -> AsyncIterator[VadBatcher]:
    batcher = VadBatcher(detector)
    yield batcher
    detector.gate.set()
    batcher.close()


async def judged(answer: asyncio.Future[list[float]]) -> list[float]:
    return await asyncio.wait_for(answer, TIMEOUT_S)


async def test_a_stream_alone_gets_one_probability_a_window(batcher):
    assert await judged(batcher.detect(batcher.new_state(), windows(1, 2, 3))) == pytest.approx([1, 3, 6])


async def test_state_is_kept_from_call_to_call(batcher):
    state = batcher.new_state()
    await judged(batcher.detect(state, windows(1)))
    assert await judged(batcher.detect(state, windows(2))) == pytest.approx([3])


async def test_streams_that_come_while_a_batch_runs_share_the_next_one(batcher, detector):
    detector.gate.clear()
    answers = [batcher.detect(batcher.new_state(), windows(*range(i + 1))) for i in range(5)]
    detector.gate.set()
    told = [await judged(answer) for answer in answers]
    assert told == [pytest.approx(np.cumsum(range(i + 1)).tolist()) for i in range(5)]
    assert detector.sizes == [1, 4, 4, 3, 2, 1]  # the first alone, then turn by turn


async def test_many_windows_of_one_stream_do_not_hold_up_another(batcher, detector):
    many = MAX_WINDOWS * 3 + 5
    detector.gate.clear()
    file = batcher.detect(batcher.new_state(), windows(*[1] * many))
    live = batcher.detect(batcher.new_state(), windows(7))
    detector.gate.set()
    assert await judged(live) == pytest.approx([7])
    assert not file.done()
    assert await judged(file) == pytest.approx(list(range(1, many + 1)))


async def test_a_short_window_counts_as_if_silence_followed(batcher):
    assert await judged(batcher.detect(batcher.new_state(), [np.ones(10, np.float32)])) == pytest.approx([10])


async def test_no_windows_give_no_probabilities(batcher):
    assert await judged(batcher.detect(batcher.new_state(), [])) == []


async def test_a_detector_that_fails_fails_this_batch_and_serves_the_next(batcher, detector):
    detector.error = RuntimeError("broken")
    failed = batcher.detect(batcher.new_state(), windows(1))
    with pytest.raises(RuntimeError, match="broken"):
        await judged(failed)
    detector.error = None
    assert await judged(batcher.detect(batcher.new_state(), windows(1))) == pytest.approx([1])


async def test_a_caller_that_gives_up_does_not_disturb_the_others(batcher, detector):
    detector.gate.clear()
    answers = [batcher.detect(batcher.new_state(), windows(1, 2)) for _ in range(3)]
    answers[0].cancel()
    answers[1].cancel()
    detector.gate.set()
    assert await judged(answers[2]) == pytest.approx([1, 3])


async def test_closing_cancels_what_waits_and_what_comes(detector):
    batcher = VadBatcher(detector)
    detector.gate.clear()
    answers = [batcher.detect(batcher.new_state(), windows(1)) for _ in range(3)]
    opener: Callable[[], None] = detector.gate.set
    threading.Timer(0.003, opener).start()
    batcher.close()
    answers.append(batcher.detect(batcher.new_state(), windows(1)))
    await asyncio.wait(answers, timeout=TIMEOUT_S)
    assert all(answer.cancelled() for answer in answers)


def pace(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr("rtc_stt.vad.batcher.PACE_S", seconds)
    monkeypatch.setattr("rtc_stt.vad.batcher.SHARE_S", seconds)


async def test_batches_begin_some_milliseconds_apart_so_that_many_share_one(batcher, detector, monkeypatch):
    pace(monkeypatch, 0.2)
    begun = asyncio.get_running_loop().time()
    await judged(batcher.detect(batcher.new_state(), windows(1)))
    answers = []
    for _ in range(5):
        answers.append(batcher.detect(batcher.new_state(), windows(1)))
        await asyncio.sleep(0)
    for answer in answers:
        await judged(answer)
    assert detector.sizes == [1, 5]
    assert 0.19 < asyncio.get_running_loop().time() - begun < TIMEOUT_S


async def test_a_full_batch_does_not_wait(batcher, detector, monkeypatch):
    pace(monkeypatch, 60)
    await judged(batcher.detect(batcher.new_state(), windows(1)))
    answers = [batcher.detect(batcher.new_state(), windows(1)) for _ in range(MAX_STREAMS)]
    for answer in answers:
        await judged(answer)
    assert detector.sizes == [1, MAX_STREAMS]


async def test_closing_forgets_the_batch_that_was_to_come(detector, monkeypatch):
    pace(monkeypatch, 0.01)
    batcher = VadBatcher(detector)
    await judged(batcher.detect(batcher.new_state(), windows(1)))
    waiting = batcher.detect(batcher.new_state(), windows(1))
    batcher.close()
    await asyncio.sleep(0.03)
    assert waiting.cancelled()
    assert detector.sizes == [1]


async def test_of_a_large_batch_a_few_hear_in_a_turn_of_the_loop_and_others_get_their_turn(
    batcher: VadBatcher, detector: SumDetector
) -> None:
    loop, turns, heard = asyncio.get_running_loop(), [0], list[int]()
    detector.gate.clear()
    first = batcher.detect(batcher.new_state(), windows(0.0))
    answers = [batcher.detect(batcher.new_state(), windows(float(n))) for n in range(MAX_STREAMS)]
    for answer in answers:
        answer.add_done_callback(lambda _: heard.append(turns[0]))

    def turn() -> None:
        turns[0] += 1
        if len(heard) < MAX_STREAMS:
            loop.call_soon(turn)

    detector.gate.set()
    await first
    turn()
    async with asyncio.timeout(TIMEOUT_S):
        assert await asyncio.gather(*answers) == [[float(n)] for n in range(MAX_STREAMS)]
    assert {heard.count(turn) for turn in heard} == {MAX_TOLD}


class Hasty(Batcher):
    """Has its answers before it is asked."""

    def new_state(self) -> DetectorState:
        return Sum()

    def _begin(self, batch: list[Job]) -> None:
        for job in batch:
            job.probabilities = [0.5]
        self._finish(batch, None)


async def test_nobody_is_told_before_who_asks_is_done() -> None:
    batcher, told = Hasty(), list[Judgement]()
    batcher.judge(batcher.new_state(), windows(1.0), told.append)
    assert not told
    await asyncio.sleep(0)
    assert told == [[0.5]]


async def test_who_cannot_take_a_judgement_keeps_it_from_nobody_else() -> None:
    def fail(_: Judgement) -> None:
        raise RuntimeError("broken")

    batcher, told = Hasty(), list[Judgement]()
    batcher.judge(batcher.new_state(), windows(1.0), fail)
    batcher.judge(batcher.new_state(), windows(1.0), told.append)
    async with asyncio.timeout(TIMEOUT_S):
        while not told:
            await asyncio.sleep(0.001)
    batcher.close()


async def test_closing_cancels_what_is_judged_and_not_told_yet(detector: SumDetector) -> None:
    batcher = VadBatcher(detector)
    detector.gate.clear()
    first = batcher.detect(batcher.new_state(), windows(0.0))
    answers = [batcher.detect(batcher.new_state(), windows(1.0)) for _ in range(MAX_STREAMS)]
    detector.gate.set()
    await first
    async with asyncio.timeout(TIMEOUT_S):
        while not any(answer.done() for answer in answers):
            await asyncio.sleep(0)
    batcher.close()
    assert {answer.cancelled() for answer in answers} == {False, True}
    assert all(answer.done() for answer in answers)
    await asyncio.sleep(0)
