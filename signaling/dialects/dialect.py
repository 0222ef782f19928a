"""What a dialect is: our events and commands in the words of another protocol. Pure vocabulary.

Every connection speaks one. Its :class:`Dialect` is given what the client says and what the session tells,
and returns *acts*: what the carrier of the connection is to do, in this order. It knows no socket, no clock
and no engine, so a conversation can be replayed from a file::

    client ──message──▶ receive ──▶ Ask, Hear ──▶ session
    client ◀──Say────── tell    ◀── event ─────── session

Time is media time: events carry ``at_ms``, and who emits :class:`Hear` knows how much audio that was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rtc_stt.commands import Command
from rtc_stt.events import Event
from signaling.audio_format import AudioFormat

__all__ = ["MAX_TEXT_CHARS", "Act", "Ask", "Beginning", "Dialect", "Hear", "Leave", "Relay", "Say", "Speak"]


@dataclass(frozen=True, slots=True)
class Say:
    """Send this text to the client, as one message."""

    text: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Give this command to the session."""

    command: Command


@dataclass(frozen=True, slots=True)
class Relay:
    """Give this message to the session as it is: it is one of ``rtc-stt.v1``."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class Hear:
    """Audio of the client. It may break off within a sample: what follows goes on from there."""

    form: AudioFormat
    data: bytes


@dataclass(frozen=True, slots=True)
class Leave:
    """Send what is to be sent, and close the connection; the session ends. A data channel closes with it."""

    code: int
    """Of a WebSocket (RFC 6455 §7.4); a data channel has none."""
    words: str
    """At most 123 bytes."""


Act = Say | Ask | Relay | Hear | Leave


class Dialect(Protocol):
    """One connection's. Nothing raises: what is wrong with a message of the client is answered."""

    @property
    def resumes(self) -> bool:
        """Whether its client is told the token with which a lost session is taken up again."""

    @property
    def tick(self) -> str | None:
        """A message that its client ignores, for data channels: see :data:`signaling.data_channel.TICK`."""

    def begin(self) -> Sequence[Act]:
        """The connection stands. Comes before anything else; what is asked is asked once the session has
        been started."""

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """A message of the client; of bytes where it was a binary one."""

    def tell(self, event: Event) -> Sequence[Act]:
        """An event of the session, ``session.started`` first and ``session.ended`` last."""

    def farewell(self, reason: str) -> tuple[int, str]:
        """Code and words with which a WebSocket is closed, where no :class:`Leave` has said so.

        Args:
            reason: of ``session.ended``, or why the connection is given up.
        """


MAX_TEXT_CHARS = 16_384


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known when a connection begins."""

    request_id: str = ""
    """Of the HTTP request that began it."""
    now: float = 0.0
    """When that was, in seconds since 1970."""
    text: str = ""
    """What the client said with that request, as far as it is about the session; checked at the door, and
    never longer than :data:`MAX_TEXT_CHARS`. What is in it, the dialect knows."""


Speak = Callable[[Beginning], Dialect]
"""Makes the dialect of a connection."""
