"""Our own events in the words of the suite. Pure."""

from __future__ import annotations

from rtc_stt.events import (
    Event,
    Finalized,
    SessionEnded,
    SessionError,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.testing.conformance.told import (
    Dropped,
    Eager,
    Ended,
    Failed,
    Final,
    Flushed,
    Partial,
    Started,
    Stopped,
    Told,
)
from rtc_stt.testing.conformance.way import Trait

__all__ = ["OPTIONS", "OURS", "EventReader"]

OURS = frozenset(
    {Trait.TURNS, Trait.STARTS, Trait.UTTERANCES, Trait.PARTIALS, Trait.STABLE, Trait.FLUSH, Trait.FLUSHES}
)
"""What every way of our own protocol promises."""

OPTIONS: dict[str, object] = {
    "language": "en",
    "endpointing": {"min_silence_ms": 500, "speculate_after_ms": 200},
}
"""Fields of ``configure``: the pauses of the conversations are made for them."""


class EventReader:
    """One client. A session that begins anew counts its utterances from 1: their names say whose they are."""

    def __init__(self) -> None:
        self._sessions = 0

    def read(self, event: Event) -> Told | None:
        """What an event tells; None where the suite has no word for it."""
        match event:
            case SessionStarted():
                self._sessions += 1
            case SpeechStarted(utterance_id=id):
                return Started(self._name(id))
            case SpeechStopped(utterance_id=id):
                return Stopped(self._name(id))
            case TranscriptPartial(utterance_id=id):
                return Partial(event.text, event.stable_chars, self._name(id))
            case TranscriptEager(utterance_id=id):
                return Eager(event.text, self._name(id))
            case TranscriptFinal(utterance_id=id):
                return Final(event.text, self._name(id))
            case UtteranceDropped(utterance_id=id):
                return Dropped(utterance=self._name(id))
            case Finalized():
                return Flushed()
            case SessionError(fatal=True):
                return Failed(f"error {event.code}")
            case SessionEnded(reason="stopped"):
                return Ended()
            case SessionEnded():
                return Failed(f"the session ended: {event.reason}")
        return None

    def _name(self, utterance_id: int) -> str:
        return f"{self._sessions}.{utterance_id}"
