"""One request to one server, and what came of it: an answer, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from rtc_stt.client.recording import Form
from rtc_stt.client.retries import Fault

__all__ = ["Answer", "Failure", "Request", "Server"]

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes: a day of speech with word times."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask; it can be asked again."""

    method: str
    path: str
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whatever status it has."""

    status: int
    headers: Mapping[str, str]
    """Their names in any case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """There is no answer."""

    fault: Fault
    error: str
    """Its kind."""


class Server:
    """One that can be asked.

    Args:
        url: such as ``http://gpu-1:8081``; a path of a proxy may follow.
        key: an API key.
        connect_timeout_s: how long a connection may take, TLS included.

    Raises:
        ValueError: the URL is none.
    """

    def __init__(self, url: str, key: str | None, connect_timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is no URL like http://gpu-1:8081")
        if parts.username or parts.password:
            raise ValueError("a key belongs into key=, not into the URL")
        self.url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._connect_timeout_s = connect_timeout_s

    async def ask(self, http: aiohttp.ClientSession, request: Request, timeout_s: float) -> Answer | Failure:
        """Make one attempt, of at most ``timeout_s``.

        Raises:
            BadAudio: the recording cannot be read any more.
        """
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._connect_timeout_s)
        url, form = self.url.rstrip("/") + request.path, request.form
        data, headers = (form.body(), self._headers | form.headers) if form else (None, self._headers)
        try:
            async with http.request(
                request.method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                return Answer(response.status, response.headers, await _body(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Failure(Fault.NO_CONNECTION, type(error).__name__)
        except TimeoutError as error:
            return Failure(Fault.TOO_LATE, type(error).__name__)
        except _TooLong as error:
            return Failure(Fault.UNREADABLE, str(error))
        except (aiohttp.ClientError, OSError) as error:
            if form and form.error:  # it was this, and not the network, that cut the upload short
                raise form.error from None
            return Failure(Fault.BROKEN, type(error).__name__)


class _TooLong(Exception):
    pass


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            raise _TooLong(f"the answer has more than {MAX_ANSWER // 2**20} MiB")
    return bytes(body)
