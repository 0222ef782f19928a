"""Someone honest who speaks while others attack: they must not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rtc_stt.bench.words import normalise
from rtc_stt.commands import Stop
from tools.ingest.speaker import Speaker
from tools.ingest.watch import LoopLag, loop_lag

__all__ = ["Bystander", "Calm"]

T = TypeVar("T")


@dataclass(frozen=True)
class Calm(Generic[T]):
    """How it was for the bystander, and what the attack gave."""

    result: T
    said: int
    """Clips that were said meanwhile."""
    wrong: list[str] = field(repr=False)
    """What was understood where it was not what was said."""
    lag: LoopLag

    def to_json(self) -> dict[str, Any]:
        """Without the result."""
        return {"clips": self.said, "clips_wrong": len(self.wrong), "loop_lag": self.lag.to_json()}


class Bystander:
    """One session that says the same line over and over while it is asked to.

    Args:
        url: of the server.
        text: of the line.
        packets: that say it.
        key: where the server asks for one.
    """

    def __init__(self, url: str, text: str, packets: list[bytes], *, key: str | None = None) -> None:
        self._url, self._text, self._packets, self._key = url, text, packets, key
        self.speaker = Speaker(url, token=key)

    async def __aenter__(self) -> Bystander:
        await self.speaker.__aenter__()
        await self._say()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.speaker.close()

    async def leave(self) -> bool:
        """End the session. Whether no event was missing in it."""
        self.speaker.send(Stop())
        await self.speaker.ear.wait_for("session.ended")
        return self.speaker.ear.is_whole

    async def during(self, attack: Coroutine[Any, Any, T]) -> Calm[T]:
        """Speak until the attack is over, once at least.

        Raises:
            TimeoutError: a final did not come.
        """
        before = await loop_lag(self._url, self._key)
        attacking = asyncio.ensure_future(attack)
        heard: list[str] = []
        try:
            while not heard or not attacking.done():
                heard.append(await self._say())
            result = await attacking
        finally:
            attacking.cancel()
        lag = (await loop_lag(self._url, self._key)).since(before)
        wrong = [text for text in heard if normalise(text) != normalise(self._text)]
        return Calm(result, len(heard), wrong, lag)

    async def _say(self) -> str:
        """Say the line; what was understood."""
        count = len(self.speaker.ear.finals)
        self.speaker.say(self._packets)
        await self.speaker.said()
        await self.speaker.ear.wait_for("transcript.final", count=count + 1, timeout=15)
        return self.speaker.ear.finals[count].text
