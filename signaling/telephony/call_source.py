"""What a call is, and what carries one: pure vocabulary of all adapters.

A *call* has *legs*: one for each party that is heard by itself. Every leg has a recognizer of its own, and
all of them one clock, on which the call begins at 0. An adapter of a protocol is a :class:`CallSource`: it
opens a call at the :class:`~signaling.telephony.hub.CallHub`, puts audio and digits on its legs, and is told
what was heard, where its protocol has a way to say so::

    adapter ──audio, digits──▶ Leg ──▶ Session      Call ──▶ subscribers, webhooks
    adapter ◀── tell, hang_up ─ Call ◀── events ────────┘
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rtc_stt.events import EVENT_TYPES as SESSION_EVENT_TYPES
from rtc_stt.events import Event
from signaling.auth import OPEN

__all__ = [
    "AGENT",
    "CALLER",
    "DIGITS",
    "EVENT_TYPES",
    "MAX_LEGS",
    "MAX_NAME_CHARS",
    "MAX_PARAMETERS",
    "MAX_TEXT_CHARS",
    "REASONS",
    "CallDetails",
    "CallSource",
    "clean_label",
    "clean_parameters",
    "clean_text",
]

CALLER, AGENT = "caller", "agent"
"""Labels of legs where the protocol gives no others: who calls, and whoever answers."""

MAX_LEGS = 2
"""Of a call, at a time."""

DIGITS = frozenset("0123456789*#ABCD")
"""What a telephone can press (RFC 4733 §3.2), hook flash excepted."""

EVENT_TYPES = frozenset(
    {
        *(kind for kind in SESSION_EVENT_TYPES if not kind.startswith("session.")),
        *("call.started", "call.updated", "call.held", "call.retrieved", "call.ended"),
        *("leg.started", "leg.ended", "dtmf"),
    }
)
"""What a call tells: its own, and those of its legs."""

REASONS = frozenset(
    {
        *("hangup", "stopped", "closed", "cancelled", "refused", "removed"),  # theirs
        *("deleted", "drained", "no_room", "max_duration", "media_timeout", "session_expired", "no_ack"),
        *("bad_answer", "configure_timeout", "connection_lost", "error", "abuse", "malformed"),
        *("client_does_not_read", "server_error", "vad_failed", "overloaded", "bad_audio", "quota_exceeded"),
    }
)
"""Why calls end, as metrics tell it; what is none of these is ``other``."""

MAX_TEXT_CHARS = 256
"""Of a name, an address, an id or a value that the other side tells."""

MAX_PARAMETERS = 32
"""Of a call, each a name and a value."""

MAX_NAME_CHARS = 64
"""Of the name of a parameter, or the label of a leg."""


def clean_text(value: object) -> str:
    """What the other side says of a call, fit to be told on: one line, NFC, of bounded length."""
    text = "".join(c for c in str(value)[: 2 * MAX_TEXT_CHARS] if c.isprintable())
    return unicodedata.normalize("NFC", text)[:MAX_TEXT_CHARS]


def clean_parameters(values: Mapping[Any, object]) -> dict[str, str]:
    """Likewise of what it adds: texts by name, no more than :data:`MAX_PARAMETERS`."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if len(found) == MAX_PARAMETERS:
            break
        if isinstance(value, str | int | float | bool) and (key := clean_text(name)[:MAX_NAME_CHARS]):
            found[key] = clean_text(value)
    return found


def clean_label(value: object) -> str:
    """What the other side calls a party, fit for the label of a leg."""
    return clean_text(value)[:MAX_NAME_CHARS] or "leg"


@dataclass(frozen=True, slots=True)
class CallDetails:
    """What is known of a call when it begins. Texts have been through :func:`clean_text`."""

    source: str
    """The protocol, for metrics too, so one of few: ``sip``, ``siprec``, ``audiosocket``, ``twilio`` …"""
    external_id: str = ""
    """What the other side calls it: a SIP Call-ID, a call SID, a UUID."""
    caller: str = ""
    callee: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What else was told: custom parameters, headers, channel variables."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Of recognition, for all legs: the fields of a ``configure``."""
    owner: str = OPEN
    """The id of the key whose call it is: see :class:`~signaling.auth.Pass`."""
    address: str = ""
    """Where it came from, for limits; never told."""


class CallSource(Protocol):
    """What carries a call, as the call sees it. No method raises, waits or calls back at once."""

    def tell(self, leg: str, event: Event) -> None:
        """A leg was told this; for protocols with a way back. Its number and ids are those of the leg's
        session."""

    def play_out(self) -> None:
        """Hand over the audio that waits for packets before it: the call is about to end."""

    def hang_up(self, reason: str) -> None:
        """The call has ended here, and every final has been told: let go of it, and tell the other side."""
