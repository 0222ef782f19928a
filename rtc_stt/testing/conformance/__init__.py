"""One suite for every way to a server: our protocol, the dialects, the plugins, and yours.

::

    ways ──audio, flush──▶ server            conversations: what is said, and how the network fails
      ◀──── told ─────────┘                  checks: what has to be true of all that was told

A *way* is a small adapter (:class:`Way`, :class:`Line`) whose traits say what can be asked of it.
:func:`check` holds a conversation with a way, and raises :class:`Violation` with everything that was told::

    for conversation in conversations(recordings):
        if conversation.suits(way.traits):
            await check(way, conversation, max_wer=0.1)

``python -m rtc_stt.testing.conformance --url URL`` does so with ways that need nothing installed.
"""

from __future__ import annotations

from rtc_stt.testing.conformance.checks import CHECKS, Case, complaints
from rtc_stt.testing.conformance.conversations import (
    Conversation,
    Fault,
    Flush,
    Play,
    Recording,
    conversations,
)
from rtc_stt.testing.conformance.runner import Violation, check, converse
from rtc_stt.testing.conformance.suite import Outcome, hold_all
from rtc_stt.testing.conformance.told import (
    Dropped,
    Eager,
    Ended,
    Failed,
    Final,
    Flushed,
    Partial,
    Record,
    Started,
    Stopped,
    Told,
)
from rtc_stt.testing.conformance.way import Hear, Line, Trait, Way, WayFailed

__all__ = [
    "CHECKS",
    "Case",
    "Conversation",
    "Dropped",
    "Eager",
    "Ended",
    "Failed",
    "Fault",
    "Final",
    "Flush",
    "Flushed",
    "Hear",
    "Line",
    "Outcome",
    "Partial",
    "Play",
    "Record",
    "Recording",
    "Started",
    "Stopped",
    "Told",
    "Trait",
    "Violation",
    "Way",
    "WayFailed",
    "check",
    "complaints",
    "conversations",
    "converse",
    "hold_all",
]
