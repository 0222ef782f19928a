"""A client for recordings: one server, asked again where that may help."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import aiohttp

from rtc_stt.client.caller import Caller, OnRequest, Outlook
from rtc_stt.client.exchange import Answer, Failure, Server
from rtc_stt.client.retries import Retries

__all__ = ["SttClient"]


class SttClient(Caller):
    """``async with SttClient(url, key=…) as client: result = await client.transcribe("call.wav")``

    Any number of calls may be under way at a time. When a request is made again is in
    :mod:`~rtc_stt.client.retries`.

    Args:
        url: of a primary, a fallback or a gateway, such as ``http://gpu-1:8081``.
        key: an API key.
        timeout_s: how long one attempt may take, from the connection to the end of the answer.
        connect_timeout_s: how long a connection may take.
        attempts: how many at most, the first one included.
        patience_s: for all attempts and the waits between them.
        on_request: told of every attempt; what it raises is logged and goes no further.
        session: to be used instead of one of its own (for proxies, certificates); it is not closed.

    Raises:
        ValueError: ``url`` is none, or a number is not positive.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 300.0,
        connect_timeout_s: float = 5.0,
        attempts: int = 4,
        patience_s: float = 600.0,
        on_request: OnRequest | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        super().__init__(
            timeout_s=timeout_s,
            attempts=attempts,
            patience_s=patience_s,
            on_request=on_request,
            session=session,
        )
        self._server = Server(url, key, connect_timeout_s)

    async def health(self) -> bool:
        """Whether the server runs."""
        return await self._says_yes(self._server, "/v1/health")

    async def ready(self) -> bool:
        """Whether it takes requests: its models are loaded, and it does not drain."""
        return await self._says_yes(self._server, "/v1/ready")

    async def metrics(self) -> dict[str, Any]:
        """Its figures, as of ``GET /v1/metrics``. Asked once; raises what :meth:`transcribe` does."""
        return await self._get(self._server, "/v1/metrics")

    async def usage(self) -> dict[str, Any]:
        """What the key has used, as of ``GET /v1/usage``; likewise."""
        return await self._get(self._server, "/v1/usage")

    async def _choose(self, retries: Retries, tried: Set[Server]) -> Server:
        return self._server

    def _ended(self, server: Server, came: Answer | Failure | None) -> None:
        """There is nobody else to ask, however it went."""

    def _outlook(self, told_s: float | None, tried: Set[Server]) -> Outlook:
        return Outlook(told_s, elsewhere=False)
