"""Queue and ladder together, on a machine of our own: what becomes of speakers when they are far too many."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.decode_queue import DecodeQueue, Ticket
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from rtc_stt.load import Ladder, Pressure, Step, effort_at
from tests.harness import request

SLOTS, MAX_BATCH, LIMIT = 2, 8, 200
TICK = 0.125
SPEECH_S, PAUSE_S, INTERVAL_S = 3.0, 1.5, 0.25
AUDIO = np.zeros(round(SPEECH_S * SAMPLE_RATE), np.float32)


def cost_s(batch: list[Ticket]) -> float:
    """As a small model on a core: the encoder by audio, the decoder nearly once a batch."""
    longest = max(len(t.request.audio) for t in batch) / SAMPLE_RATE
    return 0.02 * longest * len(batch) + 0.03 * longest * (1 + 0.1 * len(batch))


class Town:
    """Speakers, the queue, the threads and the ladder on one clock that only events move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.queue = DecodeQueue(max_batch=MAX_BATCH, limit=LIMIT)
        self.ladder = Ladder()
        self.free = SLOTS
        self.finals: dict[tuple[str, int], float] = {}  # when each was asked for
        self.final_waits: list[float] = []
        self.partials = {"done": 0, "shed": 0}
        self.steps: list[tuple[float, Step]] = []
        self.most_waiting = 0
        self.leaving_at = math.inf
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._busy_s = self._longest_final = self._longest_partial = 0.0
        self._after(TICK, self._look)

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._count), call))

    def run(self, until: float) -> None:
        while self._events[0][0] <= until:
            self.now, _, call = heapq.heappop(self._events)
            call()
        self.now = until

    def add_speakers(self, count: int) -> None:
        for number in range(count):
            self._after(number * 4.5 / count, lambda name=f"s{number}": self._begin(name, 1))

    def _begin(self, name: str, utterance: int) -> None:
        if self.now < self.leaving_at:
            self._after(INTERVAL_S, lambda: self._speak(name, utterance, 1, self.now))

    def _speak(self, name: str, utterance: int, revision: int, asked_at: float) -> None:
        heard_s = revision * INTERVAL_S
        if heard_s < SPEECH_S:
            stretch = effort_at(self.ladder.step).partial_stretch
            if revision % stretch == 0:
                audio = AUDIO[: round(heard_s * SAMPLE_RATE)]
                self._push(request(name, utterance, revision, urgency=Urgency.PARTIAL, audio=audio))
            self._after(INTERVAL_S, lambda: self._speak(name, utterance, revision + 1, asked_at))
            return
        self.finals[name, utterance] = self.now
        self._push(request(name, utterance, revision, urgency=Urgency.FINAL, audio=AUDIO))
        self._after(PAUSE_S, lambda: self._begin(name, utterance + 1))

    def _push(self, asked: DecodeRequest) -> None:
        pushed = self.queue.push(asked, self.now)
        self.partials["shed"] += len(pushed.shed)
        assert not any(r.urgency is Urgency.FINAL for r in (*pushed.stale, *pushed.shed))
        self.most_waiting = max(self.most_waiting, self.queue.waiting(Tier.FAST))
        self._dispatch()

    def _dispatch(self) -> None:
        while self.free:
            batch = self.queue.pop(Tier.FAST, math.ceil(self.queue.ready(Tier.FAST) / self.free))
            if not batch:
                return
            self.free -= 1
            for ticket in batch:
                wait = self.now - ticket.since
                if ticket.request.urgency is Urgency.FINAL:
                    self._longest_final = max(self._longest_final, wait)
                else:
                    self._longest_partial = max(self._longest_partial, wait)
            seconds = cost_s(batch)
            self._busy_s += seconds  # near enough
            self._after(seconds, lambda batch=batch: self._finish(batch))

    def _finish(self, batch: list[Ticket]) -> None:
        self.free += 1
        for ticket in batch:
            self.queue.done(ticket.request)
            if ticket.request.urgency is Urgency.FINAL:
                name = ticket.request.stream_id, ticket.request.utterance_id
                self.final_waits.append(self.now - self.finals.pop(name))
            else:
                self.partials["done"] += 1
        self._dispatch()

    def _look(self) -> None:
        waits = [
            max(longest, 0.0 if since is None else self.now - since)
            for longest, since in (
                (self._longest_final, self.queue.oldest(Tier.FAST, Urgency.FINAL, Urgency.EAGER)),
                (self._longest_partial, self.queue.oldest(Tier.FAST, Urgency.PARTIAL)),
            )
        ]
        utilisation = min(1.0, self._busy_s / (SLOTS * TICK))
        self._busy_s = self._longest_final = self._longest_partial = 0.0
        before = self.ladder.step
        step = self.ladder.observe(self.now, Pressure(utilisation, *waits, self.queue.fill))
        self.queue.few_partials = step >= Step.FEW_PARTIALS
        if step is not before:
            self.steps.append((self.now, step))
        self._after(TICK, self._look)


def test_few_speakers_get_all_they_ask_for():
    town = Town()
    town.add_speakers(6)
    town.run(60)
    assert town.steps == []
    assert town.partials["shed"] == 0
    assert sorted(town.final_waits)[int(0.95 * len(town.final_waits))] < 0.5


@pytest.mark.parametrize("speakers", [24, 48, 96])
def test_far_too_many_speakers_all_get_their_finals_and_peace_returns(speakers):
    town = Town()
    town.add_speakers(speakers)
    town.run(60)
    assert len(town.final_waits) > speakers * 9, "nobody is left behind"
    p95 = sorted(town.final_waits)[int(0.95 * len(town.final_waits))]
    assert p95 < 1.0
    assert town.steps, "something was left out"
    assert town.partials["done"] > 0
    assert town.most_waiting <= LIMIT
    town.leaving_at = town.now
    town.run(75)
    assert town.finals == {}, "every final came"
    assert town.ladder.step is Step.NORMAL
    assert town.steps[-1][0] < 60 + PAUSE_S + SPEECH_S + 10
