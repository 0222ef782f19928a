"""One WebSocket to one replica: begun again whenever it breaks, with a sign of life each second both ways."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

import aiohttp

from rtc_stt.errors import trace
from rtc_stt.hypothesis import DecodeRequest
from rtc_stt.replicas.payload import Batch, write_batch
from rtc_stt.replicas.reading import BadPayload
from rtc_stt.replicas.replica import SUBPROTOCOL, Replica
from rtc_stt.replicas.replies import (
    MAX_TEXT_BYTES,
    GatewayAlive,
    Reply,
    read_message,
    read_reply,
    write_forget,
    write_gateway_alive,
)

__all__ = ["Link", "LinkOwner"]

log = logging.getLogger(__name__)

ALIVE_EVERY_S = 1.0
"""Between two signs of life."""

BEATS = 4
"""Looks for one of the replica in that time."""

SILENT_S = 2.5
"""Without one of the replica it is silent: two were lost, or it stands still."""

DEAD_S = 10.0
"""Without one the connection is given up."""

CONNECT_S = 3.0
GOODBYE_S = 1.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Before a link is begun again; twice as long each time that it fails."""

LARGE = 30 * 16_000
"""Samples of a batch from which it is written in a thread: half a minute takes half a millisecond."""


class LinkOwner(Protocol):
    """Who is told what becomes of a link. It must not raise."""

    def linked(self, link: Link) -> None:
        """It can be asked."""
        ...

    def unlinked(self, link: Link) -> None:
        """It cannot, and what it was asked is lost."""
        ...

    def replied(self, link: Link, reply: Reply | None) -> None:
        """The replica says this; None: that it is to go."""
        ...

    def silenced(self, link: Link) -> None:
        """It has said nothing for ``SILENT_S``."""
        ...

    def unsendable(self, link: Link, call: int) -> None:
        """A batch cannot be sent to anyone."""
        ...


class Link:
    """See above. Called on the event loop only.

    Args:
        key: what is shown to the replica.
        queued_s: gives the seconds of audio that wait in the gateway's queue for this tier.
    """

    def __init__(
        self,
        replica: Replica,
        key: str,
        *,
        http: aiohttp.ClientSession,
        owner: LinkOwner,
        queued_s: Callable[[], float],
    ) -> None:
        self.id = replica.id
        self.trouble: str | None = None
        """Why there is none, in words for the operator; None where there is."""
        self._url = replica.url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._http = http
        self._owner = owner
        self._queued_s = queued_s
        self._is_linked = False
        self._unsent: deque[Batch | str] = deque()
        self._has_unsent = asyncio.Event()
        self._heard_at = 0.0
        self._is_silent = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"replica {self.id}")

    # ── What is said ────────────────────────────────────────────────────────────

    def ask(self, call: int, requests: tuple[DecodeRequest, ...]) -> None:
        """Send a batch."""
        self._unsent.append(Batch(call, requests))
        self._has_unsent.set()

    def forget(self, call: int) -> None:
        """Nobody waits for it any more."""
        for item in self._unsent:
            if isinstance(item, Batch) and item.number == call:
                self._unsent.remove(item)
                return
        if self._is_linked:
            self._unsent.append(write_forget(call))
            self._has_unsent.set()

    async def aclose(self) -> None:
        """Say goodbye; nobody is told."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # ── The connection ────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                if await self._connect():
                    pause_s = FIRST_PAUSE_S
            except Exception as error:  # nobody else would begin it again
                log.error("the link to replica %s failed: %s", self.id, trace(error))
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - not all at once
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _connect(self) -> bool:
        """From the connection to its end; whether there was one."""
        try:
            async with asyncio.timeout(CONNECT_S):
                socket = await self._http.ws_connect(
                    self._url,
                    headers=self._headers,
                    protocols=(SUBPROTOCOL,),
                    max_msg_size=MAX_TEXT_BYTES,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except aiohttp.WSServerHandshakeError as error:
            refused = error.status in (401, 403)
            self._lament("does not take WORKERS_KEY" if refused else f"answers {error.status}")
            return False
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            self._lament("cannot be reached")
            return False
        try:
            if socket.protocol != SUBPROTOCOL:
                self._lament("speaks another protocol")
                return False
            await self._talk(socket)
        finally:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):  # who stands still does not take it
                    await socket.close()
        return True

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._unsent.clear()
        self._heard_at = asyncio.get_running_loop().time()
        self._is_linked, self._is_silent, self.trouble = True, False, None
        log.info("linked to replica %s", self.id)
        self._owner.linked(self)
        parts = [
            asyncio.create_task(part) for part in (self._read(socket), self._write(socket), self._mind())
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_linked = False
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            if not (this := asyncio.current_task()) or not this.cancelling():  # else it is being closed
                self._lament("has broken the link")
                self._owner.unlinked(self)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                log.warning("replica %s says what cannot be understood", self.id)
                return
            try:
                reply = read_reply(read_message(message.data))
            except BadPayload as error:
                log.warning("replica %s says what cannot be understood: %s", self.id, error)
                return
            self._heard_at = asyncio.get_running_loop().time()
            self._is_silent, self.trouble = False, None
            self._owner.replied(self, reply)

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                while not self._unsent:
                    self._has_unsent.clear()
                    await self._has_unsent.wait()
                item = self._unsent.popleft()
                if isinstance(item, str):
                    await socket.send_str(item)
                elif (data := await self._write_batch(item)) is not None:
                    await socket.send_bytes(data)

    async def _write_batch(self, batch: Batch) -> bytes | None:
        try:
            if sum(len(request.audio) for request in batch.requests) < LARGE:
                return write_batch(batch)
            return await asyncio.to_thread(write_batch, batch)
        except BadPayload as error:
            log.error("a batch cannot be sent to replicas: %s", error)
            self._owner.unsendable(self, batch.number)
            return None

    async def _mind(self) -> None:
        """Give signs of life, and look for those of the replica; until it counts as dead."""
        loop = asyncio.get_running_loop()
        for beat in itertools.count():
            if beat % BEATS == 0 and not any(isinstance(item, str) for item in self._unsent):
                # What is said is taken over there; else one sign of life is enough.
                self._unsent.append(write_gateway_alive(GatewayAlive(round(self._queued_s(), 3))))
                self._has_unsent.set()
            await asyncio.sleep(ALIVE_EVERY_S / BEATS)
            unheard_s = loop.time() - self._heard_at
            if unheard_s > SILENT_S and not self._is_silent:
                self._is_silent = True
                self._lament("is silent")
                self._owner.silenced(self)
            if unheard_s > DEAD_S:
                return

    def _lament(self, trouble: str) -> None:
        if self.trouble != trouble:
            log.warning("replica %s %s", self.id, trouble)
        self.trouble = trouble
