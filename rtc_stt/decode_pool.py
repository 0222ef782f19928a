"""The pump between the decode queue and the engines, and the watch over both.

While anything waits or runs, a timer looks every ``OBSERVE_S`` for decodes that hang and for too much to do;
in peace there is none.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rtc_stt.config import Fallback
from rtc_stt.decode_lane import Engine, threads
from rtc_stt.decode_queue import DecodeQueue, Ticket
from rtc_stt.decoding import Answer, log_ids
from rtc_stt.dispatch import OBSERVE_S, Gauge, batch_size
from rtc_stt.errors import trace
from rtc_stt.failover_lane import FailoverLane
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.instrument import Instrument
from rtc_stt.lanes import DecodeLane, FastLane, LaneMaker, Run
from rtc_stt.load import Effort, Ladder, Pressure, Step, effort_at
from rtc_stt.logs import IdLog
from rtc_stt.places import make_places

__all__ = ["Answer", "DecodePool", "Engine"]

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0
"""For running decodes to end. The longest takes less, and one that hangs never ends."""

MEBIBYTE = 2**20


class DecodePool:
    """Owns the queue and the engines' lanes. Called on the event loop only.

    Args:
        engines: by tier; :attr:`Tier.FAST` at least, or a maker of its lane.
        concurrency: calls of an engine at a time, each tier.
        max_batch: requests in one call, where the engine can.
        queue_limit, queue_limit_mb: what may wait, in requests and in MiB of audio.
        hang_s: a decode that takes longer hangs.
        patience_s: a request to the accurate tier that has waited longer is shed, since its final has not
            waited for it; None where it has.
        makers: of the lanes of tiers whose engines are not in this process.
        fallback: other machines that decode for the accurate tier, after this one or in its place.
        adaptive: whether to leave things out under load. Not where nobody waits: a file is transcribed
            as fast as the machine can.
    """

    def __init__(
        self,
        engines: Mapping[Tier, Engine],
        *,
        concurrency: int,
        max_batch: int = 8,
        queue_limit: int = 1_000,
        queue_limit_mb: int = 256,
        hang_s: float = 10.0,
        patience_s: float | None = None,
        makers: Mapping[Tier, LaneMaker] | None = None,
        fallback: Fallback | None = None,
        adaptive: bool = True,
        instrument: Instrument | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = DecodeQueue(
            max_batch=max_batch, limit=queue_limit, limit_bytes=queue_limit_mb * MEBIBYTE
        )
        self._instrument = instrument or Instrument()
        self._clock = clock
        self._max_batch = max_batch
        self._patience_s = patience_s
        self._ladder = Ladder() if adaptive else None
        calls: dict[str, Any] = {"concurrency": concurrency, "hang_s": hang_s, "clock": clock}
        local = {tier: partial(threads, tier, engine, **calls) for tier, engine in engines.items()}
        self._lanes: dict[Tier, DecodeLane] = {}
        self._fast_lane = self._make_lanes(local | dict(makers or {}), fallback)
        self._listeners: dict[str, Callable[[Answer], None]] = {}
        self._load_listeners: dict[str, Callable[[Step], None]] = {}
        self._drop_listeners: dict[str, Callable[[DecodeRequest], None]] = {}
        self._watchers: list[Callable[[], None]] = []
        self._watch: asyncio.TimerHandle | None = None
        self._gauge = Gauge()
        self._told_load: dict[Tier, tuple[int, int]] = {}
        self._is_dispatching = False  # in the loop's next turn
        self._closed = False
        for tier, lane in self._lanes.items():
            if lane.is_present:
                self._instrument.engine_health_changed(tier, True)

    def _make_lanes(self, makers: Mapping[Tier, LaneMaker], fallback: Fallback | None) -> FastLane:
        told: dict[str, Any] = {"done": self._finish, "changed": self._receive_health}
        queued_s = {tier: partial(self._queue.audio_s, tier) for tier in Tier}
        fast = makers[Tier.FAST](queued_s=queued_s[Tier.FAST], **told)
        self._lanes[Tier.FAST] = fast
        accurate = makers.get(Tier.ACCURATE)
        if fallback and fallback.urls:
            places = make_places(accurate, fallback, queued_s=queued_s[Tier.ACCURATE], clock=self._clock)
            self._lanes[Tier.ACCURATE] = FailoverLane(
                places, clock=self._clock, instrument=self._instrument, **told
            )
        elif accurate:
            self._lanes[Tier.ACCURATE] = accurate(queued_s=queued_s[Tier.ACCURATE], **told)
        return fast

    # ── What it is ────────────────────────────────────────────────────────────

    @property
    def has_accurate_tier(self) -> bool:
        """Whether there is a tier to ask when in doubt."""
        return self._is_present(Tier.ACCURATE)

    def _is_present(self, tier: Tier) -> bool:
        return tier in self._lanes and self._lanes[tier].is_present

    @property
    def models(self) -> dict[str, str | None]:
        """Model names by tier; None where there is none."""
        return {tier: self._lanes[tier].name if self._is_present(tier) else None for tier in Tier}

    @property
    def languages(self) -> frozenset[str]:
        """Languages that the fast tier knows."""
        return self._fast_lane.languages

    @property
    def step(self) -> Step:
        """What is left out at present."""
        return self._ladder.step if self._ladder else Step.NORMAL

    @property
    def effort(self) -> Effort:
        """What a stream may ask at present."""
        return effort_at(self.step)

    @property
    def accepts_sessions(self) -> bool:
        """Whether there is room for someone new."""
        return self.step < Step.REFUSE

    @property
    def is_ready(self) -> bool:
        """Whether the fast tier is well; without it there are no finals."""
        return self._lanes[Tier.FAST].is_healthy

    @property
    def troubles(self) -> list[str]:
        """What is wrong with the engines, in words for the operator."""
        return [trouble for lane in self._lanes.values() if (trouble := lane.trouble)]

    def snapshot(self) -> dict[str, Any]:
        """The state of queue and lanes, for people and dashboards."""
        return {
            "step": self.step.name.lower(),
            "queued_bytes": self._queue.bytes,
            "tiers": {
                str(tier): {
                    "model": lane.name,
                    "waiting": self._queue.waiting(tier),
                    "running": lane.running,
                    "healthy": lane.is_healthy,
                }
                for tier, lane in self._lanes.items()
                if lane.is_present
            },
        }

    def wake(self) -> None:
        """The event loop runs: begin to look for replicas, where they decode. Called by all that comes in;
        earlier by a server, which is not ready before it has found some."""
        for lane in self._lanes.values():
            lane.wake()

    # ── What comes in ────────────────────────────────────────────────────────────

    def attach(
        self,
        stream_id: str,
        listener: Callable[[Answer], None],
        on_load: Callable[[Step], None] | None = None,
        on_drop: Callable[[DecodeRequest], None] | None = None,
    ) -> None:
        """From now on answers to requests of this stream go to ``listener``, on the event loop.

        Args:
            on_load: called at each change of :attr:`step`.
            on_drop: takes each request that will not be answered: stale, or shed.
        """
        self.wake()
        self._listeners[stream_id] = listener
        if on_load:
            self._load_listeners[stream_id] = on_load
        if on_drop:
            self._drop_listeners[stream_id] = on_drop

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call this after each change of :attr:`step`, :attr:`is_ready` or :attr:`troubles`."""
        self._watchers.append(watcher)

    def detach(self, stream_id: str) -> None:
        """Nobody listens any more; what waits is forgotten, what runs is broken off or answered to nobody."""
        self._listeners.pop(stream_id, None)
        self._load_listeners.pop(stream_id, None)
        self._drop_listeners.pop(stream_id, None)
        for request in self._queue.forget(stream_id):
            self._instrument.decode_dropped(request)
        broken_off = [ticket.request for lane in self._lanes.values() for ticket in lane.forget(stream_id)]
        for request in broken_off:
            self._queue.done(request)
            self._instrument.decode_dropped(request)
        if broken_off:
            self._dispatch_soon()
        self._tell_load()

    def submit(self, request: DecodeRequest) -> None:
        """Queue a request.

        It is answered, though never before this returns, unless it becomes stale first or is a request of
        the fast tier that is shed. None of those is a final.
        """
        if self._closed:
            return
        pushed = self._queue.push(request, self._clock())
        for stale in pushed.stale:
            self._instrument.decode_dropped(stale)
            self._tell_dropped(stale)
        for shed in pushed.shed:
            self._shed(shed)
        self._dispatch_soon()

    async def aclose(self) -> None:
        """Start nothing more and wait for what runs, since it cannot be interrupted; but not for ever."""
        self._closed = True
        self._listeners.clear()
        self._load_listeners.clear()
        self._drop_listeners.clear()
        self._watchers.clear()
        if self._watch:
            self._watch.cancel()
        await asyncio.gather(*(lane.aclose(CLOSE_TIMEOUT_S) for lane in self._lanes.values()))

    # ── Decoding ────────────────────────────────────────────────────────────

    def _dispatch_soon(self) -> None:
        """In the loop's next turn: streams that were judged by the detector or answered together ask in the
        same one, and can share a call.
        """
        if not self._is_dispatching:
            self._is_dispatching = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_dispatching = False
        if self._closed:
            return
        for tier, lane in self._lanes.items():
            while (ready := self._queue.ready(tier)) and (free := lane.free) > 0:
                if not (batch := self._take(lane, ready, free)):
                    break
                self._start(lane, batch)
            if not lane.is_usable:
                for request in self._queue.clear(tier):
                    self._fail(request, lane.trouble or "out of order", 0.0)
        self._tell_load()
        self._keep_watch()

    def _take(self, lane: DecodeLane, ready: int, free: int) -> list[Ticket]:
        """What one of the free slots begins. Where people speak, recordings leave them one slot of several: a
        call cannot be interrupted, and a long one would hold up a final.
        """
        recordings = self._ladder is None or free > 1 or lane.running == 0
        most = self._max_batch if lane.max_batch is None else min(lane.max_batch, self._max_batch)
        return self._queue.pop(lane.tier, batch_size(ready, free, most), recordings=recordings)

    def _start(self, lane: DecodeLane, batch: list[Ticket]) -> None:
        now = self._clock()
        for ticket in batch:
            self._instrument.decode_started(ticket.request, self._gauge.begin(ticket, now))
        self._instrument.batch_started(lane.tier, len(batch))
        lane.start(batch)

    def _finish(self, lane: DecodeLane, run: Run, answers: list[Answer]) -> None:
        infer_s = self._clock() - run.began
        for ticket in run.batch:
            self._queue.done(ticket.request)
        for ticket, answer in zip(run.batch, answers, strict=True):
            self._instrument.decode_finished(answer, infer_s)
            if isinstance(answer, Hypothesis):
                queue_ms = round(max(0.0, run.began - ticket.since) * 1000)
                infer_ms, batch = round(infer_s * 1000), len(run.batch)
                answer = dataclasses.replace(answer, queue_ms=queue_ms, infer_ms=infer_ms, batch=batch)
            self._deliver(answer)
        self._dispatch_soon()

    def _deliver(self, answer: Answer) -> None:
        listener = self._listeners.get(answer.request.stream_id)
        if listener:
            try:
                listener(answer)
            except Exception as error:  # the others in its batch wait for theirs
                told = IdLog(log, **log_ids(answer.request))
                told.error("an answer could not be taken: %s", trace(error))

    def _answer_soon(self, failure: DecodeFailure) -> None:
        """Not at once: who is answered may be just about to submit more."""
        asyncio.get_running_loop().call_soon(self._deliver, failure)

    def _fail(self, request: DecodeRequest, error: str, infer_s: float) -> None:
        failure = DecodeFailure(request, error)
        self._instrument.decode_finished(failure, infer_s)
        self._answer_soon(failure)

    def _shed(self, request: DecodeRequest) -> None:
        self._instrument.decode_shed(request)
        # A partial is followed by the next, an eager request by the final; nobody waits for their answers.
        if request.tier is Tier.ACCURATE:
            self._answer_soon(DecodeFailure(request, "no capacity", shed=True))
        else:
            self._tell_dropped(request)

    def _tell_dropped(self, request: DecodeRequest) -> None:
        if on_drop := self._drop_listeners.get(request.stream_id):
            on_drop(request)

    # ── Watching ────────────────────────────────────────────────────────────

    def _keep_watch(self) -> None:
        if self._watch is None and not self._is_calm:
            self._look(self._clock())  # the time before does not count
            self._watch = asyncio.get_running_loop().call_later(OBSERVE_S, self._observe)

    @property
    def _is_calm(self) -> bool:
        return self.step is Step.NORMAL and not any(
            lane.running or self._queue.waiting(tier) for tier, lane in self._lanes.items()
        )

    def _observe(self) -> None:
        self._watch = None
        if self._closed:
            return
        now = self._clock()
        for lane in self._lanes.values():
            for run in lane.check(now):
                for ticket in run.batch:
                    self._queue.done(ticket.request)
                    self._fail(ticket.request, "the decode hangs", now - run.began)
        if self._patience_s is not None:
            for request in self._queue.clear(Tier.ACCURATE, before=now - self._patience_s):
                self._shed(request)
        self._climb(now)
        if not self._is_calm:
            self._watch = asyncio.get_running_loop().call_later(OBSERVE_S, self._observe)
        self._dispatch_soon()

    def _climb(self, now: float) -> None:
        pressure = self._look(now)
        if self._ladder is None:
            return
        before, step = self._ladder.step, self._ladder.observe(now, pressure)
        if step is before:
            return
        log.warning("load: from %s to %s", before.name, step.name)
        self._queue.few_partials = step >= Step.FEW_PARTIALS
        self._instrument.load_changed(before, step)
        for listener in list(self._load_listeners.values()):
            listener(step)
        self._tell_watchers()

    def _tell_watchers(self) -> None:
        for watcher in self._watchers:
            watcher()

    def _look(self, now: float) -> Pressure:
        """How the fast tier has fared since the last look."""
        return self._gauge.look(now, self._queue, self._fast_lane.utilisation(now))

    def _receive_health(self, lane: DecodeLane) -> None:
        if lane.is_present:
            self._instrument.engine_health_changed(lane.tier, lane.is_healthy)
        self._tell_watchers()
        self._dispatch_soon()

    def _tell_load(self) -> None:
        for tier, lane in self._lanes.items():
            load = self._queue.waiting(tier), lane.running
            if load != self._told_load.get(tier):
                self._told_load[tier] = load
                self._instrument.queue_changed(tier, *load)
