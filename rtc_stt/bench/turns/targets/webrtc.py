"""The target over WebRTC: a real connection of the SDK, with a track that gives each frame as it comes.

Network conditions act on the datagrams that leave (RTP, RTCP, SCTP; see :mod:`rtc_stt.bench.link`), encrypted
as they are; what the server sends comes as it comes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from rtc_stt.audio import Samples
from rtc_stt.bench.link import Conditions, Link
from rtc_stt.bench.turns.target import Hear
from rtc_stt.bench.turns.targets.live import PATIENCE_S, Talk
from rtc_stt.bench.turns.targets.ours import configuration
from rtc_stt.bench.turns.targets.server import Host
from rtc_stt.client import LiveSession
from rtc_stt.client.audio_out import Packer
from rtc_stt.client.connection import Connection

__all__ = ["Microphone", "OverWebRtc", "through"]


class OverWebRtc:
    """See above.

    Args:
        url: of a server that runs; by default one is started.
        key: where it asks for one.
        hangover_ms: that every session asks for.
        network: what happens to outgoing datagrams, on every line alike.
        configuration: keys of the server that is started, such as ``CT2_SMALL_PATH``.
    """

    name = "webrtc"

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        hangover_ms: int = 500,
        network: Conditions | None = None,
        configuration: Mapping[str, str] | None = None,
    ) -> None:
        self._host = Host(url, hangover_ms=hangover_ms, configuration=configuration)
        self._key, self._hangover_ms, self._network = key, hangover_ms, network
        self._models: Mapping[str, str | None] = {}

    @property
    def facts(self) -> Mapping[str, object]:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        own = {"kind": "webrtc", "transport": "webrtc, opus", "models": dict(self._models)}
        return {**own, **self._host.facts}

    async def start(self) -> None:
        """Start the server, or look whether it is there."""
        await self._host.start()

    async def connect(self, hear: Hear, language: str | None) -> WebRtcLine:
        """A session of its own, over a connection of its own."""
        talk, microphone = Talk(hear), Microphone()
        session = _Worn(
            self._network,
            self._host.url,
            key=self._key,
            track=microphone,
            patience_s=PATIENCE_S,
            on_state=talk.watch,
        )
        await talk.begin(session, configuration(self._hangover_ms, language), session.wear)
        return WebRtcLine(self, talk, microphone)

    async def close(self) -> None:
        """End what :meth:`start` began."""
        await self._host.close()

    def note(self, talk: Talk) -> None:
        """A session told its models."""
        self._models = talk.models or self._models


class WebRtcLine:
    """One session."""

    def __init__(self, target: OverWebRtc, talk: Talk, microphone: Microphone) -> None:
        self._target, self._talk, self._microphone = target, talk, microphone

    def send(self, frame: Samples) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        self._microphone.put(frame)

    async def close(self) -> None:
        """Hang up."""
        self._target.note(self._talk)
        await self._talk.end()
        self._microphone.stop()


class Microphone(MediaStreamTrack):
    """Gives what was put in, at once: the player keeps the time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packer = Packer()
        self._frames: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, frame: Samples) -> None:
        """Speak 20 ms, shape ``(320,)``."""
        for packed in self._packer.push(frame):
            self._frames.put_nowait(packed)

    async def recv(self) -> Any:
        """See aiortc."""
        if self.readyState != "live":
            raise MediaStreamError
        return await self._frames.get()


class _Worn(LiveSession):
    """A session whose datagrams leave through a :class:`~rtc_stt.bench.link.Link`."""

    def __init__(self, network: Conditions | None, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._network = network

    def wear(self) -> None:
        """From here on; a handshake under loss is not what is measured."""
        if self._network:
            connection = self._connection
            assert isinstance(connection, Connection), "it is connected"
            transport = connection.ice_transport
            transport._send = through(Link(self._network), transport._send)


def through(link: Link, send: Callable[[bytes], Awaitable[None]]) -> Callable[[bytes], Awaitable[None]]:
    """``send`` behind a link: each datagram leaves when the link says, or not at all."""
    loop = asyncio.get_running_loop()
    on_their_way: set[asyncio.Task[None]] = set()

    async def leave(datagram: bytes) -> None:
        try:
            await send(datagram)
        except ConnectionError:
            return  # the connection was closed meanwhile

    def start(datagram: bytes) -> None:
        task = loop.create_task(leave(datagram))
        on_their_way.add(task)
        task.add_done_callback(on_their_way.discard)

    queued: list[tuple[float, int, bytes]] = []
    numbers = itertools.count()

    def leave_next() -> None:
        start(heapq.heappop(queued)[2])

    async def through_link(datagram: bytes) -> None:
        now = loop.time()
        for at in link.pass_on(datagram, now):
            if at <= now:
                await send(datagram)
            else:  # timers of the same moment ring in any order, so who leaves is not theirs to say
                heapq.heappush(queued, (at, next(numbers), datagram))
                loop.call_at(at, leave_next)

    return through_link
