"""A client for recordings over several servers that can do the same."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

import aiohttp

from rtc_stt.client.answers import seconds_to_wait
from rtc_stt.client.balance import Balance, Outcome
from rtc_stt.client.caller import Caller, OnRequest, Outlook
from rtc_stt.client.exchange import Answer, Failure, Server
from rtc_stt.client.retries import Fault, Retries
from rtc_stt.errors import RtcSttError

__all__ = ["ServerState", "SttPool"]

SPREAD_S = 0.25
"""Over which those come who have waited for a busy server."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """One of a pool, as it sees it."""

    url: str
    is_well: bool
    """Whether it is asked; False while it is busy or out."""
    outstanding: int
    """Requests under way to it."""


class SttPool(Caller):
    """``async with SttPool([url, …], key=…) as pool: result = await pool.transcribe("call.wav")``

    Each request goes to the server that is well and has the fewest under way. One that fails is made again at
    once at another, and after a while (:mod:`~rtc_stt.client.retries`) where there is none. Who is well is
    decided in :mod:`~rtc_stt.client.balance`.

    Args:
        urls: one or more.
        attempts: how many at most, over all servers; None: two more than there are servers, and at least 4.
        Others: as of :class:`~rtc_stt.client.SttClient`; ``patience_s`` is for all servers together.

    Raises:
        ValueError: there is no URL, one is none, or a number is not positive.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        key: str | None = None,
        timeout_s: float = 300.0,
        connect_timeout_s: float = 5.0,
        attempts: int | None = None,
        patience_s: float = 600.0,
        on_request: OnRequest | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        if isinstance(urls, str) or not urls:
            raise ValueError("a pool needs a list of URLs")
        super().__init__(
            timeout_s=timeout_s,
            attempts=max(4, len(urls) + 2) if attempts is None else attempts,
            patience_s=patience_s,
            on_request=on_request,
            session=session,
        )
        self._all = [Server(url, key, connect_timeout_s) for url in urls]
        self._numbers = {server: number for number, server in enumerate(self._all)}
        self._balance = Balance(len(self._all))
        self._probes: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """As of a client; probes end too."""
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        await super().close()

    @property
    def servers(self) -> list[ServerState]:
        """Who is asked now, in the order of the URLs."""
        now = time.monotonic()
        return [
            ServerState(server.url, self._balance.is_well(number, now), self._balance.outstanding(number))
            for number, server in enumerate(self._all)
        ]

    async def health(self) -> bool:
        """Whether one of the servers runs."""
        return any(await asyncio.gather(*(self._says_yes(server, "/v1/health") for server in self._all)))

    async def ready(self) -> bool:
        """Whether one of them takes requests."""
        return any(await asyncio.gather(*(self._says_yes(server, "/v1/ready") for server in self._all)))

    async def metrics(self) -> dict[str, dict[str, Any]]:
        """The figures of each server by its URL; who does not tell them is left out."""
        return await self._get_all("/v1/metrics")

    async def usage(self) -> dict[str, dict[str, Any]]:
        """What the key has used at each server; likewise. Each counts for itself."""
        return await self._get_all("/v1/usage")

    async def _get_all(self, path: str) -> dict[str, dict[str, Any]]:
        async def get(server: Server) -> dict[str, Any] | None:
            try:
                return await self._get(server, path)
            except RtcSttError:
                return None

        told = await asyncio.gather(*(get(server) for server in self._all))
        return {server.url: found for server, found in zip(self._all, told, strict=True) if found is not None}

    # ── Who is asked ────────────────────────────────────────────────────────────

    async def _choose(self, retries: Retries, tried: Set[Server]) -> Server:
        while True:
            now = time.monotonic()
            for number in self._balance.due(now):
                self._start_probe(number)
            choice = self._balance.choose(now, tried=self._numbers_of(tried))
            # There is no time to wait for it? Then its own word is the answer.
            if not choice.wait_s or choice.wait_s >= retries.time_left(now):
                self._balance.begin(choice.place)
                return self._all[choice.place]
            await asyncio.sleep(choice.wait_s + random.random() * SPREAD_S)  # noqa: S311 — not all at once

    def _ended(self, server: Server, came: Answer | Failure | None) -> None:
        told_s = None
        if isinstance(came, Answer):
            told_s = seconds_to_wait(came.headers.get("Retry-After"), time.time())
        self._balance.end(self._numbers[server], _outcome(came), time.monotonic(), told_s)

    def _outlook(self, told_s: float | None, tried: Set[Server]) -> Outlook:
        now, numbers = time.monotonic(), self._numbers_of(tried)
        elsewhere = self._balance.has_well(now, but=numbers)
        return Outlook(self._balance.choose(now, tried=numbers).wait_s, elsewhere)

    def _numbers_of(self, servers: Set[Server]) -> set[int]:
        return {self._numbers[server] for server in servers}

    def _start_probe(self, number: int) -> None:
        probe = asyncio.create_task(self._probe(number))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    async def _probe(self, number: int) -> None:
        is_ready = False
        try:
            is_ready = await self._says_yes(self._all[number], "/v1/ready")
        finally:
            self._balance.probed(number, is_ready, time.monotonic())


def _outcome(came: Answer | Failure | None) -> Outcome | None:
    """What an attempt says of its server."""
    match came:
        case None:
            return None
        case Failure(Fault.NO_CONNECTION):
            return Outcome.UNREACHABLE
        case Failure():
            return Outcome.FAILED
        case Answer(429 | 503):
            return Outcome.BUSY
        case Answer(status):
            return Outcome.FAILED if status >= 500 else Outcome.WELL
