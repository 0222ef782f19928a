"""What the SIP user agent and its shell say to each other: pure vocabulary.

The user agent is sans-IO: it is given messages and the time, and returns *effects*. The shell owns sockets
and media, and answers an :class:`Invited` or a :class:`Reoffered`, now or later, by ``accept`` or
``reject``::

    socket ──bytes──▶ UserAgent ──Invited──▶ shell: room? media? ──▶ UserAgent.accept(sdp) ──Send──▶ socket
    timer  ──now────▶           ──Ended────▶ shell: let go
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Confirmed",
    "Count",
    "Disconnect",
    "Effect",
    "Ended",
    "Flow",
    "Invitation",
    "Invited",
    "Pressed",
    "Reoffered",
    "Send",
]


@dataclass(frozen=True, slots=True)
class Flow:
    """Where messages come from and answers go to."""

    transport: str
    """``udp`` or ``tcp``."""
    address: str
    port: int
    connection: int = 0
    """Of TCP: which one; the shell numbers them."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an INVITE that may come in says. Texts have been cleaned and bounded."""

    call_id: str
    caller: str
    """The user of From, else its URI; display names are in :attr:`parameters`."""
    callee: str
    body: bytes
    content_type: str
    """In lower case, without parameters; empty where there is no body."""
    content_parameters: Mapping[str, str] = field(default_factory=dict)
    """``boundary`` …"""
    is_recording: bool = False
    """It asks for SIPREC (RFC 7866 §6.1: ``Require: siprec``)."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """``from_name``, ``user_agent``, and headers ``X-…`` by their names in lower case."""
    address: str = ""
    """Where it came from."""
    user: str = ""
    """Who it is by digest; empty where its address was enough."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message. A flow of TCP that is gone is no error."""

    flow: Flow
    data: bytes


@dataclass(frozen=True, slots=True)
class Invited:
    """A new call asks to come in; 100 Trying is on its way. The shell answers by ``accept`` or ``reject``."""

    dialog: str
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class Reoffered:
    """A call that stands offers other media (re-INVITE, UPDATE); answered likewise.

    An empty body asks for an offer of ours (RFC 3261 §14.2): the shell accepts with its current description,
    and the answer comes by :class:`Confirmed`. A body that is no SDP (metadata of SIPREC alone) may be
    accepted with an empty one.
    """

    dialog: str
    body: bytes
    content_type: str
    content_parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK of the 200 has come: the call stands. Comes again with each answer to an offer of ours."""

    dialog: str
    body: bytes = b""
    """The answer of the other side, where the offer was ours; else empty."""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over: let go of its media. Told once for every :class:`Invited`."""

    dialog: str
    reason: str
    """``hangup`` (BYE), ``cancelled``, ``no_ack``, ``session_expired``, ``rejected``, ``connection_lost``
    (before it was answered), or what ``hang_up`` was called with."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key, told by INFO (``application/dtmf-relay``) instead of RTP."""

    dialog: str
    digit: str
    """One of :data:`~signaling.telephony.call_source.DIGITS`."""
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Something was dropped or refused; for metrics."""

    reason: str
    """One of few: ``malformed``, ``oversize``, ``unlisted``, ``auth``, ``rate``, ``amplification``,
    ``stray``, ``full``, ``refused``."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close this TCP connection: what came over it is no SIP."""

    flow: Flow


Effect = Send | Invited | Reoffered | Confirmed | Ended | Pressed | Count | Disconnect
