"""Clients without a pause: who speaks and counts each word, who asks for transcripts, who has just come.

Nobody is forgiving unless it is the SDK that forgives: ``plain`` requests are made once, over a connection of
their own, and a newcomer that is refused has been refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby
from typing import Any, Literal

import aiohttp
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples, ms_to_samples
from rtc_stt.bench import clips
from rtc_stt.bench.words import align, edits, normalise
from rtc_stt.client import LiveSession, State, StreamClient, SttClient
from rtc_stt.client.result import Telemetry
from rtc_stt.errors import RtcSttError
from rtc_stt.events import Event, SessionStarted, TranscriptFinal
from tools.live_line.client import LiveClient
from tools.operations.processes import KEY

__all__ = ["Asked", "Asker", "Came", "Newcomers", "Talker", "Way", "recordings", "summary"]

Way = Literal["websocket", "webrtc"]

NUMBERS = ("001", "006", "008", "013", "016", "017", "018", "024", "026", "029", "031", "032", "034", "037")
"""Strings of digits that both demo models get right, whichever way they travel."""

MARGIN_S = 0.1
"""Of the recording, around its words."""

SILENCE_S = 0.7
"""Around a recording that is sent as a whole."""

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.8, 1.6
LAST_WORDS_S = 1.5

NEWCOMER_TIMEOUT_S = 30.0
REQUEST_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Spoken:
    """A string of digits."""

    text: str
    audio: Samples = field(repr=False)
    wav: bytes = field(repr=False)


def recordings() -> list[Spoken]:
    """What all clients say."""
    found = {clip.id: clip for clip in clips.load("digits")}
    return [_spoken(found[f"digits-{number}"]) for number in NUMBERS]


def _spoken(clip: clips.Clip) -> Spoken:
    margin, silence = round(MARGIN_S * SAMPLE_RATE), np.zeros(round(SILENCE_S * SAMPLE_RATE), np.float32)
    begin = ms_to_samples(clip.speech_start_ms) - margin
    audio = clip.audio()[max(0, begin) : ms_to_samples(clip.speech_end_ms) + margin]
    return Spoken(clip.text, audio, _wav(np.concatenate([silence, audio, silence])))


def _wav(audio: Samples) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.clip(np.round(audio * 32767), -32768, 32767).astype("<i2").tobytes())
    return out.getvalue()


# ── Who speaks ────────────────────────────────────────────────────────────


class Talker:
    """One client of the SDK, which speaks until it is told to stop, over as many sessions as it takes."""

    def __init__(self, way: Way, url: str, said: Sequence[Spoken], seed: int) -> None:
        self.way, self._url, self._said = way, url, said
        self._chance = random.Random(seed)
        self.spoken: list[str] = []
        self.heard: list[str] = []
        self.events: list[Event] = []
        self.sessions = 0
        self.gaps_s: list[float] = []
        self.lost_s = 0.0
        self.error: str | None = None
        self._gone_at: float | None = None

    async def talk(self, until: asyncio.Event) -> None:
        """Speak, pause, speak … and stop; what goes wrong is noted."""
        try:
            async with self._client() as live:
                hearing = asyncio.create_task(self._hear(live))
                while not until.is_set():
                    one = self._chance.choice(self._said)
                    self.spoken.append(one.text)
                    await live.send(one.audio)
                    await live.send(self._silence(self._chance.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S)))
                await live.send(self._silence(LAST_WORDS_S))
                await live.stop()
                await hearing
        except (RtcSttError, TimeoutError) as error:
            self.error = f"{type(error).__name__}: {error}"

    def _client(self) -> LiveSession | StreamClient:
        if self.way == "webrtc":
            return LiveSession(self._url, key=KEY, on_state=self._note)
        return StreamClient(self._url, key=KEY, on_state=self._note, on_lost_audio=self._lose)

    def _note(self, state: State) -> None:
        now = time.monotonic()
        if state is State.RECONNECTING:
            self._gone_at = now
        elif state is State.CONNECTED and self._gone_at is not None:
            self.gaps_s.append(now - self._gone_at)
            self._gone_at = None

    def _lose(self, seconds: float) -> None:
        self.lost_s += seconds

    async def _hear(self, live: LiveSession | StreamClient) -> None:
        async for event in live:
            self.events.append(event)
            if isinstance(event, SessionStarted):
                self.sessions += 1
            elif isinstance(event, TranscriptFinal):
                self.heard.append(event.text)

    @staticmethod
    def _silence(seconds: float) -> Samples:
        return np.zeros(round(seconds * SAMPLE_RATE), np.float32)

    def result(self) -> dict[str, Any]:
        """What became of each word: in exactly one final, in none, in two, or as another word."""
        found = fate(self.spoken, self.heard)
        return {
            "way": self.way,
            "words": len(normalise(" ".join(self.spoken))),
            "words_lost": found.lost,
            "words_twice": found.twice,
            "words_other": found.other,
            "finals": len(self.heard),
            "sessions": self.sessions,
            "gaps_s": [round(gap, 2) for gap in self.gaps_s],
            "audio_given_up_s": round(self.lost_s, 2),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of words that are not as they were spoken."""

    lost: int
    """In no final."""
    twice: int
    """In two."""
    other: int
    """Misheard."""


def fate(spoken: Sequence[str], finals: Sequence[str]) -> Fate:
    """What was lost, and what was heard twice, apart from what the model misheard.

    Where two finals meet, a word that is missing was lost, and one that is on both sides was heard twice; and
    so were several in a row anywhere. One word too few or too many within a final is a mistake of the model:
    its neighbours were heard together.
    """
    before, heard = normalise(" ".join(spoken)), [normalise(text) for text in finals]
    after = [word for text in heard for word in text]
    seams = {0, *accumulate(len(text) for text in heard)}
    lost = twice = at = 0
    for kind, run in groupby(align(before, after), key=lambda pair: (pair[0] is None) - (pair[1] is None)):
        pairs = list(run)
        count = len(pairs)
        if kind < 0:
            words = [before[i] for i, _ in pairs if i is not None]
            if count > 1 or _places(after, at, words) & seams:
                lost += count
        elif kind > 0 and any(
            _is_double(after, place, count, seams) for place in _places(after, at, after[at : at + count])
        ):
            twice += count
        at += count if kind >= 0 else 0
    found = edits(" ".join(spoken), " ".join(finals))
    lost, twice = min(lost, found.lost), min(twice, found.added)
    return Fate(lost, twice, found.errors - lost - twice)


def _places(words: Sequence[str], at: int, run: Sequence[str]) -> set[int]:
    """Where a run may as well have been left out or put in: one word, before or after others like it."""
    places = {at}
    if len(run) == 1:
        first = at
        while first and words[first - 1] == run[0]:
            first -= 1
            places.add(first)
    return places


def _is_double(words: Sequence[str], at: int, count: int, seams: set[int]) -> bool:
    """Whether words that were put in there are those on the other side of a seam, or several."""
    run, end = words[at : at + count], at + count
    meets = (at in seams and words[max(0, at - count) : at], end in seams and words[end : end + count])
    return any(other and (count > 1 or other == run) for other in meets)


# ── Who asks for transcripts ────────────────────────────────────────────────────────────


@dataclass
class Asked:
    """What became of requests of one kind."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    wrong: int = 0
    """Answered with another text: a mistake of the models, counted and no failure."""
    again: int = 0
    """Attempts of the SDK beyond the first."""
    degraded: int = 0
    seconds: list[float] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """Fit for JSON."""
        return {
            "answered": self.answered,
            "failed": self.failed,
            "wrong": self.wrong,
            "asked_again_by_the_sdk": self.again,
            "seconds": summary(self.seconds),
        }


class Asker:
    """Asks so often in a second, whether the last one is answered or not."""

    def __init__(self, kind: Literal["plain", "sdk"], url: str, rate: float, said: Sequence[Spoken]) -> None:
        self.kind, self.url, self._rate, self._said = kind, url, rate, said
        self.asked = Asked()

    async def ask(self, until: asyncio.Event) -> None:
        """Until told to stop; then wait for what is under way."""
        async with SttClient(self.url, key=KEY, timeout_s=REQUEST_TIMEOUT_S, on_request=self._note) as client:
            one = self._plain if self.kind == "plain" else lambda spoken: self._sdk(client, spoken)
            async with asyncio.TaskGroup() as group:
                for number in range(10**9):
                    if until.is_set():
                        break
                    group.create_task(self._judge(one, self._said[number % len(self._said)]))
                    await asyncio.sleep(1 / self._rate)

    def _note(self, told: Telemetry) -> None:
        self.asked.again += told.attempt > 1

    async def _judge(self, one: Callable[[Spoken], Any], spoken: Spoken) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                text = await one(spoken)
        except (RtcSttError, aiohttp.ClientError, OSError, TimeoutError) as error:
            self.asked.failed.append(f"{type(error).__name__}: {error}"[:200])
            return
        self.asked.answered += 1
        self.asked.wrong += normalise(text) != normalise(spoken.text)
        self.asked.seconds.append(time.monotonic() - begun)

    async def _plain(self, spoken: Spoken) -> str:
        form = aiohttp.FormData({"on_fallback_failure": "degrade"})
        form.add_field("audio", spoken.wav, filename="digits.wav")
        connector = aiohttp.TCPConnector(force_close=True)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers, raise_for_status=True) as http,
            http.post(self.url + "/v1/transcribe", data=form) as answer,
        ):
            return str((await answer.json())["text"])

    async def _sdk(self, client: SttClient, spoken: Spoken) -> str:
        result = await client.transcribe(spoken.wav, on_fallback_failure="degrade")
        self.asked.degraded += result.degraded
        return result.text


# ── Who has just come ────────────────────────────────────────────────────────────


@dataclass
class Came:
    """What became of newcomers."""

    welcomed: int = 0
    refused: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Newcomers:
    """Begin a session so often, are greeted, and go: once, without asking again."""

    def __init__(self, way: Way, url: str, every_s: float) -> None:
        self.way, self._url, self._every_s = way, url, every_s
        self.came = Came()

    async def come(self, until: asyncio.Event) -> None:
        """Until told to stop."""
        async with asyncio.TaskGroup() as group:
            while not until.is_set():
                group.create_task(self._one())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), self._every_s)

    async def _one(self) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(NEWCOMER_TIMEOUT_S):
                await (self._websocket() if self.way == "websocket" else self._webrtc())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self.came.refused.append(f"{type(error).__name__}: {error}"[:200])
            return
        self.came.welcomed += 1
        self.came.seconds.append(time.monotonic() - begun)

    async def _websocket(self) -> None:
        audio = {"encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE}
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as http,
            http.ws_connect(self._url + "/v1/stream") as socket,
        ):
            await socket.send_json({"type": "configure", "audio": audio})
            if (await socket.receive_json(timeout=NEWCOMER_TIMEOUT_S))["type"] != "session.started":
                raise ValueError("the first word was no greeting")

    async def _webrtc(self) -> None:
        client = LiveClient(self._url, key=KEY)
        try:
            await client.connect()
        finally:
            await client.close()


def summary(seconds: Sequence[float]) -> dict[str, float] | None:
    """Median, 95th percentile and the longest."""
    if not seconds:
        return None
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3), "longest": round(max(seconds), 3)}
