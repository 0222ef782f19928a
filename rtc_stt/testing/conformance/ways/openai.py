"""OpenAI's Realtime transcription sessions, said by hand."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import aiohttp

from rtc_stt.bench.turns.targets.pcm import Upsampler
from rtc_stt.testing.conformance.told import (
    Dropped,
    Failed,
    Final,
    Flushed,
    Partial,
    Started,
    Stopped,
    Told,
)
from rtc_stt.testing.conformance.way import Hear, Trait
from rtc_stt.testing.conformance.ways.base import ServerWay, opening
from rtc_stt.testing.conformance.ways.pcm import samples
from rtc_stt.testing.conformance.ways.peer import Peer
from rtc_stt.testing.conformance.ways.socket import Socket

__all__ = ["OpenAICallWay", "OpenAIReader", "OpenAIWay", "session"]

RATE = 24_000

LATE_S = 0.5
"""The server may have found the end of a turn just before the last commit came. That looks like its answer,
and its own is still on its way."""

BUFFER, TRANSCRIPTION = "input_audio_buffer", "conversation.item.input_audio_transcription"

BOTH = frozenset(
    {Trait.UTTERANCES, Trait.PARTIALS, Trait.STABLE, Trait.APPEND_ONLY, Trait.FLUSH, Trait.FLUSHES}
)
"""What sessions promise, whoever finds the turns."""


def session(*, finds_turns: bool) -> dict[str, Any]:
    """What the session shall be."""
    detection = {"type": "server_vad", "silence_duration_ms": 500} if finds_turns else None
    audio = {
        "format": {"type": "audio/pcm", "rate": RATE},
        "transcription": {"model": "whisper-1", "language": "en"},
        "turn_detection": detection,
    }
    return {"type": "transcription", "audio": {"input": audio}}


@dataclass(frozen=True, slots=True)
class OpenAIWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`.

    Args:
        finds_turns: whether the server does (``server_vad``), or the client says what belongs together.
    """

    finds_turns: bool = True

    @property
    def name(self) -> str:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        return "OpenAI" if self.finds_turns else "OpenAI, client's turns"

    @property
    def traits(self) -> frozenset[Trait]:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        return BOTH | {Trait.STARTS, Trait.TURNS} if self.finds_turns else BOTH

    async def open(self, hear: Hear) -> _OpenAILine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        line = _OpenAILine(hear)
        async with opening(line):
            await line.socket.open(f"{self.url}/v1/realtime?intent=transcription", self.bearer)
            await line.begin(session(finds_turns=self.finds_turns))
        return line


@dataclass(frozen=True, slots=True)
class OpenAICallWay(ServerWay):
    """See :class:`~rtc_stt.testing.conformance.way.Way`: over WebRTC and a data channel."""

    name: ClassVar[str] = "OpenAI call"
    traits: ClassVar[frozenset[Trait]] = BOTH | {
        Trait.STARTS,
        Trait.TURNS,
        Trait.LIVE,
        Trait.WHOLE_SAMPLES,
    }

    async def open(self, hear: Hear) -> _CallLine:
        """See :class:`~rtc_stt.testing.conformance.way.Way`."""
        line = _CallLine(hear)
        async with opening(line):
            await line.begin(f"{self.url}/v1/realtime/calls", self.bearer)
        return line


class _OpenAILine:
    def __init__(self, hear: Hear) -> None:
        self._hear, self._reader = hear, OpenAIReader()
        self._up, self._rest, self._waiting = Upsampler(RATE), b"", b""
        self.socket = Socket(self._receive, hear)

    async def begin(self, wanted: Mapping[str, object]) -> None:
        """Say what the session shall be, and wait until it is."""
        await self.socket.say({"type": "session.update", "session": wanted})
        await self.socket.until(lambda: self._reader.is_ready)

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % 2
        self._rest = pcm[whole:]
        if whole:
            self._waiting += self._up.push(samples(pcm[:whole]))
        # What breaks off within a sample there does so here.
        size = len(self._waiting) - len(self._rest)
        if size > 0:
            audio = base64.b64encode(self._waiting[:size]).decode()
            self._waiting = self._waiting[size:]
            await self.socket.say({"type": f"{BUFFER}.append", "audio": audio})

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._commit()

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._commit(last=True)
        await self.socket.until(lambda: self._reader.is_over)
        await asyncio.sleep(LATE_S)

    async def close(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self.socket.close()

    async def _commit(self, *, last: bool = False) -> None:
        name = self._reader.commit(last=last)
        await self.socket.say({"type": f"{BUFFER}.commit", "event_id": name})

    def _receive(self, message: str) -> None:
        for told in self._reader.read(json.loads(message)):
            self._hear(told)


class _CallLine:
    def __init__(self, hear: Hear) -> None:
        self._hear, self._reader = hear, OpenAIReader()
        self._peer = Peer("oai-events", self._receive, hear)

    async def begin(self, url: str, headers: Mapping[str, str]) -> None:
        """Connect with the session that is wanted."""
        wanted = json.dumps(session(finds_turns=True))
        await self._peer.open(lambda sdp: self._peer.http.post(url, data=_form(sdp, wanted), headers=headers))

    async def push(self, pcm: bytes) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._peer.push(pcm)

    async def flush(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._commit()

    async def finish(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._commit(last=True)
        await self._peer.until(lambda: self._reader.is_over)
        await asyncio.sleep(LATE_S)

    async def close(self) -> None:
        """See :class:`~rtc_stt.testing.conformance.way.Line`."""
        await self._peer.close()

    async def _commit(self, *, last: bool = False) -> None:
        await self._peer.settle()
        name = self._reader.commit(last=last)
        self._peer.say(json.dumps({"type": f"{BUFFER}.commit", "event_id": name}))

    def _receive(self, message: str) -> None:
        for told in self._reader.read(json.loads(message)):
            self._hear(told)


def _form(sdp: str, wanted: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("sdp", sdp, content_type="application/sdp")
    form.add_field("session", wanted, content_type="application/json")
    return form


@dataclass(slots=True)
class _Commit:
    name: str
    is_last: bool
    """Nobody waits for its answer but who waits for the end."""
    item: str | None = None
    """That has come of it; None: not told yet, or there was nothing to commit."""
    is_answered: bool = False


class OpenAIReader:
    """One session. Each item is an utterance; deltas are its partials. Pure.

    A ``commit`` is answered by the next item that is committed and its transcript, or by an error that says
    that there was nothing.
    """

    def __init__(self) -> None:
        self.is_ready = False
        """The session is as it was asked for."""
        self._shown: dict[str, str] = {}
        self._commits: deque[_Commit] = deque()
        self._count = 0

    def commit(self, *, last: bool = False) -> str:
        """A commit is about to be said; gives the ``event_id`` that it has to have."""
        self._count += 1
        self._commits.append(_Commit(f"commit-{self._count}", last))
        return self._commits[-1].name

    @property
    def is_over(self) -> bool:
        """Every commit is answered."""
        return not self._commits

    def read(self, message: dict[str, Any]) -> list[Told]:
        """What a message tells.

        Raises:
            LookupError, TypeError: it lacks what it has to have.
        """
        kind = message["type"]
        if kind == "session.updated":
            self.is_ready = True
        elif kind == f"{BUFFER}.speech_started":
            return [Started(message["item_id"])]
        elif kind == f"{BUFFER}.speech_stopped":
            return [Stopped(message["item_id"])]
        elif kind == f"{BUFFER}.committed":
            self._take(message["item_id"])
        elif kind == f"{TRANSCRIPTION}.delta":
            item = message["item_id"]
            shown = self._shown[item] = self._shown.get(item, "") + message["delta"]
            return [Partial(shown, len(shown), item)]
        elif kind == f"{TRANSCRIPTION}.completed":
            item, text = message["item_id"], message["transcript"]
            return [Final(text, item) if text else Dropped(utterance=item), *self._answer(item)]
        elif kind == f"{TRANSCRIPTION}.failed":
            return [Failed(f"a transcription failed: {message['error']}")]
        elif kind == "error":
            return self._error(message["error"])
        return []

    def _take(self, item: str) -> None:
        for commit in self._commits:
            if commit.item is None and not commit.is_answered:
                commit.item = item
                return

    def _answer(self, item: str) -> list[Told]:
        for commit in self._commits:
            if commit.item == item:
                commit.is_answered = True
        return self._flushed()

    def _error(self, error: dict[str, Any]) -> list[Told]:
        if error["code"] == "input_audio_buffer_commit_empty" and error["event_id"]:
            # Where the server had just found the end of a turn, the commit was answered by that already.
            for commit in self._commits:
                commit.is_answered = commit.is_answered or commit.name == error["event_id"]
            return self._flushed()
        return [Failed(f"{error['code']}: {error['message']}")]

    def _flushed(self) -> list[Told]:
        """Answers in the order of the questions: that there was nothing is known before what there was."""
        told: list[Told] = []
        while self._commits and self._commits[0].is_answered:
            if not self._commits.popleft().is_last:
                told.append(Flushed())
        return told
