"""Where the accurate tier may be: the engine of this machine or its replicas, and the services of
``FALLBACK_URL``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from rtc_stt.config import Fallback
from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer
from rtc_stt.failover import Outcome, Setback
from rtc_stt.hypothesis import Hypothesis
from rtc_stt.lanes import LaneMaker, Run
from rtc_stt.remote_lane import RemoteLane, Reply

__all__ = ["LOCAL", "Place", "PlaceMaker", "make_places"]

LOCAL = 0
"""The place on this machine, or of its replicas. The others are numbered from 1, in their order."""


class Place(Protocol):
    """Somebody who decodes: face of :class:`~rtc_stt.remote_lane.RemoteLane`."""

    title: str
    """What it is called in errors."""

    @property
    def model(self) -> str | None:
        """Name of its model, where it is known."""
        ...

    @property
    def max_batch(self) -> int | None:
        """Requests that it takes in one call; None: as many as one likes."""
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

    def wake(self) -> None:
        """The event loop runs: begin what needs one."""
        ...

    async def aclose(self, timeout: float) -> None:
        """Come to an end within so many seconds."""
        ...


PlaceMaker = Callable[[Callable[[Run, list[Reply]], None], Callable[[], None]], Place]
"""Makes a place, given who takes its replies (as of ``RemoteLane``) and who is told that it has changed."""


def make_places(
    local: LaneMaker | None,
    fallback: Fallback,
    *,
    queued_s: Callable[[], float],
    clock: Callable[[], float],
) -> dict[int, PlaceMaker]:
    """The engine of this machine or its replicas, if there are any, and each fallback service."""
    makers: dict[int, PlaceMaker] = {}
    if local is not None:
        makers[LOCAL] = partial(_LocalPlace, local, queued_s)
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
    """A :class:`Place` of this machine's engine and its threads, or of replicas."""

    title = "the accurate model"

    def __init__(
        self,
        make_lane: LaneMaker,
        queued_s: Callable[[], float],
        done: Callable[[Run, list[Reply]], None],
        changed: Callable[[], None],
    ) -> None:
        self._done = done
        self._lane = make_lane(
            done=lambda _, run, answers: done(run, [_reply(answer) for answer in answers]),
            changed=lambda _: changed(),
            queued_s=queued_s,
        )

    @property
    def model(self) -> str | None:
        return self._lane.name if self._lane.is_present else None

    @property
    def max_batch(self) -> int | None:
        return self._lane.max_batch

    @property
    def free(self) -> int:
        return self._lane.free

    @property
    def trouble(self) -> str | None:
        return self._lane.trouble if self._lane.is_present else "there is no replica of the accurate tier"

    def start(self, batch: list[Ticket]) -> None:
        self._lane.start(batch)

    def forget(self, stream_id: str) -> list[Ticket]:
        return self._lane.forget(stream_id)

    def check(self, now: float) -> None:
        for run in self._lane.check(now):
            self._done(run, [Setback(Outcome.TIMEOUT, "hangs")] * len(run.batch))

    def wake(self) -> None:
        self._lane.wake()

    async def aclose(self, timeout: float) -> None:
        await self._lane.aclose(timeout)


def _reply(answer: Answer) -> Reply:
    if isinstance(answer, Hypothesis):
        return answer
    return Setback(Outcome.ERROR, f"fails: {answer.error}")
