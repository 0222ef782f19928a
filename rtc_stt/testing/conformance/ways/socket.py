"""A WebSocket of a way that is said by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence

import aiohttp

from rtc_stt.testing.conformance.told import Failed
from rtc_stt.testing.conformance.way import Hear, WayFailed
from rtc_stt.testing.conformance.ways.messages import Messages

__all__ = ["Socket"]

CLOSE_TIMEOUT_S = 2.0

BUSY = (429, 503)
AGAIN_S = 0.5
"""A server that has too much to do is asked again; for how long, who opens the line says."""


class Socket(Messages):
    """One connection: every text that comes is given to ``receive``; what breaks it is told."""

    def __init__(self, receive: Callable[[str], None], hear: Hear) -> None:
        super().__init__(receive, hear)
        self._http: aiohttp.ClientSession | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(
        self, url: str, headers: Mapping[str, str], protocols: Sequence[str] = ()
    ) -> aiohttp.ClientWebSocketResponse:
        """Connect, and read from now on.

        Raises:
            WayFailed: there is no connection to be had.
        """
        self._http = aiohttp.ClientSession()
        while True:
            try:
                self._ws = await self._http.ws_connect(
                    url,
                    headers=headers,
                    protocols=protocols,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                )
            except aiohttp.WSServerHandshakeError as error:
                if error.status not in BUSY:
                    raise WayFailed(f"no connection: status {error.status}") from None
                await asyncio.sleep(AGAIN_S)
            except (aiohttp.ClientError, OSError) as error:
                raise WayFailed(f"no connection: {type(error).__name__}") from None
            else:
                break
        self._reading = asyncio.get_running_loop().create_task(self._read())
        return self._ws

    async def say(self, message: Mapping[str, object]) -> None:
        """Send JSON."""
        await self._send(self._ws.send_str(json.dumps(message)))

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        await self._send(self._ws.send_bytes(data))

    async def _send(self, sending: Coroutine[None, None, None]) -> None:
        try:
            await sending
        except (aiohttp.ClientError, OSError):
            raise WayFailed("the connection broke") from None

    async def until_closed(self) -> None:
        """Return when the server has closed the connection, and everything is read."""
        if self._reading:
            await self._reading

    async def close(self) -> None:
        """Hang up. Never raises."""
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            await self._ws.close()
        if self._http:
            await self._http.close()

    async def _read(self) -> None:
        try:
            async for message in self._ws:
                if not self._take(message.data):
                    return
            if self._ws.close_code != aiohttp.WSCloseCode.OK:
                self._hear(Failed(f"the server closed the connection with code {self._ws.close_code}"))
        finally:
            self._end()
