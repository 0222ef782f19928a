"""Minutes of what is not speech, as fast as the machine can hear them: there must be no final."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.bench import noises
from rtc_stt.bench.result import Mark, Outcome
from rtc_stt.bench.voice import MakeSpeech
from rtc_stt.events import Event, SpeechStarted, TranscriptFinal, TranscriptPartial, UtteranceDropped
from rtc_stt.instrument import Instrument
from rtc_stt.session import Session, Speech

__all__ = ["run", "steps"]

PIECE = SAMPLE_RATE // 10
MAX_AHEAD_S = 1.0
"""How far the reader may run ahead of the detector."""


def steps(seconds: float) -> int:
    """Stretches that are heard."""
    return len(noises.TEN_MINUTES_OF) * -int(-seconds // noises.STRETCH_S)


def run(seconds: float, make_speech: MakeSpeech, tick: Callable[[], object]) -> Outcome:
    """Hear ``seconds`` of each kind, all kinds side by side, each in a session of its own."""
    figures = asyncio.run(_measure(seconds, make_speech, tick))
    finals = sum(kind["finals"] for kind in figures.values())
    return Outcome({"seconds_of_each": seconds, "kinds": figures}, (Mark("finals", finals, 0),))


async def _measure(
    seconds: float, make_speech: MakeSpeech, tick: Callable[[], object]
) -> dict[str, dict[str, Any]]:
    speech = make_speech(Instrument(), {})
    try:
        heard = await asyncio.gather(*(_hear(speech, kind, seconds, tick) for kind in noises.TEN_MINUTES_OF))
    finally:
        await speech.aclose()
    return dict(zip(noises.TEN_MINUTES_OF, heard, strict=True))


async def _hear(speech: Speech, kind: str, seconds: float, tick: Callable[[], object]) -> dict[str, Any]:
    told: list[Event] = []
    session = Session(speech, told.append, transport="bench")
    session.start()
    loop, made = asyncio.get_running_loop(), noises.stretches(kind, seconds)
    while (stretch := await loop.run_in_executor(None, next, made, None)) is not None:
        for start in range(0, len(stretch), PIECE):
            session.receive_audio(stretch[start : start + PIECE])
            while session.backlog_s > MAX_AHEAD_S:
                await asyncio.sleep(0.001)
        tick()
    session.finish("end_of_file")
    await session.ended
    return summary(told)


def summary(told: list[Event]) -> dict[str, Any]:
    """How often speech was thought to have begun, and what came of it."""
    drops = Counter(str(event.reason) for event in told if isinstance(event, UtteranceDropped))
    return {
        "speech_started": sum(isinstance(event, SpeechStarted) for event in told),
        "partials": sum(isinstance(event, TranscriptPartial) for event in told),
        "finals": sum(isinstance(event, TranscriptFinal) for event in told),
        "dropped": dict(drops),
    }
