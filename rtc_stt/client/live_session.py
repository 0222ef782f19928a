"""A live session over WebRTC: audio goes there, events come back, and a lost connection is made anew."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.client.audio_out import Packer
from rtc_stt.client.connection import Connection
from rtc_stt.client.pulse import Pacer
from rtc_stt.client.recent import Recent
from rtc_stt.client.reconnect import Attempts, Step
from rtc_stt.client.session_pump import SessionPump, State, Transport
from rtc_stt.client.whip import Whip
from rtc_stt.commands import Command, Finalize, Stop
from rtc_stt.events import Event

__all__ = ["LiveSession", "State"]

log = logging.getLogger(__name__)

TAIL_S = 0.3
"""From the end of a track to ``stop``: its last packets are still on their way."""

LOOK_S = 0.02
"""Between two looks whether all has been said again."""

SLICE = SAMPLE_RATE // 10


class LiveSession(SessionPump):
    """``async with LiveSession(url, key=…, track=…) as live: async for event in live: …``

    A lost connection is made anew, with the same session where the server still has it: missed events come,
    then ``session.resumed``. Where the session is gone, a new one begins with a ``session.started``: its
    utterances and numbers start from 1, and what was configured is configured again. Audio of the time
    between is dropped, and the server counts it as lost; but where a server has ended the session because it
    goes away, the new one hears what was said since its last final, 28 s at most.

    Args:
        url: of the server, such as ``https://stt.example.org``.
        key: an API key; for programs that run on servers.
        token: of ``POST /v1/tokens``; for others.
        track: what to send. It is read as it comes, also while there is no connection, and when it ends the
            session is asked to stop. Without one, audio is given by :meth:`send`.
        patience_s: for how long a connection is tried before it is given up. The very first one is given up
            at once where the server cannot be reached.
        on_state: told when the connection comes and goes; it must not raise.

    Raises:
        Unauthorized, Forbidden: the key or the token is not good.
        NotFound, BadRequest, Unprocessable, UnsupportedMedia: ``url`` is no server of this kind.
        Unavailable, TooMany: it is full, for longer than ``patience_s``.
        Unreachable: there is no connection for so long, or events are not read.
        All by ``async with`` for the first connection, and by the iterator for those after it.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        token: str | None = None,
        track: MediaStreamTrack | None = None,
        patience_s: float = 60.0,
        on_state: Callable[[State], None] = lambda state: None,
    ) -> None:
        super().__init__(urljoin(url.rstrip("/") + "/", "whip"), patience_s=patience_s, on_state=on_state)
        self._ice_url = urljoin(url.rstrip("/") + "/", "v1/ice-servers")
        self._secret = key or token
        self._track = track
        self._resource: str | None = None
        self._packer, self._pacer = Packer(), Pacer()
        self._recent = Recent()

    # ── Its life ────────────────────────────────────────────────────────────

    async def __aenter__(self) -> LiveSession:
        self._whip = Whip(self._secret)
        await self._begin()
        if self._track:
            self._pumps.append(asyncio.get_running_loop().create_task(self._read(self._track)))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the session, wherever it is; what is open is not waited for (see :meth:`stop`)."""
        resource = None if self._ended else self._resource
        if resource:
            await self._whip.delete(resource)
        await self._close()

    # ── What a user says ────────────────────────────────────────────────────────────

    async def send(self, samples: Samples) -> None:
        """Speak: 16 kHz mono float32 in [-1, 1], shape ``(n,)``. Takes as long as the audio, a little ahead.

        Without a connection, and after the end, what is given is dropped.
        """
        for start in range(0, len(samples), SLICE):
            piece = samples[start : start + SLICE]
            for frame in self._packer.push(piece):
                self._speak(frame)
            now = asyncio.get_running_loop().time()
            await asyncio.sleep(self._pacer.wait_s(len(piece) / SAMPLE_RATE, now))

    def _speak(self, frame: Any) -> None:
        self._recent.put(frame)
        if isinstance(self._connection, Connection):
            self._connection.outlet.put(frame)

    async def _read(self, track: MediaStreamTrack) -> None:
        """The pump from the user's track."""
        try:
            while True:
                self._speak(await track.recv())
        except MediaStreamError:
            await asyncio.sleep(TAIL_S)
            self._stopping = True
            self._command(Stop())

    def _command(self, command: Command) -> None:
        """What acts on the audio before it waits for what is being said again."""
        connection = self._connection
        if (
            isinstance(command, Finalize | Stop)
            and isinstance(connection, Connection)
            and connection.outlet.is_behind
        ):
            self._bid_farewell(self._command_later(command, connection))
        else:
            super()._command(command)

    async def _command_later(self, command: Command, connection: Connection) -> None:
        while connection.outlet.is_behind and self._connection is connection:
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(TAIL_S)
        if self._connection is connection:  # else it was said over the next one
            super()._command(command)

    def _say_again(self) -> None:
        if isinstance(self._connection, Connection):
            self._connection.outlet.say_again(self._recent.take())
        super()._say_again()

    def _keep(self, event: Event) -> None:
        self._recent.receive(event)
        super()._keep(event)

    def _drop_connection(self) -> None:
        self._recent.lose()
        super()._drop_connection()

    def _doubt(self) -> None:
        """A dead server sends nothing, and neither does a dead line; but HTTP says which of them it is."""
        if self._resource and self._connection:
            self._bid_farewell(self._ask_for(self._resource, self._connection))

    async def _ask_for(self, resource: str, connection: Transport) -> None:
        if await self._whip.is_gone(resource) and self._connection is connection:
            log.info("the server is gone, or its session")
            self._lose()

    # ── Connections ────────────────────────────────────────────────────────────

    async def _try(self, attempts: Attempts, url: str) -> Step:
        """One offer, and what follows from its answer."""
        loop = asyncio.get_running_loop()
        resume = self._prepare()
        connection, accepted, is_good = None, None, False
        chance = random.random()  # noqa: S311 — spreads clients, guards nothing
        try:
            servers = await self._whip.ice_servers(self._ice_url, loop.time())
            connection = Connection(servers, self._receive, self._lose)
            answer, accepted = await self._whip.post(url, await connection.offer(), resume)
            if accepted is not None:
                await connection.accept(accepted.sdp)
                await self._greet(connection)
                self._resource = accepted.resource
                is_good = True
            return attempts.decide(answer, url, resuming=resume is not None, now=loop.time(), chance=chance)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.info("an attempt to connect failed: %s", type(error).__name__)
            return attempts.failed(now=loop.time(), chance=chance)
        finally:
            if connection and not is_good:
                self._bid_farewell(connection.close())
                if accepted and not resume:
                    self._bid_farewell(self._whip.delete(accepted.resource))

    async def _close(self) -> None:
        await super()._close()
        await self._whip.close()
