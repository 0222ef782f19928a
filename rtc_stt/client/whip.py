"""The client's HTTP: an offer by WHIP (RFC 9725), its end, and the list of ICE servers."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp

from rtc_stt.client.answers import read_refusal, seconds_to_wait
from rtc_stt.client.reconnect import Answer

__all__ = ["Accepted", "Whip", "read_answer"]

log = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=10)
DELETE_TIMEOUT = aiohttp.ClientTimeout(total=2)

GONE = (404, 503)
"""Of a connection: there is none, or the server that has it does not answer the one that was asked."""

MAX_BODY = 256 * 1024
"""Of an answer: SDP or an error."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An offer that was answered."""

    sdp: str
    resource: str
    """The address of the connection, to be deleted at its end."""


class Whip:
    """Asks on behalf of one client; ``secret`` is its key or token."""

    def __init__(self, secret: str | None) -> None:
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._http = aiohttp.ClientSession(timeout=TIMEOUT)
        self._ice_servers: list[dict[str, Any]] = []
        self._ice_servers_until = float("-inf")

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._http.close()

    async def post(
        self, url: str, offer: str, resume: tuple[str, int] | None
    ) -> tuple[Answer, Accepted | None]:
        """Make an offer; ``resume`` is the token of a session and the last number seen of it.

        Raises:
            aiohttp.ClientError, TimeoutError: there is no answer.
        """
        headers = {**self._headers, "Content-Type": "application/sdp"}
        if resume:
            headers |= {"Resume-Token": resume[0], "Resume-From": str(resume[1])}
        async with self._http.post(url, data=offer, headers=headers, allow_redirects=False) as response:
            body = await _body(response)
            answer = _answer(response, body)
            if response.status != 201:
                return answer, None
            return answer, Accepted(body, urljoin(url, answer.location or ""))

    async def delete(self, resource: str) -> None:
        """End a session. That the server may be gone is no error: it will notice by itself."""
        try:
            async with self._http.delete(resource, headers=self._headers, timeout=DELETE_TIMEOUT):
                pass
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("a session could not be deleted: %s", type(error).__name__)

    async def is_gone(self, resource: str) -> bool:
        """Whether a connection is gone, as far as a server can say that; False where none can."""
        try:
            async with self._http.get(
                resource, headers=self._headers, timeout=DELETE_TIMEOUT, allow_redirects=False
            ) as response:
                return response.status in GONE
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def ice_servers(self, url: str, now: float) -> list[dict[str, Any]]:
        """STUN and TURN servers for this client; none where the server tells of none.

        Raises:
            aiohttp.ClientError, TimeoutError: there is no answer.
        """
        if now < self._ice_servers_until:
            return self._ice_servers
        async with self._http.get(url, headers=self._headers) as response:
            body = await _body(response)
            if response.status != 200:
                return []
        try:
            told = json.loads(body)
            servers = [
                {"urls": server["urls"], **{k: server[k] for k in ("username", "credential") if k in server}}
                for server in told["iceServers"]
            ]
            self._ice_servers_until = now + float(told.get("ttl_s", 0)) / 2
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("the server's list of ICE servers cannot be read")
            return []
        self._ice_servers = servers
        return servers


async def read_answer(response: aiohttp.ClientResponse) -> Answer:
    """What a server said to a request for a session."""
    return _answer(response, await _body(response))


def _answer(response: aiohttp.ClientResponse, body: str) -> Answer:
    headers = response.headers
    retry_after_s = seconds_to_wait(headers.get("Retry-After"), time.time())
    return Answer(response.status, read_refusal(body).message, retry_after_s, headers.get("Location"))


async def _body(response: aiohttp.ClientResponse) -> str:
    """The text of an answer, as far as it is no longer than any honest one."""
    body = b""
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_BODY:
            break
    return body[:MAX_BODY].decode(errors="replace")
