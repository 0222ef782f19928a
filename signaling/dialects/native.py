"""``rtc-stt.v1`` itself, over a data channel: nothing is translated. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rtc_stt.events import Event
from rtc_stt.wire import encode_event
from signaling.dialects.dialect import Act, Beginning, Relay, Say
from signaling.stream_protocol import close_code

__all__ = ["LABEL", "Native"]

LABEL = "rtc-stt"
"""Of the data channel."""


class Native:
    """See :class:`~signaling.dialects.dialect.Dialect`."""

    resumes = True
    tick = '{"type":"tick"}'

    def __init__(self, _: Beginning) -> None:
        pass

    def begin(self) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return ()

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return (Relay(message),)

    def tell(self, event: Event) -> Sequence[Act]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return (Say(encode_event(event)),)

    def farewell(self, reason: str) -> tuple[int, str]:
        """See :class:`~signaling.dialects.dialect.Dialect`."""
        return close_code(reason), reason
