"""Asks a Prometheus over its HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

from __future__ import annotations

import json
import math
from typing import Any

import aiohttp

from rtc_stt.errors import TargetFailed

__all__ = ["Prometheus"]

TIMEOUT_S = 15.0
"""Of a question."""

MAX_BYTES = 8 * 1024 * 1024
"""Of an answer."""


class Prometheus:
    """One of them. No error names its address, which may hold a password.

    Args:
        http: closed by who made it.
        name: what it is called in errors.
        url: where it is, with the path before ``/api/v1``.
        token: a bearer token, if it wants one.
    """

    def __init__(self, http: aiohttp.ClientSession, name: str, url: str, token: str = "") -> None:
        self._http = http
        self._name = name
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def number(self, question: str, at: float) -> float | None:
        """The one value of an expression at a time (Unix, seconds); None where there is none.

        Raises:
            TargetFailed: it cannot be asked, or the expression has several values.
        """
        found = await self._ask("query", {"query": question, "time": f"{at:.3f}"})
        if len(found) > 1:
            raise TargetFailed(f"{self._name} tells {len(found)} series where one was asked for")
        return _value(found[0]["value"][1]) if found else None

    async def looks(self, question: str, end: float, count: int, every_s: float) -> list[float | None]:
        """Its values at ``count`` times, the last of them ``end``, oldest first.

        Raises:
            TargetFailed: as above.
        """
        start = end - (count - 1) * every_s
        span = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{every_s:g}"}
        found = await self._ask("query_range", {"query": question, **span})
        if len(found) > 1:
            raise TargetFailed(f"{self._name} tells {len(found)} series where one was asked for")
        looks: list[float | None] = [None] * count
        for at, value in found[0]["values"] if found else ():
            place = round((float(at) - start) / every_s)
            if 0 <= place < count:
                looks[place] = _value(value)
        return looks

    async def _ask(self, way: str, fields: dict[str, str]) -> list[Any]:
        try:
            async with self._http.post(
                f"{self._url}/api/v1/{way}",
                data=fields,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as answer:
                body = await answer.content.read(MAX_BYTES + 1)
                while len(body) <= MAX_BYTES and not answer.content.at_eof():
                    body += await answer.content.read(MAX_BYTES + 1)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise TargetFailed(f"{self._name} cannot be asked: {type(error).__name__}") from None
        if len(body) > MAX_BYTES:
            raise TargetFailed(f"{self._name} answers with more than {MAX_BYTES} bytes")
        try:
            told = json.loads(body)
            if told["status"] != "success":
                raise TargetFailed(f"{self._name} refuses the question: {str(told.get('error', ''))[:200]}")
            return list(told["data"]["result"])
        except (ValueError, KeyError, TypeError):
            says = f"{self._name} answers with status {answer.status}, and not as a Prometheus"
            raise TargetFailed(says) from None


def _value(text: str) -> float | None:
    """None where it is no number, as a percentile of nothing is; and where it has no bound."""
    value = float(text)
    return value if math.isfinite(value) else None
