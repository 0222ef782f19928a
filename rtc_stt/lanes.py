"""Who decodes for one tier, as the decode pool sees it: threads on an engine, HTTP services, replicas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer
from rtc_stt.hypothesis import DecodeRequest, Tier

__all__ = ["DecodeLane", "FastLane", "LaneMaker", "Run"]


@dataclass(slots=True, eq=False)
class Run:
    """Requests in one call of the engine."""

    batch: list[Ticket]
    began: float
    alive_at: float
    """When its thread last said that it goes on; written by the thread."""
    generation: int = 0
    """Of the engine: how often it had been loaded anew."""
    is_hung: bool = False

    @property
    def requests(self) -> list[DecodeRequest]:
        """What is decoded."""
        return [ticket.request for ticket in self.batch]


class DecodeLane(Protocol):
    """Who decodes for one tier, as the pool sees it. Called on the event loop only.

    It takes each run that is done, and its answers in order, to whoever made it; likewise that its health or
    the room that it has changed.
    """

    tier: Tier

    @property
    def name(self) -> str:
        """Of its model."""
        ...

    @property
    def is_present(self) -> bool:
        """Whether there is such a tier at all: of one that is elsewhere that may be known later."""
        ...

    @property
    def max_batch(self) -> int | None:
        """Requests that it takes in one call; None: as many as one likes."""
        ...

    @property
    def running(self) -> int:
        """Requests that are being decoded."""
        ...

    @property
    def free(self) -> int:
        """Calls that may begin now."""
        ...

    @property
    def is_usable(self) -> bool:
        """Whether a request will be decoded at all before something is mended."""
        ...

    @property
    def is_healthy(self) -> bool:
        """Whether all is well with it."""
        ...

    @property
    def trouble(self) -> str | None:
        """What is wrong, in words for the operator; None where nothing is."""
        ...

    def start(self, batch: list[Ticket]) -> None:
        """Decode these in one call; a slot must be free."""
        ...

    def check(self, now: float) -> list[Run]:
        """Give up the runs that hang. Returns them; the caller answers for them."""
        ...

    def forget(self, stream_id: str) -> list[Ticket]:
        """Nobody waits for these any more: break off what can be. Returns it: it is not answered."""
        ...

    def wake(self) -> None:
        """The event loop runs: begin what needs one, if it is not begun yet."""
        ...

    async def aclose(self, timeout: float) -> None:
        """Wait for what runs, at most so many seconds, and end."""
        ...


class FastLane(DecodeLane, Protocol):
    """That of the fast tier, on whose load the ladder goes up and down."""

    @property
    def languages(self) -> frozenset[str]:
        """Codes of the languages that it knows."""
        ...

    def utilisation(self, now: float) -> float:
        """Share of its slots' time that was busy since the last call, in [0, 1]."""
        ...


class LaneMaker(Protocol):
    """Makes the lane of a tier whose engine is not in this process.

    Args:
        done, changed: as of :class:`Lane`.
        queued_s: gives the seconds of audio that wait for this tier.
    """

    def __call__(
        self,
        *,
        done: Callable[[DecodeLane, Run, list[Answer]], None],
        changed: Callable[[DecodeLane], None],
        queued_s: Callable[[], float],
    ) -> FastLane:
        """The lane."""
        ...
