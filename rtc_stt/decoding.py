"""What a session asks of whoever decodes for it: the decode pool of its own process, or of another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Urgency
from rtc_stt.load import Step

__all__ = ["Answer", "Decoder", "log_ids"]

Answer = Hypothesis | DecodeFailure


def log_ids(request: DecodeRequest) -> dict[str, str]:
    """By what lines of the log about a request are found, see :class:`rtc_stt.logs.IdLog`. A recording is no
    session: its lines have the id of the request that brought it."""
    is_session = request.urgency is not Urgency.RECORDING
    ids = {"session_id": request.stream_id} if is_session else {}
    return ids | ({"request_id": request.request_id} if request.request_id else {})


class Decoder(Protocol):
    """Called on the event loop only, and never blocks it."""

    @property
    def has_accurate_tier(self) -> bool:
        """Whether there is a tier to ask when in doubt."""
        ...

    @property
    def models(self) -> dict[str, str | None]:
        """Model names by tier; None where there is none."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """Languages that the fast tier knows."""
        ...

    @property
    def step(self) -> Step:
        """What is left out at present."""
        ...

    @property
    def accepts_sessions(self) -> bool:
        """Whether there is room for someone new."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether the fast tier is well; without it there are no finals."""
        ...

    @property
    def troubles(self) -> Sequence[str]:
        """What is wrong with the engines, in words for the operator."""
        ...

    def attach(
        self,
        stream_id: str,
        listener: Callable[[Answer], None],
        on_load: Callable[[Step], None] | None = None,
    ) -> None:
        """From now on answers to requests of this stream go to ``listener``, and changes of :attr:`step` to
        ``on_load``.
        """
        ...

    def detach(self, stream_id: str) -> None:
        """Nobody listens any more."""
        ...

    def submit(self, request: DecodeRequest) -> None:
        """Queue a request.

        It is answered, though never before this returns, unless it becomes stale first or is a request of
        the fast tier that is shed. None of those is a final.
        """
        ...

    async def aclose(self) -> None:
        """Start nothing more and wait for what runs, though not for ever."""
        ...
