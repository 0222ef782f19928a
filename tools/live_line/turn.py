"""One clip spoken over WebRTC in a session of its own, and how soon its final came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.clips import Clip
from rtc_stt.events import SpeechStopped, TranscriptFinal
from tools.live_line.client import LiveClient

__all__ = ["AFTER_S", "BEFORE_S", "PATIENCE_S", "Final", "quiet", "speak_clip"]

BEFORE_S, AFTER_S = 0.5, 1.2
"""Quiet around a clip: the hangover and the final fit into what follows."""

PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Final:
    """Of one clip over one way, in ms."""

    said: str
    text: str
    endpoint_to_final: float
    """From the receipt of ``speech.stopped`` to that of the final."""
    on_server: float
    """The same as the final itself says it."""
    end_of_speech_to_final: float
    """From the true end of speech, as it left, to the receipt of the final."""


async def speak_clip(url: str, clip: Clip, audio: Samples, *, key: str | None = None) -> list[Final]:
    """Its final; nothing where none came.

    Args:
        audio: what is sent of the clip, with the quiet after it.
        key: of the server.
    """
    async with LiveClient(url, key=key) as client:
        await client.say(quiet(BEFORE_S))
        begun_ms = await client.say(audio)
        spoken_at = client.wall(begun_ms + clip.speech_end_ms)

        def concluded() -> list[Any]:
            finals, stops = client.events(TranscriptFinal.type), client.events(SpeechStopped.type)
            dropped = client.events("utterance.dropped")
            return finals if stops and len(stops) == len(finals) + len(dropped) else []

        try:
            await client.wait_until(concluded, PATIENCE_S)
        except TimeoutError:
            return []
        stopped = [r.at for r in client.received if isinstance(r.event, SpeechStopped)]
        finals = [(r.event, r.at) for r in client.received if isinstance(r.event, TranscriptFinal)]
        event, at = finals[-1]
        return [
            Final(
                clip.text,
                " ".join(event.text for event, _ in finals),
                1000 * (at - stopped[-1]),
                event.timing.endpoint_to_final_ms,
                1000 * (at - spoken_at),
            )
        ]


def quiet(seconds: float) -> Samples:
    """So many seconds of silence."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
