"""What the doors (WHIP, SmallWebRTC) say to the rooms behind them, and what they hear: pure vocabulary.

A *call* is one offer of one client. A :class:`Host` answers it: the :class:`~signaling.registry.Registry` of
this process, or the fleet of media workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rtc_stt.events import Event
from rtc_stt.handover import Handover, Sheet
from signaling.dialects.dialect import Beginning

__all__ = [
    "Call",
    "Caller",
    "Connected",
    "Fragment",
    "Health",
    "Host",
    "Keeper",
    "Meter",
    "Resume",
    "Watcher",
]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as limits go. Never told to anyone."""

    key_id: str
    """Names the key (or the key that made the token) without telling it; ``open`` where none is asked for."""
    address: str
    """Where the request came from, as text."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The wish to go on with a session."""

    token: str
    last_seq: int
    """The last event that the client has seen; 0 for none."""


@dataclass(frozen=True, slots=True)
class Call:
    """An offer that has passed the sanitiser."""

    sdp: str
    resume: Resume | None = None
    beginning: Beginning = Beginning()
    """What else the client said, for the dialect of its data channel."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """Of the request that brought it, for the log and the trace; see :func:`rtc_stt.logs.bound`."""


@dataclass(frozen=True, slots=True)
class Connected:
    """An answer to a call."""

    peer_id: str
    """Names the WHIP resource; whoever knows it may end the session, so it cannot be guessed."""
    session_id: str
    """The same for every connection of a session."""
    sdp: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """Trickled candidates (RFC 8840): what one PATCH brings."""

    candidates: tuple[str, ...]
    """Values of ``a=candidate``, without the name; sanitised."""
    ufrag: str | None = None
    """The ICE generation that they belong to, where told."""
    end: bool = False
    """No more will come."""


@dataclass(frozen=True, slots=True)
class Health:
    """What ``/v1/ready`` tells."""

    ready: bool
    sessions: int
    load: str
    """The name of the load step, in lower case."""
    troubles: Sequence[str] = ()
    draining: bool = False


Watcher = Callable[[str, str], None]
"""Told ``(session_id, what)``: ``connected`` when a connection stands, ``lost`` when a session begins to wait
for its client, ``ended`` when it is over."""


Meter = Callable[[str, float], None]
"""Told ``(session_id, seconds)``: so much audio a session has had since the last time, silence and muted
audio included, lost audio not. While it has any at least every ten seconds, and before ``ended``."""


class Keeper(Protocol):
    """Who writes down how far sessions are, so that another gateway can go on. Nothing waits or raises."""

    hears: bool
    """Whether it wants to be told of events, and of what is acknowledged."""

    def began(self, session_id: str, token: str, transport: str) -> None:
        """A session is about to begin; ``token`` is the digest of its resume token."""

    def told(self, session_id: str, event: Event) -> None:
        """It has told an event."""

    def acknowledged(self, session_id: str, seq: int) -> None:
        """Its client has seen all up to this number."""

    def sheets(self, sheets: Mapping[str, Sheet]) -> None:
        """How far sessions are; of each at least every two seconds."""


class Host(Protocol):
    """Where calls end up."""

    watch: Watcher | None
    """Set by the door, as is …"""
    meter: Meter | None
    """… who counts what sessions hear."""
    keeper: Keeper | None
    """Set where there are other gateways."""
    draining: bool

    async def connect(self, call: Call) -> Connected:
        """Answer an offer.

        Raises:
            Unavailable: overloaded, out of order, or draining.
            BadRequest, Unprocessable: the offer cannot be answered.
            NotFound: there is no session to resume.
        """
        ...

    async def trickle(self, peer_id: str, fragment: Fragment) -> None:
        """Add candidates.

        Raises:
            NotFound: there is no such connection, or it has ended.
            Unprocessable: the fragment belongs to another ICE generation (a restart is not offered).
        """
        ...

    async def renegotiate(self, peer_id: str, sdp: str) -> Connected:
        """Answer a further offer on a connection that stands.

        Raises:
            NotFound, BadRequest, Unprocessable: see above; the connection goes on as it was.
        """
        ...

    async def disconnect(self, peer_id: str) -> None:
        """End the session of a connection; what is open is finalised first. One that has ended is no error.

        Raises:
            NotFound: there never was such a connection, or its end was long ago.
        """
        ...

    async def adopt(self, token: str, handover: Handover) -> None:
        """Go on with a session that another gateway has begun; its client is about to resume it.

        Args:
            token: its resume token, which begins with the session's id.

        Raises:
            Unavailable: not now, or not here.
        """
        ...

    def expel(self, session_id: str, code: str, message: str) -> None:
        """End a session with a fatal error event; one that there is no more is no error."""
        ...

    async def drain(self, seconds: float) -> None:
        """Admit nobody, let every open utterance have its final, and end all sessions within ``seconds``."""
        ...

    def health(self) -> Health:
        """How it is."""
        ...
