"""Where the accurate tier may be: the engine of this machine, and the services of ``FALLBACK_URL``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from rtc_stt.config import Fallback
from rtc_stt.decode_lane import Answer, Engine, Lane, Run
from rtc_stt.decode_queue import Ticket
from rtc_stt.failover import Outcome, Setback
from rtc_stt.hypothesis import Hypothesis, Tier
from rtc_stt.remote_lane import RemoteLane, Reply

__all__ = ["LOCAL", "Place", "PlaceMaker", "make_places"]

LOCAL = 0
"""The place on this machine. The others are numbered from 1, in their order."""


class Place(Protocol):
    """Somebody who decodes: face of :class:`~rtc_stt.remote_lane.RemoteLane`."""

    title: str
    """What it is called in errors."""
    model: str | None
    """Name of its model, where it is known."""

    @property
    def can_batch(self) -> bool:
        """Whether it takes several requests in one call."""
        ...

    @property
    def free(self) -> int:
        """Calls that may begin now."""
        ...

    @property
    def trouble(self) -> str | None:
        """Where it knows itself that it is out of order: what is wrong, in words for the operator."""
        ...

    def start(self, batch: list[Ticket]) -> None:
        """Decode these."""
        ...

    def forget(self, stream_id: str) -> list[Ticket]:
        """Break off what can be broken off for a stream. Returns it: it is not replied to."""
        ...

    def check(self, now: float) -> None:
        """Reply to what hangs."""
        ...

    async def aclose(self, timeout: float) -> None:
        """Come to an end within so many seconds."""
        ...


PlaceMaker = Callable[[Callable[[Run, list[Reply]], None], Callable[[], None]], Place]
"""Makes a place, given who takes its replies (as of ``RemoteLane``) and who is told that it has changed."""


def make_places(
    engine: Engine | None,
    fallback: Fallback,
    *,
    concurrency: int,
    hang_s: float,
    clock: Callable[[], float],
) -> dict[int, PlaceMaker]:
    """The engine of this machine, if there is one, and each fallback service."""
    makers: dict[int, PlaceMaker] = {}
    if engine is not None:
        local = engine
        makers[LOCAL] = lambda done, changed: _LocalPlace(
            local, concurrency=concurrency, hang_s=hang_s, clock=clock, done=done, changed=changed
        )
    for number, url in enumerate(fallback.urls, LOCAL + 1):
        title = "the fallback" if len(fallback.urls) == 1 else f"the fallback at place {number}"
        makers[number] = partial(_make_remote, url, title, fallback, clock)
    return makers


def _make_remote(
    url: str,
    title: str,
    fallback: Fallback,
    clock: Callable[[], float],
    done: Callable[[Run, list[Reply]], None],
    _changed: Callable[[], None],
) -> RemoteLane:
    return RemoteLane(
        url,
        title=title,
        api_key=fallback.api_key,
        timeout_s=fallback.timeout_ms / 1000,
        clock=clock,
        done=done,
    )


class _LocalPlace:
    """A :class:`Place` of this machine's engine and its threads."""

    title = "the accurate model"

    def __init__(
        self,
        engine: Engine,
        *,
        concurrency: int,
        hang_s: float,
        clock: Callable[[], float],
        done: Callable[[Run, list[Reply]], None],
        changed: Callable[[], None],
    ) -> None:
        self.model: str | None = engine.name
        self._done = done
        self._lane = Lane(
            Tier.ACCURATE,
            engine,
            concurrency=concurrency,
            hang_s=hang_s,
            clock=clock,
            done=lambda _, run, answers: done(run, [_reply(answer) for answer in answers]),
            changed=lambda _: changed(),
        )

    @property
    def can_batch(self) -> bool:
        return self._lane.can_batch

    @property
    def free(self) -> int:
        return self._lane.free

    @property
    def trouble(self) -> str | None:
        return self._lane.trouble

    def start(self, batch: list[Ticket]) -> None:
        self._lane.start(batch)

    def forget(self, stream_id: str) -> list[Ticket]:
        return []  # a thread cannot be interrupted

    def check(self, now: float) -> None:
        for run in self._lane.check(now):
            self._done(run, [Setback(Outcome.TIMEOUT, "hangs")] * len(run.batch))

    async def aclose(self, timeout: float) -> None:
        await self._lane.aclose(timeout)


def _reply(answer: Answer) -> Reply:
    if isinstance(answer, Hypothesis):
        return answer
    return Setback(Outcome.ERROR, f"fails: {answer.error}")
