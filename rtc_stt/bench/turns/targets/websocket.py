"""The target over a WebSocket: ``/v1/stream`` through the SDK's client, each frame sent as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.target import Hear
from rtc_stt.bench.turns.targets.live import PATIENCE_S, Talk
from rtc_stt.bench.turns.targets.ours import configuration
from rtc_stt.bench.turns.targets.server import Host
from rtc_stt.client import StreamClient

__all__ = ["OverWebSocket"]


class OverWebSocket:
    """See above.

    Args:
        url: of a server that runs; by default one is started.
        key: where it asks for one.
        hangover_ms: that every session asks for.
        configuration: keys of the server that is started, such as ``CT2_SMALL_PATH``.
    """

    name = "websocket"

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        hangover_ms: int = 500,
        configuration: Mapping[str, str] | None = None,
    ) -> None:
        self._host = Host(url, hangover_ms=hangover_ms, configuration=configuration)
        self._key, self._hangover_ms = key, hangover_ms
        self._models: Mapping[str, str | None] = {}

    @property
    def facts(self) -> Mapping[str, object]:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        own = {"kind": "websocket", "transport": "websocket", "models": dict(self._models)}
        return {**own, **self._host.facts}

    async def start(self) -> None:
        """Start the server, or look whether it is there."""
        await self._host.start()

    async def connect(self, hear: Hear, language: str | None) -> WebSocketLine:
        """A session of its own."""
        talk = Talk(hear)
        # A live client would hold frames back to real time: the player has done that already.
        client = StreamClient(
            self._host.url, key=self._key, is_live=False, patience_s=PATIENCE_S, on_state=talk.watch
        )
        await talk.begin(client, configuration(self._hangover_ms, language))
        return WebSocketLine(self, talk, client)

    async def close(self) -> None:
        """End what :meth:`start` began."""
        await self._host.close()

    def note(self, talk: Talk) -> None:
        """A session told its models."""
        self._models = talk.models or self._models


class WebSocketLine:
    """One session."""

    def __init__(self, target: OverWebSocket, talk: Talk, client: StreamClient) -> None:
        self._target, self._talk, self._client = target, talk, client
        self._frames: asyncio.Queue[Samples] = asyncio.Queue()
        self._sending = asyncio.get_running_loop().create_task(self._pump())

    def send(self, frame: Samples) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        self._frames.put_nowait(frame)

    async def _pump(self) -> None:
        while True:
            await self._client.send(await self._frames.get())

    async def close(self) -> None:
        """Hang up."""
        self._target.note(self._talk)
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        await self._talk.end()
