"""Hear phone calls, one from its beginning or all from now on, over a connection that is made anew."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin

import aiohttp

from rtc_stt.client.answers import Refusal, error_of, seconds_to_wait
from rtc_stt.client.reconnect import Answer, Attempts, Follow, GiveUp, Retry, Step
from rtc_stt.errors import NotFound

__all__ = ["CallEvent", "CallEvents"]

OPEN_TIMEOUT_S = 10.0
HEARTBEAT_S = 20.0
"""Between two looks whether the line is still there."""

REST_S = 0.25
"""Before a connection is made anew, also where the last one stood for a moment only."""

CALL_GONE = 4404
"""With which a WebSocket is closed when a call that was announced did not come."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """What a call told."""

    type: str
    call_id: str
    seq: int
    """Of the call, from 1, without a gap; 0 of a warning that is of this connection only."""
    at_ms: int
    """On the clock of the call."""
    leg: str
    """``caller``, ``agent`` …; empty where it is of the whole call."""
    fields: Mapping[str, Any]
    """All of it, as the reference of events has it."""


class CallEvents:
    """``async with CallEvents(url, key=…, call_id=…) as events: async for event in events: …``

    Of one call nothing is missed and nothing is told twice, whatever becomes of the connection, but for
    partials that others have replaced; it ends after ``call.ended``. All calls are told from now on, and what
    they tell while there is no connection is not.

    Args:
        url: of the server.
        key: an API key. All calls are those of its account.
        token: of ``POST /v1/calls/{id}/tokens``, in its place.
        call_id: of the call; None: all.
        last_seq: the number of the last event of it that is known.
        patience_s: for how long a connection is tried before it is given up; the very first one where the
            server cannot be reached is given up at once.

    Raises:
        Unauthorized, Forbidden: the key or the token is not good.
        NotFound: there is no such call, or it was announced and did not come.
        Unavailable, TooMany: the server is full, for longer than ``patience_s``.
        Unreachable: there is no connection for so long.
        All by ``async with`` for the first connection, and by the iterator for those after it.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        token: str | None = None,
        call_id: str | None = None,
        last_seq: int = 0,
        patience_s: float = 60.0,
    ) -> None:
        path = f"v1/calls/{quote(call_id, safe='')}/events" if call_id else "v1/calls/events"
        self._url = urljoin(url.rstrip("/") + "/", path)
        self._secret = key or token
        self._call_id = call_id
        self._last_seq = last_seq
        self._patience_s = patience_s
        self._http: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> CallEvents:
        self._http = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._secret}"} if self._secret else {},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=OPEN_TIMEOUT_S),
        )
        try:
            self._ws = await self._connect(is_first=True)
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ws:
            await self._ws.close()
        if self._http:
            await self._http.close()

    @property
    def last_seq(self) -> int:
        """The number of the last event of the call that was told: what another one would go on from."""
        return self._last_seq

    async def __aiter__(self) -> AsyncIterator[CallEvent]:
        while self._ws:
            async for message in self._ws:
                event = _read(message)
                if event is None or (self._call_id and 0 < event.seq <= self._last_seq):
                    continue
                if self._call_id:
                    self._last_seq = max(self._last_seq, event.seq)
                yield event
                if self._call_id and event.type == "call.ended":
                    return
            if self._ws.close_code == CALL_GONE:
                raise NotFound("the call was announced and did not come")
            await asyncio.sleep(REST_S)
            self._ws = await self._connect(is_first=False)

    async def _connect(self, *, is_first: bool) -> aiohttp.ClientWebSocketResponse:
        now = asyncio.get_running_loop().time()
        attempts = Attempts(now, patience_s=self._patience_s, is_first=is_first)
        url = self._url
        while True:
            found = await self._try(attempts, url)
            match found:
                case aiohttp.ClientWebSocketResponse():
                    return found
                case GiveUp(error):
                    raise error
                case Retry(after_s):
                    await asyncio.sleep(after_s)
                case Follow(target):
                    url = target

    async def _try(self, attempts: Attempts, url: str) -> aiohttp.ClientWebSocketResponse | Step:
        assert self._http
        chance = random.random()  # noqa: S311 — spreads clients, guards nothing
        clock = asyncio.get_running_loop().time
        params = {"last_seq": str(self._last_seq)} if self._call_id else {}
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                return await self._http.ws_connect(url, params=params, heartbeat=HEARTBEAT_S)
        except aiohttp.WSServerHandshakeError as refused:
            answer = _answer(refused)
            if answer.status == 404:  # of a call, not of an address
                return GiveUp(error_of(404, Refusal(message=answer.message)))
            return attempts.decide(answer, url, resuming=False, now=clock(), chance=chance)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return attempts.failed(now=clock(), chance=chance)


def _answer(refused: aiohttp.WSServerHandshakeError) -> Answer:
    headers: Mapping[str, str] = refused.headers or {}
    wait_s = seconds_to_wait(headers.get("Retry-After"), time.time())
    return Answer(refused.status, headers.get("X-Error-Message", ""), wait_s, headers.get("Location"))


def _read(message: aiohttp.WSMessage) -> CallEvent | None:
    """An event, if it is one."""
    try:
        body = json.loads(message.data)
        return CallEvent(
            type=str(body["type"]),
            call_id=str(body.get("call_id") or ""),
            seq=int(body["seq"]),
            at_ms=int(body["at_ms"]),
            leg=str(body.get("leg", "")),
            fields=body,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
