"""Hears all calls of a server, as a subscriber does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

__all__ = ["CallEar", "HeardCall"]


@dataclass
class HeardCall:
    """What was told of one call."""

    id: str
    events: list[dict[str, Any]] = field(default_factory=list, repr=False)
    arrived: list[float] = field(default_factory=list, repr=False)
    """When each came, in seconds of the monotonic clock."""

    def of(self, kind: str, leg: str | None = None) -> list[dict[str, Any]]:
        """Its events of a type, of one leg or all."""
        return [e for e in self.events if e["type"] == kind and (leg is None or e.get("leg") == leg)]

    @property
    def caller(self) -> str:
        """As ``call.started`` says; empty before that."""
        return str(next(iter(self.of("call.started")), {}).get("caller", ""))

    @property
    def is_over(self) -> bool:
        """Whether its end was told."""
        return bool(self.of("call.ended"))

    @property
    def reason(self) -> str:
        """Of its end."""
        return str(self.of("call.ended")[0]["reason"])

    @property
    def legs(self) -> list[str]:
        """By label, in the order in which they came."""
        return [event["leg"] for event in self.of("leg.started")]

    def text(self, leg: str | None = None) -> str:
        """Its finals."""
        return " ".join(event["text"] for event in self.of("transcript.final", leg))

    def keys(self, leg: str | None = None) -> str:
        """The keys that were pressed, in order."""
        return "".join(event["digit"] for event in self.of("dtmf", leg))

    @property
    def is_whole(self) -> bool:
        """Whether its numbers have no gap, and it began and ended as it should."""
        numbers = [event["seq"] for event in self.events]
        kinds = [event["type"] for event in self.events]
        return (
            numbers == list(range(1, len(numbers) + 1))
            and kinds[0] == "call.started"
            and kinds[-1] == "call.ended"
            and kinds.count("leg.started") == kinds.count("leg.ended")
        )


class CallEar:
    """A connection to ``GET /v1/calls/events``.

    Args:
        url: of the server.
        key: where it asks for one.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self.calls: dict[str, HeardCall] = {}
        """By id, in the order in which they began."""
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> CallEar:
        http = await self._stack.enter_async_context(aiohttp.ClientSession(self._url, headers=self._headers))
        socket = await self._stack.enter_async_context(http.ws_connect("/v1/calls/events"))
        task = asyncio.create_task(self._listen(socket), name="ear")
        self._stack.push_async_callback(asyncio.wait, [task])
        self._stack.callback(task.cancel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = json.loads(message.data)
            call = self.calls.setdefault(event["call_id"], HeardCall(event["call_id"]))
            call.events.append(event)
            call.arrived.append(time.monotonic())

    def named(self, caller: str) -> Iterator[HeardCall]:
        """Calls of a caller."""
        return (call for call in self.calls.values() if call.caller == caller)

    async def until(
        self, caller: str, ready: Callable[[HeardCall], object], timeout: float = 15.0
    ) -> HeardCall:
        """The last call of this caller, as soon as it is as wished.

        Raises:
            TimeoutError: it never was; says what there was.
        """
        deadline = time.monotonic() + timeout
        while True:
            found = list(self.named(caller))
            if found and ready(found[-1]):
                return found[-1]
            if time.monotonic() > deadline:
                told = [[e["type"] for e in call.events] for call in found]
                raise TimeoutError(f"{caller}: {told or 'no such call'}")
            await asyncio.sleep(0.02)

    async def ended(self, caller: str, timeout: float = 15.0) -> HeardCall:
        """The last call of this caller, when it is over."""
        return await self.until(caller, lambda call: call.is_over, timeout)
