"""The simulation against a real pool with real sessions, on a clock that jumps: no machine is slow in it.

Real are sessions, recognizers, detector, and the decode pool with queue, gauge and ladder. Not so are the
clock, and an engine that takes as long as it is told.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.call_trace import CallTrace
from rtc_stt.bench.clips import load
from rtc_stt.bench.manners import manner_of
from rtc_stt.bench.paced import PacedEngine
from rtc_stt.config import Endpointing
from rtc_stt.decode_lane import Lane
from rtc_stt.decode_pool import DecodePool
from rtc_stt.decode_queue import Ticket
from rtc_stt.hypothesis import Tier, Urgency
from rtc_stt.lanes import Run
from rtc_stt.percentiles import nearest_rank
from rtc_stt.session import Session, Speech
from rtc_stt.simulation import Setting
from rtc_stt.simulation.calls import Call, of_tier, rates, waits_ms
from rtc_stt.simulation.run import speak
from rtc_stt.simulation.service_times import MachineTimes, ServiceTimes
from rtc_stt.vad import VadBatcher
from rtc_stt.vad.energy import EnergyDetector

TIMES = ServiceTimes((1, 8), (0.5, 4.0), ((0.045, 0.08), (0.12, 0.24)), (0.8, 0.9, 1.0, 1.1, 1.4))
PAUSE_S = 1.0
NEAR = 0.15
WARM_UP_S = 5.0
FRAME = SAMPLE_RATE // 50


class JumpingSelector(selectors.DefaultSelector):
    """Does not wait: the clock jumps to where the loop would have been woken."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """See above."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class TimedLane(Lane):
    """Has its answers after the time that they take, in no thread."""

    chance: random.Random

    def start(self, batch: list[Ticket]) -> None:
        now = self._clock()
        run = Run(batch, now, now, self._generation)
        self._runs.add(run)
        longest_s = max(len(request.audio) for request in run.requests) / SAMPLE_RATE
        assert isinstance(self.engine, PacedEngine)
        answers = self.engine.hear(run.requests)
        seconds = TIMES.draw(len(batch), longest_s, self.chance)
        asyncio.get_running_loop().call_later(seconds, self._finish, run, answers, False)


class PromptVad(VadBatcher):
    """Judges at once."""

    def _tick(self) -> None:
        while self._jobs:
            batch, self._jobs = self._jobs[:64], self._jobs[64:]
            self._run(batch)
            for job in batch:
                asyncio.get_running_loop().call_soon(job.tell, job.probabilities)


async def _speak(speech: Speech, spoken: Sequence[Samples], until: float, seed: int) -> None:
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)
    session = Session(speech, lambda _: None, transport="test", clock=loop.time)
    session.start()
    await asyncio.sleep(chance.uniform(0, 2 * PAUSE_S))
    silence = np.zeros(round(PAUSE_S * SAMPLE_RATE), np.float32)
    due = loop.time()
    for frame in _frames(spoken, silence, chance):
        due += FRAME / SAMPLE_RATE
        if due > until:
            break
        await asyncio.sleep(due - loop.time())
        session.receive_audio(frame)
    session.finish("stopped")
    await session.ended


def _frames(spoken: Sequence[Samples], silence: Samples, chance: random.Random) -> Iterator[Samples]:
    while True:
        audio = np.concatenate([chance.choice(spoken), silence])
        yield from (audio[start : start + FRAME] for start in range(0, len(audio) - FRAME + 1, FRAME))


async def _real(sessions: int, seconds: float, spoken: Sequence[Samples]) -> list[Call]:
    clock: Callable[[], float] = asyncio.get_running_loop().time
    trace = CallTrace(clock=clock)
    chance = random.Random(1)

    def make(*, queued_s: Callable[[], float], **told: Any) -> TimedLane:
        lane = TimedLane(Tier.FAST, PacedEngine(TIMES), concurrency=1, hang_s=10.0, clock=clock, **told)
        lane.chance = chance
        return lane

    pool = DecodePool({}, concurrency=1, makers={Tier.FAST: make}, instrument=trace, clock=clock)
    speech = Speech(PromptVad(EnergyDetector()), pool, instrument=trace)
    until = clock() + WARM_UP_S + seconds
    begun = clock() + WARM_UP_S
    await asyncio.gather(*(_speak(speech, spoken, until, 100 * sessions + n) for n in range(sessions)))
    await speech.aclose()
    return [call for call in of_tier(trace.calls) if call.began >= begun]


@pytest.mark.slow
@pytest.mark.parametrize(("sessions", "seconds"), [(3, 80.0), (6, 100.0), (9, 150.0)])
def test_waits_and_what_makes_them_are_those_of_a_real_pool(sessions, seconds):
    spoken = [clip.audio() for clip in load("clean", limit=20)]
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        real = runner.run(_real(sessions, seconds, spoken))
    manner = manner_of(spoken, EnergyDetector(), Endpointing(), silence_s=PAUSE_S)
    setting = Setting(times=MachineTimes("told", 1, {Tier.FAST: TIMES}), manner=manner)
    runs = [
        speak(setting, sessions, seconds, seed, warm_up_s=WARM_UP_S, keep_calls=True).calls or []
        for seed in range(8)
    ]
    simulated = [call for run in runs for call in run]
    ours, theirs = rates(real, seconds, 1), rates(simulated, 8 * seconds, 1)
    assert theirs["calls_a_s"] == pytest.approx(ours["calls_a_s"], rel=0.1)
    assert theirs["requests_a_call"] == pytest.approx(ours["requests_a_call"], rel=0.1)
    for urgencies in ((Urgency.PARTIAL,), (Urgency.EAGER, Urgency.FINAL)):
        for percent in (50, 95):
            told = [nearest_rank(waits_ms(calls, *urgencies), percent) for calls in (simulated, real)]
            assert told[0] == pytest.approx(told[1], rel=NEAR), (urgencies, percent, told)
