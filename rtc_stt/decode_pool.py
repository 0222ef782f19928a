"""The pump between the decode queue and the engines: a thread for each decode that may run at a time."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from rtc_stt.decode_queue import DecodeQueue, Ticket
from rtc_stt.errors import DecodeError, trace
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.instrument import Instrument

__all__ = ["Answer", "DecodePool", "Engine"]

log = logging.getLogger(__name__)

Answer = Hypothesis | DecodeFailure


class Engine(Protocol):
    """A speech model. ``decode`` blocks, and is called from several threads at a time."""

    name: str
    languages: frozenset[str]
    """Codes of the languages it knows."""

    def decode(self, request: DecodeRequest) -> Hypothesis:
        """Decode one request.

        Raises:
            DecodeError: it could not; any other exception counts as one.
        """
        ...


@dataclass(slots=True)
class _Lane:
    """One tier: its engine and the threads it may use."""

    engine: Engine
    executor: ThreadPoolExecutor
    concurrency: int
    running: int = 0


class DecodePool:
    """Owns the queue and the threads. Called on the event loop only."""

    def __init__(
        self,
        engines: Mapping[Tier, Engine],
        *,
        concurrency: int,
        instrument: Instrument | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = DecodeQueue()
        self._lanes = {
            tier: _Lane(engine, ThreadPoolExecutor(concurrency, f"decode-{tier}"), concurrency)
            for tier, engine in engines.items()
        }
        self._listeners: dict[str, Callable[[Answer], None]] = {}
        self._instrument = instrument or Instrument()
        self._clock = clock
        self._closed = False

    @property
    def has_accurate_tier(self) -> bool:
        """Whether there is a tier to ask when in doubt."""
        return Tier.ACCURATE in self._lanes

    @property
    def models(self) -> dict[str, str | None]:
        """Model names by tier; None where there is none."""
        return {tier: self._lanes[tier].engine.name if tier in self._lanes else None for tier in Tier}

    @property
    def languages(self) -> frozenset[str]:
        """Languages that the fast tier knows."""
        return self._lanes[Tier.FAST].engine.languages

    def attach(self, stream_id: str, listener: Callable[[Answer], None]) -> None:
        """From now on answers to requests of this stream go to ``listener``, on the event loop."""
        self._listeners[stream_id] = listener

    def detach(self, stream_id: str) -> None:
        """Nobody listens any more; what waits is forgotten, what runs is answered to nobody."""
        self._listeners.pop(stream_id, None)
        for request in self._queue.forget(stream_id):
            self._instrument.decode_dropped(request)
        self._tell_load()

    def submit(self, request: DecodeRequest) -> None:
        """Queue a request. It is answered unless it becomes stale first."""
        if self._closed:
            return
        for stale in self._queue.push(request, self._clock()):
            self._instrument.decode_dropped(stale)
        self._dispatch()

    async def aclose(self) -> None:
        """Start nothing more and wait for what runs; a decode cannot be interrupted."""
        self._closed = True
        self._listeners.clear()
        loop = asyncio.get_running_loop()
        for lane in self._lanes.values():
            await loop.run_in_executor(None, lane.executor.shutdown)

    def _dispatch(self) -> None:
        for tier, lane in self._lanes.items():
            while not self._closed and lane.running < lane.concurrency:
                ticket = self._queue.pop(tier)
                if ticket is None:
                    break
                self._start(lane, ticket)
        self._tell_load()

    def _start(self, lane: _Lane, ticket: Ticket) -> None:
        lane.running += 1
        started = self._clock()
        queued_s = max(0.0, started - ticket.since)
        self._instrument.decode_started(ticket.request, queued_s)
        run = asyncio.get_running_loop().run_in_executor(lane.executor, _decode, lane.engine, ticket.request)

        def finish(done: asyncio.Future[Answer]) -> None:
            lane.running -= 1
            self._queue.done(ticket.request)
            infer_s = self._clock() - started
            self._deliver(done.result(), queued_s, infer_s)
            self._dispatch()

        run.add_done_callback(finish)

    def _deliver(self, answer: Answer, queued_s: float, infer_s: float) -> None:
        self._instrument.decode_finished(answer, infer_s)
        if isinstance(answer, Hypothesis):
            answer = dataclasses.replace(
                answer, queue_ms=round(queued_s * 1000), infer_ms=round(infer_s * 1000)
            )
        listener = self._listeners.get(answer.request.stream_id)
        if listener:
            listener(answer)

    def _tell_load(self) -> None:
        for tier, lane in self._lanes.items():
            self._instrument.queue_changed(tier, self._queue.waiting(tier), lane.running)


def _decode(engine: Engine, request: DecodeRequest) -> Answer:
    """In the thread. Whatever goes wrong in an engine becomes a failure of this one request."""
    try:
        return engine.decode(request)
    except DecodeError as error:
        log.warning("%s could not decode a request of %d ms: %s", engine.name, request.duration_ms, error)
        return DecodeFailure(request, str(error))
    except BaseException as error:  # in a thread of ours none of them means what it does elsewhere
        log.error("%s failed on a request of %d ms: %s", engine.name, request.duration_ms, trace(error))
        return DecodeFailure(request, type(error).__name__)
