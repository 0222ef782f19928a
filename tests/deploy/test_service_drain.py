"""A fallback behind a Service is replaced. Connections stay with the pod that goes, which refuses on them.
So the Service is asked by two names; by the second there are none to that pod."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from rtc_stt.config import Fallback
from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer
from rtc_stt.failover_lane import FailoverLane
from rtc_stt.hypothesis import Hypothesis, Tier
from rtc_stt.instrument import Instrument
from rtc_stt.lanes import DecodeLane, Run
from rtc_stt.places import make_places
from tests.deploy.manifests import SETS, config_of, load, of_kind, role_of
from tests.fallback_service import Service, status
from tests.harness import request

AT_ONCE = 3


class Balancer:
    """As a Service does: a new connection goes to a pod that is ready, and stays with it."""

    def __init__(self, ready: Service) -> None:
        self.ready = ready
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """While in the block."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for writer in self._writers:
                writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.ready.port)
        self._writers += [writer, back]
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()


class Asker:
    """A gateway's accurate tier, by so many names of the one Service."""

    def __init__(self, port: int, names: tuple[str, ...]) -> None:
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        urls = tuple(f"http://{name}:{port}" for name in names)
        self.lane = FailoverLane(
            make_places(None, Fallback(urls=urls), queued_s=lambda: 0.0, clock=time.monotonic),
            clock=time.monotonic,
            instrument=Instrument(),
            done=self._done,
            changed=lambda lane: None,
        )

    def _done(self, _lane: DecodeLane, _run: Run, answers: list[Answer]) -> None:
        for answer in answers:
            self.answers.put_nowait(answer)

    async def ask(self) -> int:
        """Some at once, as long as anybody may be asked; how many are answered with a text."""
        begun = 0
        for number in range(AT_ONCE):
            if self.lane.free:
                self.lane.start([Ticket(request(str(number), tier=Tier.ACCURATE), 0.0, 0)])
                begun += 1
        found = [await asyncio.wait_for(self.answers.get(), 5) for _ in range(begun)]
        return sum(isinstance(answer, Hypothesis) for answer in found)


async def answered(*names: str) -> list[int]:
    """Of each few requests: before the pod goes, as it does, and after."""
    old, new = await Service().start(), await Service().start()
    balancer = Balancer(old)
    async with balancer.open():
        asker = Asker(balancer.port, names)
        try:
            found = [await asker.ask()]
            balancer.ready = new
            # What a service says that drains; it closes the connection.
            old.otherwise = status(503, Retry_After="5", Connection="close")
            found += [await asker.ask() for _ in range(3)]
            assert bool(new.asked) == (len(names) > 1)
            return found
        finally:
            await asker.lane.aclose(1.0)
            await old.stop()
            await new.stop()


async def test_by_two_names_no_request_fails() -> None:
    assert await answered("127.0.0.1", "localhost") == [AT_ONCE] * 4


async def test_by_one_name_some_would() -> None:
    """Those that are refused, and for five seconds all: nobody else may be asked."""
    assert await answered("127.0.0.1") == [AT_ONCE, 0, 0, 0]


@pytest.mark.parametrize("name", SETS)
def test_the_manifests_give_two_names(name: str) -> None:
    documents = load(name)
    for document in of_kind(documents, "Deployment"):
        settings = config_of(documents, document)
        assert ("FALLBACK_URL" in settings) == (role_of(document) != "fallback" and name != "fleet")
        if "FALLBACK_URL" in settings:
            urls = settings["FALLBACK_URL"].split(",")
            assert [urlsplit(url).hostname for url in urls] == ["rtc-stt-fallback", "rtc-stt-fallback.speech"]
            assert {urlsplit(url).port for url in urls} == {8082}
