"""One machine: the queue, its slots, the ladder, and those who speak into it. Pure."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.config import Routing, StreamOptions
from rtc_stt.decode_queue import DecodeQueue, Ticket
from rtc_stt.dispatch import OBSERVE_S, Gauge, batch_size
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from rtc_stt.load import Effort, Ladder, Step, effort_at
from rtc_stt.simulation.calls import Asked, Call
from rtc_stt.simulation.lanes import Lane, LocalLane, Work
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


class Node:
    """See above.

    Args:
        seed: of everything that is left to chance.
        lanes: who decodes; by default engines of its own.
        keep_calls: whether every call is noted, in :attr:`calls`.
    """

    def __init__(
        self,
        timeline: Timeline,
        setting: Setting,
        seed: int = 0,
        *,
        lanes: Mapping[Tier, Lane] | None = None,
        keep_calls: bool = False,
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
        self._lanes = lanes or self._engines()
        self._has_accurate = Tier.ACCURATE in self._lanes
        self._ladder = Ladder()
        self._gauge = Gauge()
        self._effort = self._effort_at(Step.NORMAL)
        self._speakers: dict[str, Speaker] = {}
        self._staying: list[Speaker] = []
        self._count = 0
        self._is_dispatching = False
        self._is_dead = False
        timeline.after(OBSERVE_S, self._observe)

    @property
    def step(self) -> Step:
        """What is left out at present."""
        return self._ladder.step

    @property
    def queued_audio_s(self) -> float:
        """Seconds of audio that wait."""
        return self._queue.bytes / 4 / SAMPLE_RATE

    def queued_audio_of(self, tier: Tier) -> float:
        """Seconds of audio that wait for one tier."""
        return self._queue.audio_s(tier)

    def _engines(self) -> dict[Tier, Lane]:
        times = self._setting.times

        def stretch() -> float:
            return times.stretch(self.sessions)

        return {
            tier: LocalLane(self._time, table, times.concurrency, self._chance, stretch)
            for tier, table in times.tiers.items()
        }

    @property
    def sessions(self) -> int:
        """Those that are here to stay."""
        return len(self._staying)

    def add_speaker(self) -> None:
        """Somebody more speaks, from now on."""
        name = f"s{self._count}"
        self._count += 1
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
        self._staying.append(speaker)
        speaker.begin()

    def remove_speaker(self) -> None:
        """The newest finishes the turn, and goes."""
        self._staying.pop().leave()

    def _may_ask(self) -> Effort:
        return self._effort

    def _effort_at(self, step: Step) -> Effort:
        effort = effort_at(step)
        return effort if self._has_accurate else dataclasses.replace(effort, redecode=False)

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
        while self._staying:
            self.remove_speaker()

    def die(self) -> None:
        """Nobody here asks for anything more, and nothing is answered."""
        self.leave()
        self._is_dead = True
        self._speakers.clear()

    # ── Decoding ────────────────────────────────────────────────────────────

    def _submit(self, request: DecodeRequest) -> None:
        self._time.after(self._setting.overhead_s / 2, lambda: self._push(request))

    def _push(self, request: DecodeRequest) -> None:
        if self._is_dead:
            return
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
        for tier, lane in self._lanes.items():
            while (free := lane.free) > 0:
                batch = self._queue.pop(
                    tier, batch_size(self._queue.ready(tier), free, self._setting.max_batch)
                )
                if not batch:
                    break
                self._begin(tier, lane, batch)

    def _begin(self, tier: Tier, lane: Lane, batch: list[Ticket]) -> None:
        now = self._time.now
        for ticket in batch:
            self._gauge.begin(ticket, now)
        longest_s = max(len(ticket.request.audio) for ticket in batch) / SAMPLE_RATE
        stream = int(batch[0].request.stream_id[1:])
        lane.start(Work(len(batch), longest_s, stream), lambda: self._finish(tier, now, batch))

    def _finish(self, tier: Tier, began: float, batch: list[Ticket]) -> None:
        if self._is_dead:
            return
        now = self._time.now
        if self.calls is not None:
            self.calls.append(_told(tier, began, now - began, batch))
        for ticket in batch:
            self._queue.done(ticket.request)
            if tier is Tier.FAST:
                is_partial = ticket.request.urgency is Urgency.PARTIAL
                waits = self.waits.partials if is_partial else self.waits.final_decodes
                waits.append(now - ticket.since)
            self._answer(ticket.request)
        self._dispatch_soon()

    def _answer(self, request: DecodeRequest) -> None:
        speaker = self._speakers[request.stream_id]
        self._time.after(self._setting.overhead_s / 2, lambda: speaker.receive(request))

    # ── Load ────────────────────────────────────────────────────────────

    def _observe(self) -> None:
        if self._is_dead:
            return
        now = self._time.now
        utilisation = self._lanes[Tier.FAST].utilisation(now)
        pressure = self._gauge.look(now, self._queue, utilisation)
        if self._setting.adaptive:
            before, step = self._ladder.step, self._ladder.observe(now, pressure)
            if step is not before:
                self._queue.few_partials = step >= Step.FEW_PARTIALS
                self._effort = self._effort_at(step)
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
