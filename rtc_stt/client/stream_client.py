"""A live session over a WebSocket: no WebRTC, one TCP connection, and no word lost when it breaks.

What is kept and said again is decided in :mod:`~rtc_stt.client.replay`, the rest as in
:mod:`~rtc_stt.client.session_pump`; this is the pump.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
import numpy as np
import numpy.typing as npt

from rtc_stt.client.encoding import Encoding, encode
from rtc_stt.client.pulse import Pacer
from rtc_stt.client.reconnect import Attempts, Step
from rtc_stt.client.replay import Replay, Unsettled
from rtc_stt.client.session_pump import SessionPump, State
from rtc_stt.client.stream_connection import StreamConnection
from rtc_stt.commands import Ack, Command, Configure, Finalize, Mute, Ping
from rtc_stt.events import Event, SessionResumed, SessionStarted, TranscriptFinal, UtteranceDropped

__all__ = ["StreamClient"]

log = logging.getLogger(__name__)

KEPT_S = 30.0
"""Audio that is kept while there is no connection."""

WINDOW_S = 5.0
"""Audio that may be on its way. The server takes it four times as fast as it is spoken, so a ping behind it
is answered soon enough."""

PIECE_S = 0.1
"""Of one message."""


class StreamClient(SessionPump):
    """``async with StreamClient(url, key=…) as live: await live.send(audio) … async for event in live: …``

    A lost connection is made anew, and the session goes on: events that were missed come, then
    ``session.resumed``, and the audio that had not arrived is sent again. Where the session is gone a new one
    begins with a ``session.started``: its utterances and numbers start from 1, what was configured is
    configured again, and it hears the audio that is in no final of the one before, half a minute at most.

    Args:
        url: of the server, such as ``https://stt.example.org``.
        key: an API key; for programs that run on servers.
        token: of ``POST /v1/tokens``; for others.
        encoding: of the bytes that are given to :meth:`send`, and of what is sent.
        sample_rate: 8000 to 48000.
        channels: 1 or 2; the server takes their mean.
        is_live: whether the audio is spoken now. :meth:`send` then takes as long as the audio, also while
            there is no connection, and what is older than half a minute is given up. Else, as with a file, it
            waits until there is room: nothing is ever given up, and the server may take it faster.
        patience_s: for how long a connection is tried before it is given up. The very first one is given up
            at once where the server cannot be reached.
        first_patience_s: for how long the very first one is tried where the server is full; None: as long.
        on_state: told when the connection comes and goes; it must not raise.
        on_lost_audio: told how many seconds of audio were given up; likewise.

    Raises:
        Unauthorized, Forbidden: the key or the token is not good.
        NotFound, BadRequest: ``url`` is no server of this kind, or does not take this audio.
        Unavailable, TooMany: it is full, for longer than ``patience_s``.
        Unreachable: there is no connection for so long, or events are not read.
        All by ``async with`` for the first connection, and by the iterator for those after it.
    """

    _hears_again = True

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        token: str | None = None,
        encoding: Encoding = "pcm_s16le",
        sample_rate: int = 16_000,
        channels: int = 1,
        is_live: bool = True,
        patience_s: float = 60.0,
        first_patience_s: float | None = None,
        on_state: Callable[[State], None] = lambda state: None,
        on_lost_audio: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        super().__init__(
            urljoin(url.rstrip("/") + "/", "v1/stream"),
            patience_s=patience_s,
            first_patience_s=first_patience_s,
            on_state=on_state,
        )
        self._secret = key or token
        self._encoding, self._rate, self._channels = encoding, sample_rate, channels
        frame_bytes = channels * (2 if encoding == "pcm_s16le" else 1)
        self._bytes_per_s = sample_rate * frame_bytes
        self._is_live = is_live
        self._on_lost_audio = on_lost_audio
        self._replay = Replay(
            limit=int(KEPT_S * sample_rate) * frame_bytes,
            window=int(WINDOW_S * sample_rate) * frame_bytes,
            frame_bytes=frame_bytes,
        )
        self._unsettled, self._received = Unsettled(), 0
        self._piece = max(1, int(PIECE_S * sample_rate)) * frame_bytes
        self._pacer = Pacer()
        self._room = asyncio.Event()
        self._socket: StreamConnection | None = None  # also while it is not good yet
        self._has_resumed = False
        self._has_moved = False
        self._is_placed = False  # whether the server has said from where it wants the audio
        self._heard: str | None = None  # the session that has heard the audio so far

    # ── Its life ────────────────────────────────────────────────────────────

    async def __aenter__(self) -> StreamClient:
        self._http = StreamConnection.make_http(self._secret)
        await self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the session; what is open is not waited for (see :meth:`stop`)."""
        if self._socket:
            self._socket.say_goodbye()
        await self._close()

    async def _close(self) -> None:
        await super()._close()
        await self._http.close()

    # ── What a user says ────────────────────────────────────────────────────────────

    @property
    def origin_s(self) -> float:
        """Where in the audio given so far the media time of the present session began."""
        return self._replay.origin / self._bytes_per_s

    def unsettled(self) -> bytes:
        """The newest audio that is in no final, as far as it is kept: what a client in the place of this one
        would have to say again. There may be a second and a half of silence before it."""
        return self._replay.kept()

    async def send(self, audio: bytes | npt.ArrayLike) -> None:
        """Speak: bytes of any length in the encoding of this client, or floats in [-1, 1], shape ``(n,)`` or
        ``(n, channels)``. How long it takes is up to ``is_live``. After the end, what is given is dropped.

        Raises:
            ValueError: samples of another shape.
        """
        data = bytes(audio) if isinstance(audio, bytes | bytearray | memoryview) else self._encode(audio)
        for start in range(0, len(data), self._piece):
            piece = data[start : start + self._piece]
            while not self._is_live and self._replay.room < len(piece) and not self._over.done():
                self._room.clear()
                await self._room.wait()
            if self._over.done():
                return
            self._give_up(self._replay.put(piece))
            self._wake()
            if self._is_live:
                now = asyncio.get_running_loop().time()
                await asyncio.sleep(self._pacer.wait_s(len(piece) / self._bytes_per_s, now))

    def push(self, audio: bytes) -> None:
        """Speak without waiting: for audio that comes at a pace of its own. What is older than half a minute
        is given up while there is no connection, whatever ``is_live`` says. After the end, nothing happens.
        """
        if not self._over.done():
            for start in range(0, len(audio), self._piece):
                self._give_up(self._replay.put(audio[start : start + self._piece]))
            self._wake()

    def _encode(self, samples: npt.ArrayLike) -> bytes:
        return encode(np.asarray(samples), self._encoding, self._channels)

    def _command(self, command: Command) -> None:
        """Commands act on the audio before them, so they wait for their turn."""
        if not isinstance(command, Ping | Ack):
            self._replay.say(command)
            self._wake()
        elif self._connection:
            self._connection.send(command)

    def _say_again(self) -> None:
        """Nothing: what waits is said in its turn."""

    # ── Connections ────────────────────────────────────────────────────────────

    async def _try(self, attempts: Attempts, url: str) -> Step:
        """One upgrade, and what follows from its answer."""
        loop = asyncio.get_running_loop()
        resume = self._prepare()
        socket = self._socket = StreamConnection(self._http, self._receive, self._lose, self._next_up)
        self._is_placed, is_good = False, False
        chance = random.random()  # noqa: S311 — spreads clients, guards nothing
        url = urlunsplit(urlsplit(url)._replace(query="resume=1" if resume else ""))
        try:
            answer = await socket.open(url, self._first_message(resume))
            if answer.status == 201:
                await self._greet(socket)
                is_good = True
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if socket.answer is None:
                log.info("an attempt to connect failed: %s", type(error).__name__)
                return attempts.failed(now=loop.time(), chance=chance)
            answer = socket.answer
        finally:
            if not is_good:
                self._bid_farewell(socket.close())
        return attempts.decide(answer, url, resuming=resume is not None, now=loop.time(), chance=chance)

    def _first_message(self, resume: tuple[str, int] | None) -> str:
        audio = {"encoding": self._encoding, "sample_rate": self._rate, "channels": self._channels}
        body: dict[str, object] = {"type": "configure", "audio": audio, "replay": True}
        if resume:
            body |= {"resume_token": resume[0], "resume_from": resume[1]}
            body["replay_from"] = self._replay.kept_from
        else:
            body |= self._options
        return json.dumps(body)

    def _next_up(self) -> bytes | Command | None:
        """What goes next over the connection that there is."""
        while self._is_placed and (found := self._replay.next(self._piece)) is not None:
            if isinstance(found, Finalize):
                if found.id not in self._finalizing:  # it has been answered meanwhile
                    continue
                if self._has_resumed:
                    self._asked_again.add(found.id)
            return found
        return None

    def _doubt(self) -> None:
        """Nothing: where a server dies TCP says so by itself."""

    # ── What the server tells ────────────────────────────────────────────────────────────

    def _receive(self, message: str | bytes) -> None:
        samples = _read_received(message)
        if samples is None:
            super()._receive(message)
        elif self._is_placed:
            self._received = samples
            self._replay.received(samples)
            self._settle()
            self._make_room()
        elif self._session:
            self._place(samples)

    def _keep(self, event: Event) -> None:
        if isinstance(event, SessionStarted):
            self._unsettled = Unsettled()
        elif isinstance(event, SessionResumed) and event.moved:
            # The other server has heard nothing: it is told all again that is in no final.
            self._unsettled, self._has_moved = Unsettled(), True
        self._unsettled.receive(event)
        if isinstance(event, TranscriptFinal | UtteranceDropped):
            self._settle()
        super()._keep(event)

    def _is_owed_text(self) -> bool:
        """The last final may have been told over a line that was dead one way: its audio is heard again."""
        return bool(self._replay.kept())

    def _settle(self) -> None:
        """Let audio go that no session has to hear again."""
        settled_ms = self._unsettled.settled_ms(self._received * 1000 // self._rate)
        self._replay.settle(settled_ms * self._rate // 1000)

    def _greeted(self) -> None:
        """Not yet: the server is about to say how much audio it has."""

    def _place(self, samples: int) -> None:
        """The first word about audio on this connection: from here on it is sent."""
        anew = self._heard != self.session_id
        self._has_resumed = not anew
        self._give_up(self._replay.welcome(samples, anew=anew and self._heard is not None))
        self._received = samples
        if (anew and self._heard is not None) or self._has_moved:
            self._introduce()
        self._has_moved = False
        self._heard = self.session_id
        self._is_placed = True
        super()._greeted()
        self._make_room()
        self._wake()

    def _introduce(self) -> None:
        """What a new session, or a new server, does not know and nobody is about to say."""
        pending = self._replay.pending()
        waiting = {command.id for command in pending if isinstance(command, Finalize)}
        mutes = [command.on for command in pending if isinstance(command, Mute)]
        first: list[Command] = [Mute(True)] if self._muted and not mutes else []
        if self._has_moved:  # what that server knows may be of later
            first = [Mute(not mutes[0] if mutes else self._muted)]
            first += [Configure(self._options)] if self._options else []
        self._replay.say_first([*first, *(Finalize(id) for id in self._finalizing if id not in waiting)])

    def _give_up(self, lost: int) -> None:
        if lost:
            self._on_lost_audio(lost / self._bytes_per_s)

    def _wake(self) -> None:
        if self._socket:
            self._socket.wake()

    def _make_room(self) -> None:
        self._room.set()
        self._wake()

    def _finish(self) -> None:
        super()._finish()
        self._room.set()


def _read_received(message: str | bytes) -> int | None:
    """How many samples the server has, where the message is about that."""
    if len(message) > 64 or '"received"' not in str(message):
        return None
    try:
        body = json.loads(message)
        samples = body["samples"] if body["type"] == "received" else None
    except (ValueError, KeyError, TypeError):
        return None
    return samples if isinstance(samples, int) and samples >= 0 else None
