"""Speak clips one after the other into a session, and note for each what came back and when."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.clips import Clip
from rtc_stt.events import (
    Event,
    SpeechStarted,
    SpeechStopped,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from tools.live_line.client import LiveClient, Received

__all__ = ["Turn", "speak_all"]

SILENCE_S = 1.0
"""Between clips: twice the hangover, so that each clip is a turn of its own."""

GUARD_MS = 60
"""Between the noise that is taken from a clip and its first word."""

FINAL_TIMEOUT_S = 10.0


@dataclass
class Turn:
    """One clip as it went."""

    clip: Clip
    begun: float
    """When the clip's first sample was spoken, monotonic seconds."""
    received: list[Received] = field(default_factory=list)
    send_lag_ms: list[float] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Received]:
        """The events of a kind."""
        return [r for r in self.received if isinstance(r.event, kind)]

    @property
    def finals(self) -> list[TranscriptFinal]:
        """The finals, in the order of speech."""
        return [r.event for r in self.received if isinstance(r.event, TranscriptFinal)]

    @property
    def text(self) -> str:
        """All that was understood."""
        return " ".join(final.text for final in self.finals)

    @property
    def fast_text(self) -> str:
        """All that the fast tier alone would have said."""
        return " ".join(f.route.fast.text if f.route.fast else "" for f in self.finals)

    @property
    def t_on(self) -> float:
        """True start of speech, monotonic seconds; from the manifest, not from any detector."""
        return self.begun + self.clip.speech_start_ms / 1000

    @property
    def t_off(self) -> float:
        """True end of speech."""
        return self.begun + self.clip.speech_end_ms / 1000

    @property
    def first_right_partial(self) -> Received | None:
        """The first partial whose first word is right."""
        first = _first_word(self.clip.text)
        for received in self.of(TranscriptPartial):
            if isinstance(received.event, TranscriptPartial) and _first_word(received.event.text) == first:
                return received
        return None


async def speak_all(
    url: str, clips: Sequence[Clip], *, dialect: str = "whip", done: Callable[[], None] = lambda: None
) -> list[Turn]:
    """One session that speaks all clips in real time.

    Raises:
        TimeoutError: an utterance got neither a final nor a drop.
    """
    turns: list[Turn] = []
    silence = np.zeros(round(SILENCE_S * SAMPLE_RATE), np.float32)
    async with LiveClient(url, dialect) as client:
        await client.say(silence)
        for clip in clips:
            seen, sent = len(client.received), len(client.speaker.lags_ms)
            before, after = surroundings(clip)
            await client.say(before)
            begun_ms = await client.say(np.concatenate([clip.audio(), after]))
            await client.wait_until(lambda: _all_concluded(client), FINAL_TIMEOUT_S)
            turns.append(
                Turn(
                    clip,
                    client.wall(begun_ms),
                    client.received[seen:],
                    client.speaker.lags_ms[sent:],
                )
            )
            done()
    return turns


async def speak_side_by_side(
    url: str, clips: Sequence[Clip], sessions: int, done: Callable[[], None]
) -> list[Turn]:
    """Several sessions at a time, each with its share of the clips."""
    shares = [clips[i::sessions] for i in range(sessions)]
    spoken = await asyncio.gather(*(speak_all(url, share, done=done) for share in shares if share))
    return [turn for turns in spoken for turn in turns]


def surroundings(clip: Clip) -> tuple[Samples, Samples]:
    """What is heard before and after a clip: silence, or for a noisy clip its own noise going on.

    A room does not fall dead silent between two sentences. The noise is what the clip has before its speech,
    forwards and backwards in turn, so that it joins without a click.
    """
    size = round(SILENCE_S * SAMPLE_RATE)
    if clip.set != "noisy":
        return np.zeros(size // 2, np.float32), np.zeros(size, np.float32)
    audio = clip.audio()
    margin = round((clip.speech_start_ms - GUARD_MS) * SAMPLE_RATE / 1000)
    noise = audio[:margin]
    swing = np.concatenate([noise[::-1], noise])
    endless = np.tile(swing, size // len(swing) + 1)
    end = np.concatenate([audio[-margin // 2 :][::-1], endless])
    return endless[: size // 2 // len(swing) * len(swing) + len(swing)], end[:size]


def _all_concluded(client: LiveClient) -> list[Event]:
    """Something, once every utterance that started has been told the end of."""
    started = client.events(SpeechStarted.type)
    concluded = client.events(TranscriptFinal.type) + client.events(UtteranceDropped.type)
    stopped = client.events(SpeechStopped.type)
    if len(started) == len(stopped) == len(concluded):
        return client.received[-1:] and [client.received[-1].event]
    return []


def _first_word(text: str) -> str:
    found = re.match(r"\W*([\w']+)", text.lower())
    return found[1] if found else ""
