"""Keys, quotas and usage of a server as a user starts it: changed while it runs, used up, guessed at."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.e2e import support
from tests.e2e.support import ROOT, Clip, rtc_stt
from tools.ingest import opus
from tools.ingest.speaker import Refused, Speaker

pytestmark = pytest.mark.e2e

OLD, NEW, OTHER = (f"the-{name}-key-of-this-test-0001" for name in ("old", "new", "other"))

ROOMY = {"RATE_LIMIT_RPS": "1000", "RATE_LIMIT_BURST": "1000"}

Start = Callable[..., support.Process]


def write(path: Path, *lines: str) -> Path:
    path.touch(0o600)
    path.write_text("\n".join(lines))
    return path


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def status(http: aiohttp.ClientSession, key: str) -> int:
    async with http.get("/v1/usage", headers=bearer(key)) as response:
        return response.status


async def usage(http: aiohttp.ClientSession, key: str) -> dict[str, Any]:
    async with http.get("/v1/usage?days=2", headers=bearer(key)) as response:
        assert response.status == 200
        told: dict[str, Any] = await response.json()
        return told


def total(told: dict[str, Any], what: str) -> float:
    """Of both days: midnight may come in between."""
    return float(sum(day[what] for day in told["days"]))


async def attempt(speaker: Speaker) -> None:
    """To begin a session."""
    async with speaker:
        pass


async def becomes(read: Callable[[], Awaitable[object]], wanted: object, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while await read() != wanted:
            await asyncio.sleep(0.02)


async def test_a_key_is_changed_without_turning_anyone_away(
    start_server: Start, tmp_path: Path, sentences: list[Clip]
) -> None:
    keys, database = write(tmp_path / "keys.txt", f"{OLD} name=acme", f"{OTHER}"), str(tmp_path / "usage.db")
    settings = {"API_KEYS_FILE": str(keys), "USAGE_DB": database, **ROOMY}
    server = start_server("demo", "--port", "0", "--log-level", "info", **settings)
    url = server.url()
    refused: list[int] = []

    async def go_on(key: str) -> None:
        """As a customer does, who has this key."""
        while True:
            if (found := await status(http, key)) != 200:
                refused.append(found)
            await asyncio.sleep(0.01)

    async with aiohttp.ClientSession(url) as http, Speaker(url, token=OLD) as speaker:
        await speaker.ear.wait_for("session.started")
        async with http.post("/v1/tokens", headers=bearer(OLD)) as response:
            token = (await response.json())["token"]
        with_old = asyncio.create_task(go_on(OLD))
        assert await status(http, NEW) == 401

        write(keys, f"{OLD} name=acme", OTHER, f"{NEW} name=acme")
        server.process.send_signal(signal.SIGHUP)
        await becomes(lambda: status(http, NEW), 200)
        with_new = asyncio.create_task(go_on(NEW))
        await asyncio.sleep(0.3)
        with_old.cancel()

        write(keys, OTHER, f"{NEW} name=acme")
        server.process.send_signal(signal.SIGHUP)
        await becomes(lambda: status(http, OLD), 401)
        with pytest.raises(Refused) as error:
            await attempt(Speaker(url, token=token))
        assert (error.value.status, json.loads(error.value.args[2])["error"]["type"]) == (401, "token_wrong")

        write(keys, f"{NEW} name=acme", "short")
        server.process.send_signal(signal.SIGHUP)
        await support.until(lambda: "stay as they were" in server.log)
        assert f"{keys}:2: a key has 16 to 512 characters" in server.log
        for key, wanted in ((OLD, 401), (NEW, 200), (OTHER, 200)):
            assert await status(http, key) == wanted

        speaker.say(opus.encode(sentences[0].audio))  # its key is gone, it is not
        await speaker.ear.wait_for("transcript.final", timeout=20)
        assert speaker.ear.finals[0].text == sentences[0].text
        with_new.cancel()
        assert refused == []
    server.terminate()
    assert server.wait() == 0
    assert re.findall(r"(\d) keys are good", server.log) == ["3", "2"]
    assert not any(secret in server.log for secret in (OLD, NEW, OTHER, token))

    write(keys, f"{NEW} name=acme", OTHER)
    again = start_server("demo", "--port", "0", **settings)
    async with aiohttp.ClientSession(again.url()) as http:
        told, others = await usage(http, NEW), await usage(http, OTHER)
    again.stop()
    assert told["key"] == "acme"
    assert total(told, "sessions") == 1
    assert sentences[0].seconds < total(told, "audio_seconds") < 60
    assert total(others, "audio_seconds") == total(others, "sessions") == 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Process]:
    """With a media worker. Of its keys one has a quota."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = write(folder / "keys.txt", f"{NEW} daily_audio_seconds=2", OTHER)
    server = support.Process(
        folder / "server.log", "demo", "--port", "0", API_KEYS_FILE=str(keys), MEDIA_WORKERS="1", **ROOMY
    )
    try:
        yield server
        server.stop()
        assert not any(key in server.log for key in (NEW, OTHER))
    finally:
        server.kill()


async def test_a_session_is_ended_where_its_quota_is(guarded: support.Process) -> None:
    url = guarded.url()
    [worker] = psutil.Process(guarded.process.pid).children()
    worker.send_signal(signal.SIGHUP)  # a terminal sends it to all: it is the front's
    async with aiohttp.ClientSession(url) as http, Speaker(url, token=NEW) as speaker:
        async with Speaker(url, token=OTHER) as other:
            began = time.monotonic()
            await speaker.ear.wait_for("session.ended", timeout=15)
            assert time.monotonic() - began < 12
            assert (await speaker.ear.wait_for("error")).code == "quota_exceeded"
            assert other.ear.ended is None
        for resume in (None, (speaker.ear.started.resume_token, 1)):
            with pytest.raises(Refused) as error:
                await attempt(Speaker(url, token=NEW, resume=resume))
            assert error.value.status == (404 if resume else 429)
            if resume is None:
                assert 1 <= int(error.value.args[1]["Retry-After"]) <= 86_400
        told = await usage(http, NEW)
        assert told["daily_audio_seconds"] == 2
        assert 2 <= total(told, "audio_seconds") < 12
        assert total(told, "sessions") == 1
        assert total(await usage(http, OTHER), "audio_seconds") > 2
        async with http.get("/metrics", headers=bearer(OTHER)) as response:
            assert 'rtc_stt_rejected_total{reason="quota"} 1.0' in await response.text()
    assert worker.is_running()


async def test_a_thousand_bad_keys_are_a_thousand_refusals_and_no_more(guarded: support.Process) -> None:
    url, process = guarded.url(), psutil.Process(guarded.process.pid)
    latencies: dict[str, list[float]] = {"calm": [], "attacked": []}
    statuses: list[int] = []

    async def guess(number: int) -> None:
        wrong = (f"Bearer {NEW[:-4]}{number:04d}x", f"Bearer {os.urandom(24).hex()}", f"Basic {NEW}")
        path = ("/v1/usage", "/whip", "/metrics", "/v1/tokens")[number % 4]
        headers = {"Authorization": wrong[number % 3]}
        method = "GET" if path in ("/v1/usage", "/metrics") else "POST"
        # Half of them connect anew each time.
        connector = aiohttp.TCPConnector() if number % 2 else None
        async with (
            aiohttp.ClientSession(url, connector=connector) if connector else _borrowed(http) as client,
            client.request(method, path, headers=headers) as response,
        ):
            statuses.append(response.status)
            assert (await response.json())["error"]["type"] == "unauthorized"

    gate = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        async with gate:
            await guess(number)

    async def customer(phase: str) -> None:
        while True:
            began = time.monotonic()
            assert await status(mine, NEW) == 200
            latencies[phase].append(time.monotonic() - began)
            await asyncio.sleep(0.01)

    async with aiohttp.ClientSession(url) as http, aiohttp.ClientSession(url) as mine:
        await asyncio.gather(*map(one, range(100)))  # what is made once has been made
        calm = asyncio.create_task(customer("calm"))
        await asyncio.sleep(1)
        calm.cancel()
        before, connections = process.memory_info().rss, len(process.net_connections("tcp"))
        attacked = asyncio.create_task(customer("attacked"))
        await asyncio.gather(*map(one, range(1000)))
        attacked.cancel()
        grown = process.memory_info().rss - before
        await becomes(lambda: _has_at_most(process, connections), True)
        async with mine.get("/metrics", headers=bearer(NEW)) as response:
            found = re.search(r'rtc_stt_rejected_total\{reason="key"\} (\S+)', await response.text())
    assert statuses == [401] * 1100
    assert found
    assert float(found[1]) == 1100
    assert grown < 8 * 2**20, f"{grown / 2**20:.1f} MiB"
    assert statistics.median(latencies["attacked"]) < 0.1, latencies
    assert max(latencies["attacked"]) < 1.0, latencies


async def _has_at_most(process: psutil.Process, connections: int) -> bool:
    return len(process.net_connections("tcp")) <= connections


class _borrowed:
    """A client that outlives the block."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def __aenter__(self) -> aiohttp.ClientSession:
        return self._client

    async def __aexit__(self, *_: object) -> None:
        pass


def test_a_mistake_in_the_file_or_the_database_stops_the_start(tmp_path: Path) -> None:
    keys = write(tmp_path / "keys.txt", f"{NEW} nmae=acme")
    done = rtc_stt("serve", API_KEYS_FILE=str(keys))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(f"{keys}:1: expected KEY [name=…] [daily_audio_seconds=…] [operator=yes]")
    assert NEW not in done.stderr + done.stdout
    done = rtc_stt("demo", "--port", "0", USAGE_DB=str(tmp_path))
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .endswith(f"USAGE_DB: {tmp_path} cannot be used (unable to open database file)")
    )


def test_the_guide_is_true(tmp_path: Path) -> None:
    """Its commands, one after the other, as written: but for the models and the port."""
    text = (ROOT / "docs/guides/keys.md").read_text(encoding="utf-8")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    script = "\nsleep 0.5\n".join(blocks).replace("rtc-stt serve", "rtc-stt demo")
    started = 'until curl -sf "http://localhost:8080/v1/health" >/dev/null; do sleep 0.1; done'
    script = script.replace("SERVER=$!\n", f"SERVER=$!\n{started}\n").replace("8080", str(port))
    ending = f'''
curl -s -o /dev/null -w "%{{http_code}}\\n" -H "Authorization: Bearer $OLD" http://localhost:{port}/v1/usage
kill "$SERVER"; wait "$SERVER"'''
    program = tmp_path / "rtc-stt"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rtc_stt "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script + ending],
        cwd=tmp_path,
        env=support.clean_environment(PATH=path, PYTHONPATH=str(ROOT), PORT=str(port)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "API_KEYS_FILE=keys.txt" in done.stdout
    assert '"key": "acme"' in done.stdout
    assert done.stdout.endswith("401\n")
    assert re.findall(r"(\d) keys are good", done.stderr) == ["3", "2"]
    assert (tmp_path / "keys.txt").stat().st_mode & 0o077 == 0
