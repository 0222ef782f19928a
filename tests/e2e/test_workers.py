"""``rtc-stt demo`` with two media workers: real processes and peers, and what happens when one dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
import pytest

from tests.e2e import support
from tests.e2e.support import Clip, until
from tools.ingest import opus
from tools.ingest.speaker import Refused, Speaker

pytestmark = pytest.mark.e2e

WORKERS = {"MEDIA_WORKERS": "2", "MAX_HALF_OPEN_PER_KEY": "16", "RATE_LIMIT_BURST": "100"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Process]:
    """At the end it must stop as it should, with nothing alarming in its log, and leave no process behind."""
    log = tmp_path_factory.mktemp("workers") / "server.log"
    process = support.Process(log, "demo", "--port", "0", "--log-level", "info", **WORKERS)
    try:
        process.url()
        workers = processes(process)
        yield process
        process.stop()
        assert not [worker for worker in workers.values() if worker.is_running()]
    finally:
        process.kill()


def processes(server: support.Process) -> dict[str, psutil.Process]:
    """The workers by name."""
    found = {}
    for child in psutil.Process(server.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            line = child.cmdline()
            if "signaling.workers.worker" in line:
                found[line[line.index("signaling.workers.worker") + 1]] = child
    return found


def packets(clip: Clip, after_s: float = 0.3) -> list[bytes]:
    return opus.encode(np.concatenate([support.silence(after_s), clip.audio]))


def worker_of(speaker: Speaker) -> str:
    return speaker.resource.removeprefix("/whip/").partition("-")[0]


async def get(url: str, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession(url) as http, http.get(path) as response:
        return response.status, await response.text()


async def figure(url: str, name: str) -> float:
    """The sum of a metric over its labels."""
    _, text = await get(url, "/metrics")
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


@contextlib.asynccontextmanager
async def speakers(url: str, count: int) -> AsyncIterator[list[Speaker]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Speaker(url)) for _ in range(count)]


async def hear(speaker: Speaker, clip: Clip) -> str:
    """Say a clip; gives what was understood."""
    count = len(speaker.ear.finals) + 1
    speaker.say(packets(clip))
    await speaker.ear.wait_for("transcript.final", count=count, timeout=20)
    return speaker.ear.finals[-1].text


async def test_sessions_land_on_both_workers_and_each_is_heard(
    server: support.Process, sentences: list[Clip]
) -> None:
    url = server.url()
    async with speakers(url, 4) as clients:
        assert sorted(map(worker_of, clients)) == ["w0", "w0", "w1", "w1"]
        for client in clients:
            name = worker_of(client)
            await client.ear.wait_for("session.started")
            assert client.ear.started.session_id.startswith(f"{name}-")
            assert client.ear.started.resume_token.startswith(f"{name}-")
            assert all(client.ear.started.models.values()), "the models are the front's"
        heard = await asyncio.gather(*map(hear, clients, sentences))
        assert heard == [clip.text for clip in sentences[:4]]
        assert await figure(url, "rtc_stt_sessions") == 4
        assert json.loads((await get(url, "/v1/ready"))[1])["sessions"] == 4
    assert await until_async(lambda: figure(url, "rtc_stt_sessions"), 0)
    assert await figure(url, "rtc_stt_workers") == 2
    assert await figure(url, "rtc_stt_audio_seconds_total") > sum(clip.seconds for clip in sentences[:4])
    assert await figure(url, "rtc_stt_session_seconds_count") == 4
    assert await figure(url, "stt_primary_infer_seconds_count") >= 4, "counted in front"
    assert await figure(url, "rtc_stt_worker_scrapes_failed_total") == 0


async def until_async(read: Callable[[], Any], wanted: object, seconds: float = 5) -> bool:
    for _ in range(int(seconds / 0.1)):
        if await read() == wanted:
            return True
        await asyncio.sleep(0.1)
    return False


async def test_what_is_said_of_a_connection_reaches_its_worker(
    server: support.Process, sentences: list[Clip]
) -> None:
    """Trickle, resume and DELETE, for a session of each worker."""
    url = server.url()
    async with speakers(url, 2) as clients:
        assert {worker_of(client) for client in clients} == {"w0", "w1"}
        for client in clients:
            await client.ear.wait_for("session.started")
            assert await patch(client) == 204
            await client.vanish()
        await asyncio.gather(
            *(resume(client, clip) for client, clip in zip(clients, sentences, strict=False))
        )
    async with aiohttp.ClientSession(url) as http:
        for path in ("/whip/w0-nobody", "/whip/w7-nobody", "/whip/nobody"):
            async with http.delete(path) as response:
                assert response.status == 404


async def patch(client: Speaker) -> int:
    """Say that there are no more candidates."""
    local = client.connection.localDescription.sdp
    ufrag = re.search(r"a=ice-ufrag:(\S+)", local)
    password = re.search(r"a=ice-pwd:(\S+)", local)
    assert ufrag
    assert password
    lines = (
        f"a=ice-ufrag:{ufrag[1]}",
        f"a=ice-pwd:{password[1]}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "a=end-of-candidates",
    )
    fragment = "".join(f"{line}\r\n" for line in lines)
    async with aiohttp.ClientSession(client.url) as http:
        headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": client.etag}
        async with http.patch(client.resource, data=fragment, headers=headers) as response:
            return response.status


async def resume(lost: Speaker, clip: Clip) -> None:
    """Go on with the session of a client that was lost, and end it."""
    session = lost.ear.started
    name = session.session_id.partition("-")[0]
    async with Speaker(lost.url, ear=lost.ear, resume=(session.resume_token, lost.ear.last_seq)) as again:
        assert worker_of(again) == name
        await again.ear.wait_for("session.resumed", timeout=15)
        assert await hear(again, clip) == clip.text
        async with aiohttp.ClientSession(lost.url) as http, http.delete(again.resource) as response:
            assert response.status == 200
        ended = await again.ear.wait_for("session.ended")
        assert ended.reason == "deleted"
        assert again.ear.is_whole


async def test_a_killed_worker_takes_only_its_own_sessions_with_it(
    start_server: Callable[..., support.Process], sentences: list[Clip]
) -> None:
    server = start_server("demo", "--port", "0", **WORKERS)
    url = server.url()
    async with speakers(url, 2) as clients:
        by_worker = {worker_of(client): client for client in clients}
        victim, other = by_worker["w0"], by_worker["w1"]
        for client in clients:
            await client.ear.wait_for("session.started")
            client.say(packets(sentences[0]))
        await victim.ear.wait_for("speech.started")
        doomed = processes(server)["w0"]
        doomed.send_signal(signal.SIGKILL)
        statuses = list[int]()
        while len(statuses) < 5 or statuses[-1] != 201:
            statuses.append(await knock(url))
            assert (await get(url, "/v1/ready"))[0] == 200
        assert set(statuses) == {201}, "a client can begin anew at once"
        started = victim.ear.started
        assert await knock(url, resume=(started.resume_token, victim.ear.last_seq)) == 404
        await other.ear.wait_for("transcript.final", timeout=20)
        assert other.ear.text == sentences[0].text, "who was on the other worker noticed nothing"
        assert other.ear.is_whole
    assert await until_async(lambda: figure(url, 'rtc_stt_workers{state="ready"}'), 2, 30), "it is back"
    assert processes(server)["w0"].pid != doomed.pid
    async with speakers(url, 2) as clients:
        assert {worker_of(client) for client in clients} == {"w0", "w1"}
        assert await hear(clients[0], sentences[2]) == sentences[2].text
    server.terminate()
    assert server.wait() == 0


async def knock(url: str, resume: tuple[str, int] | None = None) -> int:
    """Connect and go; gives the status of the answer."""
    try:
        async with Speaker(url, resume=resume) as speaker:
            await speaker.ear.wait_for("session.started")
    except Refused as refused:
        return refused.status
    return 201


async def test_sigterm_lets_the_sessions_of_all_workers_have_their_finals(
    start_server: Callable[..., support.Process], sentences: list[Clip]
) -> None:
    server = start_server("demo", "--port", "0", **WORKERS)
    url = server.url()
    async with speakers(url, 4) as clients:
        for client, clip in zip(clients, sentences, strict=False):
            await client.ear.wait_for("session.started")
            client.say(packets(clip))
        for client in clients:
            await client.ear.wait_for("transcript.partial", timeout=15)
        workers = processes(server)
        server.terminate()
        for worker in workers.values():
            worker.send_signal(signal.SIGTERM)  # as a service manager does
        for client in clients:
            ended = await client.ear.wait_for("session.ended", timeout=15)
            assert ended.reason == "drained"
            assert client.ear.is_whole
            assert len(client.ear.finals) == 1, [heard.event.type for heard in client.ear.heard]
    assert await until(lambda: server.process.poll() is not None, 20) is True
    assert server.wait() == 0
    server.assert_calm()
    assert not [worker for worker in workers.values() if worker.is_running()]


async def test_the_workers_end_with_the_front(start_server: Callable[..., support.Process]) -> None:
    server = start_server("demo", "--port", "0", **WORKERS)
    url = server.url()
    async with speakers(url, 2):
        workers = processes(server)
        assert len(workers) == 2
        server.kill()
        assert await until(lambda: not any(map(is_alive, workers.values())), 10)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_workers_that_cannot_be_begun_are_an_error_of_the_operator(tmp_path: Path) -> None:
    told = support.rtc_stt("demo", "--port", "0", MEDIA_WORKERS="8", UDP_PORT_RANGE="50000-50009")
    assert told.returncode == 1
    assert "UDP_PORT_RANGE" in told.stderr
    assert "MEDIA_WORKERS=8" in told.stderr
