"""One buffer at a time: what became of a recording as one FINAL."""

from __future__ import annotations

import math
from collections.abc import Iterable

from livekit.agents import LanguageCode
from livekit.agents.stt import SpeechData, SpeechEvent, SpeechEventType
from livekit.agents.types import TimedString

from rtc_stt.audio import Samples
from rtc_stt.client import LocalSession, Result
from rtc_stt.events import SessionError, TranscriptFinal
from rtc_stt.hypothesis import Word
from rtc_stt.plugins.livekit.errors import session_error
from rtc_stt.plugins.livekit.options import Options
from rtc_stt.session import Speech
from rtc_stt.stabilizer import join_texts

__all__ = ["of_recording", "of_result"]


def of_result(result: Result, language: str | None) -> SpeechEvent:
    """What a server has heard; ``language`` is told where it has heard nothing."""
    segments = result.transcript.segments
    data = SpeechData(
        language=LanguageCode(result.language or language or ""),
        text=result.text,
        start_time=segments[0].start_ms / 1000 if segments else 0.0,
        end_time=segments[-1].end_ms / 1000 if segments else 0.0,
        confidence=_mean((s.confidence, s.end_ms - s.start_ms) for s in segments),
        words=_words(word for s in segments for word in s.words),
        metadata={"model": result.final_model, "total_ms": result.total_ms, "degraded": result.degraded},
    )
    return SpeechEvent(
        SpeechEventType.FINAL_TRANSCRIPT, request_id=result.request_id or "", alternatives=[data]
    )


async def of_recording(engine: Speech, samples: Samples, options: Options) -> SpeechEvent:
    """What an engine in this process makes of it.

    Raises:
        APIError: it failed.
    """
    async with LocalSession(engine, transport="file") as session:
        await session.configure(**options.configure(), partials=False)
        await session.send(samples)
        await session.stop()
        told = [event async for event in session]
    if failures := [event for event in told if isinstance(event, SessionError)]:
        raise session_error(failures[0].code, failures[0])
    finals = [event for event in told if isinstance(event, TranscriptFinal)]
    data = SpeechData(
        language=LanguageCode(finals[0].language if finals else options.language or ""),
        text=join_texts(final.text for final in finals),
        start_time=finals[0].audio_start_ms / 1000 if finals else 0.0,
        end_time=finals[-1].audio_end_ms / 1000 if finals else 0.0,
        confidence=_mean((f.confidence, f.audio_end_ms - f.audio_start_ms) for f in finals),
        words=_words(word for f in finals for word in f.words),
        metadata={"model": "+".join(dict.fromkeys(f.model for f in finals))},
    )
    return SpeechEvent(
        SpeechEventType.FINAL_TRANSCRIPT, request_id=session.session_id or "", alternatives=[data]
    )


def _words(words: Iterable[Word]) -> list[TimedString] | None:
    timed = [
        TimedString(w.word.strip(), w.start_ms / 1000, w.end_ms / 1000, confidence=w.probability)
        for w in words
    ]
    return timed or None


def _mean(weighed: Iterable[tuple[float, int]]) -> float:
    """Of values and their weights; 0 where there are none."""
    pairs = list(weighed)
    total = math.fsum(weight for _, weight in pairs)
    return math.fsum(value * weight for value, weight in pairs) / total if total else 0.0
