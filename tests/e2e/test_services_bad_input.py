"""Everything wrong that can be sent to ``POST /v1/transcribe``, to a primary as a user starts it.

Each must be refused clearly, in the form of the contract; and somebody honest, who asks all the while, must
not notice: neither by a wrong text nor by a wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest
import pytest_asyncio

from tests.e2e import support
from tests.e2e.support import Clip, silence
from tools.ingest.watch import Holdings, metric
from tools.services import uploads
from tools.services.sounds import encode
from tools.services.uploads import MULTIPART, Body

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

T = TypeVar("T")

HONEST = "key-of-the-honest-one-for-tests-only"
OTHER = "key-of-the-attacker-for-tests-only"
MAX_MB, MAX_AUDIO_S, UPLOAD_SECONDS = 2, 60, 2
MAY_GROW_MIB = 48.0
"""What arenas of the allocator and decoders may keep of it all; the soak looks for leaks."""


@dataclass
class Honest:
    """Somebody who asks for the same transcript over and over."""

    http: aiohttp.ClientSession
    clip: bytes = field(repr=False)
    text: str = ""

    async def ask(self) -> float:
        """Once. How long it took."""
        begun = time.perf_counter()
        body = uploads.form(self.clip, filename="clip.flac")
        headers = {"Content-Type": MULTIPART, "Authorization": f"Bearer {HONEST}"}
        async with self.http.post("/v1/transcribe", data=io.BytesIO(body), headers=headers) as response:
            told = await response.json()
            assert response.status == 200, told
        assert told["text"] == self.text
        return time.perf_counter() - begun

    async def during(self, attack: Coroutine[Any, Any, T]) -> tuple[T, list[float]]:
        """Ask until the attack is over, three times at least. What came of it, and how long each took."""
        attacking, waits = asyncio.ensure_future(attack), list[float]()
        try:
            while len(waits) < 3 or not attacking.done():
                waits.append(await self.ask())
                await asyncio.sleep(0.02)
            return await attacking, waits
        finally:
            attacking.cancel()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[support.Process]:
    process = support.Process(
        tmp_path_factory.mktemp("bad-input") / "server.log",
        "primary", "--demo", "--port", "0", API_KEYS=f"{HONEST},{OTHER}",
        MAX_UPLOAD_MB=str(MAX_MB), MAX_AUDIO_S=str(MAX_AUDIO_S), UPLOAD_SECONDS=str(UPLOAD_SECONDS),
        RATE_LIMIT_RPS="10000", RATE_LIMIT_BURST="10000", CONF_LOGPROB_THRESHOLD="0",
    )  # fmt: skip
    try:
        process.url()
        yield process
        process.stop()
    finally:
        process.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(server: support.Process) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url(), connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture(scope="module")
def flac(sentences: list[Clip]) -> bytes:
    return encode(np.concatenate([silence(0.3), sentences[0].audio, silence(0.3)]), "flac")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def honest(http: aiohttp.ClientSession, flac: bytes, sentences: list[Clip]) -> Honest:
    one = Honest(http, flac, sentences[0].text)
    await one.ask()
    return one


@pytest.fixture
def unnoticed(server: support.Process, honest: Honest) -> Callable[[Coroutine[Any, Any, T]], Any]:
    """Runs an attack; gives its result, once the honest one was served well all the while and all is gone."""

    async def run(attack: Coroutine[Any, Any, T]) -> T:
        calm = statistics.median([await honest.ask() for _ in range(3)])
        before = Holdings.of(server.process.pid, 0)
        result, waits = await honest.during(attack)
        assert statistics.median(waits) < 3 * calm + 0.25, (calm, waits)

        def gone() -> bool:
            now = Holdings.of(server.process.pid, 0)
            return now.descriptors <= before.descriptors + 1 and now.threads <= before.threads + 8

        assert await support.until(gone, 20), (before, Holdings.of(server.process.pid, 0))
        assert Holdings.of(server.process.pid, 0).rss_mib < before.rss_mib + MAY_GROW_MIB
        server.assert_calm()
        return result

    return run


async def refusal(response: aiohttp.ClientResponse) -> str:
    """What is wrong with the form of an answer that refuses; empty where nothing is."""
    if response.status == 200:
        return ""
    error = (await response.json())["error"]
    if set(error) != {"type", "message", "request_id"} or not error["message"]:
        return f"no error of the contract: {error}"
    same = {
        "X-Req-Id": error["request_id"],
        "X-Error-Type": error["type"],
    }
    wrong = [name for name, value in same.items() if response.headers.get(name) != value]
    return f"{', '.join(wrong)} differ from the body" if wrong else ""


async def send_all(http: aiohttp.ClientSession, bodies: Iterable[Body]) -> dict[str, str]:
    """One after the other. What was not answered as it should be."""
    wrong = dict[str, str]()
    for body in bodies:
        headers = {**body.headers, "Authorization": f"Bearer {OTHER}"}
        try:
            async with http.post("/v1/transcribe", data=io.BytesIO(body.data), headers=headers) as response:
                text = await response.text()
                if response.status not in body.statuses:
                    wrong[body.name] = f"{response.status} {text[:120]}"
                elif problem := await refusal(response):
                    wrong[body.name] = problem
        except aiohttp.ClientError as error:
            wrong[body.name] = repr(error)
    return wrong


async def test_what_is_no_audio(
    http: aiohttp.ClientSession, unnoticed: Any, flac: bytes, sentences: list[Clip]
) -> None:
    m4a = encode(sentences[0].audio, "m4a")
    assert not await unnoticed(send_all(http, uploads.no_audio(flac, m4a)))


async def test_what_is_no_form(
    server: support.Process, http: aiohttp.ClientSession, unnoticed: Any, flac: bytes
) -> None:
    before = await metric(server.url(), "stt_requests_exceptions_total", HONEST)
    bodies = list(uploads.wrong_forms(flac))
    assert not await unnoticed(send_all(http, bodies))
    after = await metric(server.url(), "stt_requests_exceptions_total", HONEST)
    assert sum(after.values()) - sum(before.values()) == len(bodies), "each is counted"


async def test_what_is_no_http(server: support.Process, unnoticed: Any) -> None:
    """Nothing of it is in the log."""
    to, secret = urlsplit(server.url()), b"a-secret-of-tests"

    async def say(words: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(to.hostname, to.port)
        writer.write(words)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        return answer

    async def attack() -> list[bytes]:
        return [
            await say(b"POST /v1/transcribe HTTP/1.1\r\nX-Odd: \0" + secret + b"\r\n\r\n"),
            await say(b"GET /" + secret + b" HTTP/1.1\r\nContent-Length: many\r\n\r\n"),
            await say(b"\x16\x03\x01\x02\x00" + secret + b"\r\n\r\n"),
        ]

    assert [answer.split()[1] for answer in await unnoticed(attack())] == [b"400"] * 3
    assert secret.decode() not in server.log


async def test_what_is_more_than_it_seems(http: aiohttp.ClientSession, unnoticed: Any) -> None:
    assert not await unnoticed(send_all(http, uploads.bombs(10, MAX_MB)))


async def test_names_that_are_paths(http: aiohttp.ClientSession, unnoticed: Any, flac: bytes) -> None:
    assert not await unnoticed(send_all(http, uploads.names(flac)))


async def test_files_that_point_elsewhere(
    http: aiohttp.ClientSession, unnoticed: Any, flac: bytes, tmp_path: Path
) -> None:
    asked = list[str]()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.read(200)).decode(errors="replace"))
        writer.close()

    (tmp_path / "secret.flac").write_bytes(flac)
    trap = await asyncio.start_server(note, "127.0.0.1", 0)
    port = trap.sockets[0].getsockname()[1]
    bodies = uploads.playlists(f"http://127.0.0.1:{port}/clip.flac", str(tmp_path / "secret.flac"))
    try:
        assert not await unnoticed(send_all(http, bodies)), "a file was read that was not sent"
    finally:
        trap.close()
    assert not asked, "the server was sent to knock"


async def test_audio_that_is_cut_off_is_refused_where_it_says_how_long_it_is(
    http: aiohttp.ClientSession, unnoticed: Any, sentences: list[Clip]
) -> None:
    """Of a stream, which says nothing of its length, and of what is damaged, what can be heard is told."""
    audio, bodies = sentences[0].audio, list[Body]()
    refused, heard, either = frozenset({400}), frozenset({200}), frozenset({200, 400})
    for ending in ("wav", "flac", "m4a", "mp3", "ogg", "webm"):
        data, middle = encode(audio, ending), 20_000
        short = refused if ending in ("wav", "flac", "m4a") else either
        bodies += [
            Body(f"{ending}, begun", uploads.form(data[: len(data) // 3]), short),
            Body(f"{ending}, nearly whole", uploads.form(data[: len(data) * 9 // 10]), short),
            Body(f"{ending}, torn", uploads.form(data[:middle] + bytes(500) + data[middle + 500 :]), either),
        ]
    as_mp3 = uploads.form(encode(audio, "flac"), filename="x.mp3", kind="audio/mpeg")
    bodies.append(Body("a FLAC called MP3", as_mp3, heard))
    assert not await unnoticed(send_all(http, bodies))


async def test_uploads_that_take_for_ever(server: support.Process, unnoticed: Any) -> None:
    """A byte now and then: 408 when the time is up, and no place is held any longer."""

    async def drip() -> int:
        reader, writer = await connect(server.url(), length=100_000)
        dripping = asyncio.ensure_future(drops(writer))
        try:
            async with asyncio.timeout(UPLOAD_SECONDS + 5):
                return await status_of(reader)
        finally:
            dripping.cancel()
            writer.transport.abort()

    async def drops(writer: asyncio.StreamWriter) -> None:
        writer.write(uploads.part("audio", b"fLaC", filename="slow.flac")[:-2])
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.2)

    async def attack() -> list[int]:
        return await asyncio.gather(*(drip() for _ in range(40)))

    assert set(await unnoticed(attack())) == {408}


async def test_uploads_that_promise_too_much(server: support.Process, unnoticed: Any) -> None:
    """A length over the limit is refused before a byte of the body; so is one that nobody has announced."""

    async def promise(length: int | None) -> int:
        reader, writer = await connect(server.url(), length=length)
        with contextlib.suppress(ConnectionError):
            for _ in range(0 if length else 4 * MAX_MB):
                writer.write(b"80000\r\n" + bytes(0x80000) + b"\r\n")
                await writer.drain()
        try:
            async with asyncio.timeout(5):
                return await status_of(reader)
        finally:
            writer.transport.abort()

    async def attack() -> list[int]:
        return [await promise(10 * 2**30), await promise(None)]

    lengthy, chunked = await unnoticed(attack())
    assert lengthy == 413
    assert chunked in (400, 413), "zeros are no form either"


async def test_a_thousand_bad_keys(server: support.Process, unnoticed: Any, flac: bytes) -> None:
    body, at_once = uploads.form(flac), asyncio.Semaphore(16)

    async def knock(http: aiohttp.ClientSession, number: int) -> str:
        headers = {"Content-Type": MULTIPART, "Authorization": f"Bearer {OTHER[:-4]}{number:04}"}
        async with at_once, http.post("/v1/transcribe", data=io.BytesIO(body), headers=headers) as response:
            return f"{response.status} {await refusal(response)}"

    async def attack() -> Counter[str]:
        async with aiohttp.ClientSession(server.url()) as http:
            return Counter(await asyncio.gather(*(knock(http, number) for number in range(1_000))))

    assert await unnoticed(attack()) == {"401 ": 1_000}
    refused = await metric(server.url(), "rtc_stt_rejected_total", HONEST)
    assert refused['{reason="key"}'] >= 1_000


async def test_clients_that_go_in_the_middle(server: support.Process, unnoticed: Any, flac: bytes) -> None:
    body = uploads.form(flac)

    async def leave(share: float) -> None:
        _, writer = await connect(server.url(), length=len(body))
        writer.write(body[: int(share * len(body))])
        await asyncio.sleep(0.01)
        writer.transport.abort()

    async def attack() -> None:
        await asyncio.gather(*(leave(number % 11 / 10) for number in range(110)))

    await unnoticed(attack())


async def connect(url: str, *, length: int | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose body is still to come, of so many bytes; None: in chunks."""
    to = urlsplit(url)
    reader, writer = await asyncio.open_connection(to.hostname, to.port)
    body = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    writer.write(
        f"POST /v1/transcribe HTTP/1.1\r\nHost: {to.netloc}\r\nAuthorization: Bearer {OTHER}\r\n"
        f"Content-Type: {MULTIPART}\r\n{body}\r\n\r\n".encode()
    )
    return reader, writer


async def status_of(reader: asyncio.StreamReader) -> int:
    found = re.match(rb"HTTP/1.1 (\d+)", await reader.readline())
    assert found, "closed without a word"
    return int(found[1])
