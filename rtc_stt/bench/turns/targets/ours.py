"""Our own events in the words of the benchmark, and the options that it sets. Pure."""

from __future__ import annotations

from rtc_stt.bench.turns.told import Dropped, Eager, Endpoint, Failed, Final, Partial, Resumed, Told
from rtc_stt.config import Endpointing
from rtc_stt.events import (
    Decision,
    Event,
    SessionEnded,
    SessionError,
    SpeechResumed,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)

__all__ = ["configuration", "tell"]

DEGRADED = frozenset({Decision.REDECODE_FAILED, Decision.REDECODE_TIMEOUT, Decision.REDECODE_SHED})
"""The text should have been decoded again, and was not."""


def tell(event: Event) -> Told | None:
    """What an event says; None where the benchmark has no word for it."""
    match event:
        case TranscriptPartial():
            return Partial(event.text, event.stable_chars, str(event.utterance_id), event.audio_end_ms)
        case TranscriptEager():
            return Eager(event.text, str(event.utterance_id))
        case SpeechResumed():
            return Resumed(str(event.utterance_id))
        case SpeechStopped():
            return Endpoint(str(event.utterance_id))
        case TranscriptFinal():
            return Final(event.text, str(event.utterance_id), event.route.decision in DEGRADED)
        case UtteranceDropped():
            return Dropped(event.reason.value, str(event.utterance_id))
        case SessionError(fatal=True):
            return Failed(f"error {event.code}")
        case SessionEnded():
            return Failed(f"the session ended: {event.reason}")
    return None


def configuration(hangover_ms: int, language: str | None) -> dict[str, object]:
    """Fields of ``configure`` for a session that is measured.

    The final decode must not begin after the end of the hangover, so a short one draws that along.
    """
    early_ms = min(Endpointing().speculate_after_ms, hangover_ms)
    options: dict[str, object] = {
        "endpointing": {"min_silence_ms": hangover_ms, "speculate_after_ms": early_ms}
    }
    return options | ({"language": language} if language else {})
