"""What a dialect of media streams is: a carrier's or a PBX's messages as acts on a call. Pure vocabulary.

A WebSocket carries one call, and speaks one dialect. A :class:`StreamDialect` is given what the other side
sends, and returns *acts*: what the socket is to do, in this order. It knows no socket, no clock and no
engine, so a conversation can be replayed from a list::

    carrier ──message──▶ receive ──▶ Begin, Hear, Digit … ──▶ call, legs
    carrier ◀──Say────── tell    ◀── event ────────────────── legs

Nothing but :class:`Begin` opens a call: until then no audio is decoded, and none counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rtc_stt.events import Event
from signaling.audio_format import AudioFormat

__all__ = [
    "Act",
    "Bad",
    "Begin",
    "Digit",
    "Form",
    "HangUp",
    "Hear",
    "Hold",
    "Kind",
    "Leave",
    "Note",
    "Opening",
    "Packets",
    "Say",
    "StreamDialect",
    "Warn",
]


@dataclass(frozen=True, slots=True)
class Packets:
    """Audio of a codec that comes in packets: one payload in each :class:`Hear`."""

    codec: str
    """``G722`` or ``opus``, as in :data:`signaling.codecs.CODEC_NAMES`."""


Form = AudioFormat | Packets


@dataclass(frozen=True, slots=True)
class Begin:
    """There is a call. Comes once, before all that is about it. Texts need not be clean yet."""

    legs: tuple[str, ...]
    """Their labels: who will be heard. Others may come later, up to :data:`~signaling.telephony.call_source.
    MAX_LEGS`."""
    external_id: str = ""
    caller: str = ""
    callee: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What else was told, without the token and without what became an option."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Fields of a ``configure``; what is wrong with them is told on the legs."""
    token: str | None = field(default=None, repr=False)
    """Of ``POST /v1/tokens``, where the message brought one."""


@dataclass(frozen=True, slots=True)
class Hear:
    """Audio of a leg, of one channel. Where :class:`AudioFormat` says its form it may break off within a
    sample."""

    leg: str
    form: Form
    data: bytes = field(repr=False)
    at_ms: float | None = None
    """Its place on the call's clock; None: it goes on where the leg's last audio ended."""
    lost: bool = False
    """Whether what is missing before it was lost on the way, and was no silence."""


@dataclass(frozen=True, slots=True)
class Digit:
    """Somebody has pressed a key. See :meth:`signaling.telephony.call.Call.digit`."""

    leg: str
    digit: str
    duration_ms: int | None = None
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A party is put on hold, or taken back."""

    leg: str
    on: bool


@dataclass(frozen=True, slots=True)
class Note:
    """More has become known of the call."""

    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Warn:
    """Something is not as it should be, and whoever listens to the call should know."""

    code: str
    message: str
    leg: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """A message that cannot be understood. Before the call has begun that is the end; afterwards some are
    borne."""

    reason: str
    """For metrics, one of few: ``json``, ``payload``, ``field`` …"""
    words: str
    """What is wrong, at most 123 bytes. Nothing of the message is quoted."""


@dataclass(frozen=True, slots=True)
class Say:
    """Send this, as one message: text, or bytes as a binary one."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class HangUp:
    """The other side says that the call is over: what is open becomes final, then the socket is closed."""

    reason: str = "stopped"


@dataclass(frozen=True, slots=True)
class Leave:
    """It cannot go on: close the connection, and end the call."""

    code: int
    """Of a WebSocket (RFC 6455 §7.4)."""
    words: str
    """At most 123 bytes."""


Act = Begin | Hear | Digit | Hold | Note | Warn | Bad | Say | HangUp | Leave


class StreamDialect(Protocol):
    """One connection's. Nothing raises, whatever comes."""

    def receive(self, message: str | bytes) -> Sequence[Act]:
        """A message of the other side; of bytes where it was a binary one."""

    def play_out(self) -> Sequence[Act]:
        """Hand over the audio that waits for what comes before it: the call is about to end."""

    def tell(self, leg: str, event: Event) -> Sequence[Act]:
        """A leg was told this."""

    def end(self, reason: str) -> Sequence[Act]:
        """Last words: the call has ended, or none came about."""

    def farewell(self, reason: str) -> tuple[int, str]:
        """Code and words with which the WebSocket is closed, where no :class:`Leave` has said so."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known when the WebSocket opens."""

    query: Mapping[str, str] = field(default_factory=dict)
    """Of the URL, without what opens the door."""
    subprotocol: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A dialect that ``/v1/media/{dialect}`` speaks."""

    make: Callable[[Opening], StreamDialect]
    protocols: tuple[str, ...] = ()
    """Subprotocols of which one is chosen, where the other side offers any."""
    is_signed: bool = False
    """Whether its carrier signs the upgrade as Twilio does."""
