"""What one gateway has to know of a session to go on with it where another has died. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rtc_stt.events import Event

__all__ = ["Handover", "Sheet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """How far a session is."""

    seq: int
    """Of the newest event."""
    position: int
    """Media time of the audio received so far, in samples."""
    utterances: int
    """How many have begun."""
    options: Mapping[str, object] = field(default_factory=dict)
    """What is not as the server has it by default, as a ``configure`` would say it."""
    muted: bool = False
    heard_s: float = 0.0
    """Seconds of audio that this gateway has had of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Where a session goes on, and what its client may have missed."""

    seq: int
    """Numbers go on behind this one, or behind those of the events."""
    position: int
    """Media time goes on here, in samples."""
    utterances: int
    """Ids of utterances go on behind this one."""
    options: Mapping[str, object] = field(default_factory=dict)
    """See :attr:`Sheet.options`."""
    muted: bool = False
    events: tuple[Event, ...] = ()
    """In the order of their numbers, without a gap, behind ``seq``."""
    are_all: bool = True
    """Whether nothing else has been told that the client has not seen, for all that is known."""
    gap_ms: int = 0
    """Since the other gateway was last known to live."""
