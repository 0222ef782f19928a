"""What tests of the live stream tell a dialect, and how they read what it says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rtc_stt import testing
from rtc_stt.commands import Command, Finalize
from rtc_stt.events import (
    Decision,
    DropReason,
    Event,
    Finalized,
    Pong,
    Route,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.hypothesis import Tier, Word
from signaling.audio_format import AudioFormat
from signaling.dialects.deepgram.conversation import Deepgram
from signaling.dialects.deepgram.query import Live
from signaling.dialects.dialect import Act, Ask, Beginning, Say

FORM = AudioFormat("pcm_s16le", 16_000, 1)
FINALIZE = '{"type":"Finalize"}'
ENDED = SessionEnded(at_ms=3_000, reason="stopped")
BEGINNING = Beginning("f00", 1_700_000_000.0)


def dialect(**asked: Any) -> Deepgram:
    """One that has begun and asks for this."""
    made = Deepgram(Live(FORM, **({"interim_results": True, "vad_events": True} | asked)), BEGINNING)
    made.begin()
    made.tell(SessionStarted(at_ms=0, session_id="s", resume_token="t", models={"fast": "small"}))
    return made


def audio(seconds: float) -> bytes:
    return bytes(round(seconds * 16_000) * 2)


def started(number: int, start_ms: int) -> SpeechStarted:
    return SpeechStarted(at_ms=start_ms + 64, utterance_id=number, audio_start_ms=start_ms)


def partial(number: int, text: str, end_ms: int, stable: int = 0) -> TranscriptPartial:
    return TranscriptPartial(
        at_ms=end_ms,
        utterance_id=number,
        revision=1,
        text=text,
        stable_chars=stable,
        audio_end_ms=end_ms,
        language="en",
    )


def final(number: int, text: str, start_ms: int, end_ms: int, **more: Any) -> TranscriptFinal:
    words = text.split()
    each = (end_ms - start_ms) // max(1, len(words))
    times = [(start_ms + i * each, start_ms + (i + 1) * each) for i in range(len(words))]
    fields: dict[str, Any] = {
        "at_ms": end_ms + 500,
        "words": tuple(Word(w, a, b, 0.9) for w, (a, b) in zip(words, times, strict=True)),
        "confidence": 0.93,
        "model": "medium",
        "tier": Tier.ACCURATE,
        "route": Route(Decision.REDECODED),
        "audio_start_ms": start_ms,
        "audio_end_ms": end_ms,
    }
    return testing.final(text, number, **(fields | more))


def dropped(number: int, at_ms: int) -> UtteranceDropped:
    return UtteranceDropped(at_ms=at_ms, utterance_id=number, reason=DropReason.NO_SPEECH)


def stopped(number: int, end_ms: int) -> SpeechStopped:
    return SpeechStopped(at_ms=end_ms + 500, utterance_id=number, audio_end_ms=end_ms)


def said(acts: Sequence[Act]) -> list[dict[str, Any]]:
    return [json.loads(act.text) for act in acts if isinstance(act, Say)]


def asked(acts: Sequence[Act]) -> list[Command]:
    return [act.command for act in acts if isinstance(act, Ask)]


def finalize(speaks: Deepgram) -> str:
    (command,) = asked(speaks.receive(FINALIZE))
    assert isinstance(command, Finalize)
    return command.id


def answered(name: str, utterance: int | None, at_ms: int = 900) -> Finalized:
    return Finalized(at_ms=at_ms, id=name, utterance_id=utterance)


def pong(at_ms: int) -> Pong:
    return Pong(at_ms=at_ms, id="utterance-end")


def short(message: dict[str, Any]) -> tuple[Any, ...]:
    """A message as a line of a script."""
    if message["type"] != "Results":
        rest = message.get("timestamp", message.get("last_word_end"))
        return (message["type"], *([] if rest is None else [rest]))
    (heard,) = message["channel"]["alternatives"]
    marks = [name for name in ("is_final", "speech_final", "from_finalize") if message[name]]
    return (heard["transcript"], *marks)


def tell(speaks: Deepgram, *events: Event) -> list[tuple[Any, ...]]:
    """What it says to these events, as lines of a script."""
    return [short(message) for event in events for message in said(speaks.tell(event))]
