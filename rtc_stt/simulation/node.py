"""One machine: the queue, its slots, the ladder, and those who speak into it. Pure."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass, field

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.config import Routing, StreamOptions
from rtc_stt.decode_queue import DecodeQueue, Ticket
from rtc_stt.dispatch import OBSERVE_S, Gauge, batch_size
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from rtc_stt.load import Effort, Ladder, Step, effort_at
from rtc_stt.simulation.calls import Asked, Call
from rtc_stt.simulation.manner import Manner
from rtc_stt.simulation.service_times import MachineTimes
from rtc_stt.simulation.speaker import Speaker, Waits
from rtc_stt.simulation.timeline import Timeline

__all__ = ["Node", "Setting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is simulated."""

    times: MachineTimes
    manner: Manner = field(default_factory=Manner)
    options: StreamOptions = field(default_factory=StreamOptions)
    routing: Routing = field(default_factory=Routing)
    max_batch: int = 8
    queue_limit: int = 1_000
    """Requests that may wait."""
    overhead_s: float = 0.0
    """From asking to the queue and from the engine to the session, together: a network between them, or a
    loop that is busy."""
    adaptive: bool = True
    """Whether things are left out under load."""


class _Slots:
    """The calls of one tier's engine."""

    def __init__(self, count: int) -> None:
        self.count = self.free = count
        self._busy_s = 0.0
        self._began: dict[int, float] = {}
        self._looked_at = 0.0
        self._number = 0

    def begin(self, now: float) -> int:
        self.free -= 1
        self._number += 1
        self._began[self._number] = now
        return self._number

    def end(self, number: int, now: float) -> None:
        self.free += 1
        self._busy_s += now - max(self._began.pop(number), self._looked_at)

    def utilisation(self, now: float) -> float:
        """Since the last look, in [0, 1]."""
        busy_s = self._busy_s + sum(now - max(began, self._looked_at) for began in self._began.values())
        passed = (now - self._looked_at) * self.count
        self._busy_s, self._looked_at = 0.0, now
        return min(1.0, busy_s / passed) if passed > 0 else 0.0


class Node:
    """See above.

    Args:
        seed: of everything that is left to chance.
        keep_calls: whether every call is noted, in :attr:`calls`.
    """

    def __init__(
        self, timeline: Timeline, setting: Setting, seed: int = 0, *, keep_calls: bool = False
    ) -> None:
        self.waits = Waits()
        self.utilisations: list[float] = []
        """Of the fast tier, between two looks."""
        self.steps: list[Step] = []
        """At each look."""
        self.calls: list[Call] | None = [] if keep_calls else None
        self._time = timeline
        self._setting = setting
        self._chance = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self._queue = DecodeQueue(max_batch=setting.max_batch, limit=setting.queue_limit)
        self._slots = {tier: _Slots(setting.times.concurrency) for tier in setting.times.tiers}
        self._has_accurate = Tier.ACCURATE in setting.times.tiers
        self._ladder = Ladder()
        self._gauge = Gauge()
        self._effort = effort_at(Step.NORMAL)
        self._speakers: dict[str, Speaker] = {}
        self._stretch = setting.times.stretch(0)
        self._is_dispatching = False
        timeline.after(OBSERVE_S, self._observe)

    @property
    def step(self) -> Step:
        """What is left out at present."""
        return self._ladder.step

    @property
    def queued_audio_s(self) -> float:
        """Seconds of audio that wait."""
        return self._queue.bytes / 4 / SAMPLE_RATE

    def add_speaker(self) -> None:
        """Somebody more speaks, from now on."""
        name = f"s{len(self._speakers)}"
        speaker = Speaker(
            name,
            self._time,
            manner=self._setting.manner,
            options=self._setting.options,
            chance=random.Random(self._chance.random()),  # noqa: S311
            submit=self._submit,
            effort=self._may_ask,
            waits=self.waits,
            deadline_s=self._setting.routing.redecode_deadline_ms / 1000,
        )
        self._speakers[name] = speaker
        self._stretch = self._setting.times.stretch(len(self._speakers))
        speaker.begin()

    def _may_ask(self) -> Effort:
        return self._effort if self._has_accurate else dataclasses.replace(self._effort, redecode=False)

    @property
    def waits_for(self) -> int:
        """Finals that have been spoken and are not there."""
        return sum(speaker.waits_for for speaker in self._speakers.values())

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._queue.waiting(Tier.FAST)

    def leave(self) -> None:
        """Nobody begins another turn."""
        for speaker in self._speakers.values():
            speaker.leave()

    # ── Decoding ────────────────────────────────────────────────────────────

    def _submit(self, request: DecodeRequest) -> None:
        self._time.after(self._setting.overhead_s / 2, lambda: self._push(request))

    def _push(self, request: DecodeRequest) -> None:
        pushed = self._queue.push(request, self._time.now)
        for gone in (*pushed.stale, *pushed.shed):
            self._speakers[gone.stream_id].drop(gone)
        self._dispatch_soon()

    def _dispatch_soon(self) -> None:
        """What is asked for at one time can share a call."""
        if not self._is_dispatching:
            self._is_dispatching = True
            self._time.after(0.0, self._dispatch)

    def _dispatch(self) -> None:
        self._is_dispatching = False
        for tier, slots in self._slots.items():
            while slots.free:
                most = batch_size(self._queue.ready(tier), slots.free, self._setting.max_batch)
                batch = self._queue.pop(tier, most)
                if not batch:
                    break
                self._begin(tier, slots, batch)

    def _begin(self, tier: Tier, slots: _Slots, batch: list[Ticket]) -> None:
        for ticket in batch:
            self._gauge.begin(ticket, self._time.now)
        number = slots.begin(self._time.now)
        longest_s = max(len(ticket.request.audio) for ticket in batch) / SAMPLE_RATE
        seconds = self._stretch * self._setting.times.tiers[tier].draw(len(batch), longest_s, self._chance)
        if self.calls is not None:
            self.calls.append(_told(tier, self._time.now, seconds, batch))
        self._time.after(seconds, lambda: self._finish(slots, number, batch))

    def _finish(self, slots: _Slots, number: int, batch: list[Ticket]) -> None:
        slots.end(number, self._time.now)
        for ticket in batch:
            self._queue.done(ticket.request)
            if ticket.request.tier is Tier.FAST:
                is_partial = ticket.request.urgency is Urgency.PARTIAL
                waits = self.waits.partials if is_partial else self.waits.final_decodes
                waits.append(self._time.now - ticket.since)
            self._answer(ticket.request)
        self._dispatch_soon()

    def _answer(self, request: DecodeRequest) -> None:
        speaker = self._speakers[request.stream_id]
        self._time.after(self._setting.overhead_s / 2, lambda: speaker.receive(request))

    # ── Load ────────────────────────────────────────────────────────────

    def _observe(self) -> None:
        now = self._time.now
        utilisation = self._slots[Tier.FAST].utilisation(now)
        pressure = self._gauge.look(now, self._queue, utilisation)
        if self._setting.adaptive:
            step = self._ladder.observe(now, pressure)
            self._queue.few_partials = step >= Step.FEW_PARTIALS
            self._effort = effort_at(step)
        self.utilisations.append(utilisation)
        self.steps.append(self._ladder.step)
        self._time.after(OBSERVE_S, self._observe)


def _told(tier: Tier, began: float, seconds: float, batch: list[Ticket]) -> Call:
    return Call(
        tier,
        began,
        seconds,
        tuple(
            Asked(ticket.request.urgency, len(ticket.request.audio) / SAMPLE_RATE, began - ticket.since)
            for ticket in batch
        ),
    )
