"""Two gateways that share limits over a real Redis: as strict as one, and on their own where it is away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import redis

from tests.e2e import support
from tools.shared.hammering import hammer
from tools.shared.redis_server import RedisServer, running

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

RATE, BURST, PER_KEY = 1.0, 20, 3
KEYS = [f"key-number-{number:03}-of-this-test" for number in range(70)]
ATTACKERS, NEIGHBOURS = KEYS[:50], KEYS[50:55]
METERED = "key-with-a-quota-of-this-test"
AUDIO = {"encoding": "pcm_s16le", "sample_rate": 16_000}


@dataclass
class Pair:
    redis: RedisServer
    servers: list[support.Process]
    urls: list[str]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    keys = folder / "keys.txt"
    keys.touch(0o600)
    keys.write_text("\n".join([*KEYS, f"{METERED} name=metered daily_audio_seconds=3"]))
    with running(folder) as server_of_both:
        settings = {
            "API_KEYS_FILE": str(keys),
            "TOKEN_SECRET": "the-same-on-both-gateways",
            "REDIS_URL": server_of_both.url,
            "REDIS_TIMEOUT_MS": "500",  # this machine has other things to do
            "RATE_LIMIT_RPS": f"{RATE:g}",
            "RATE_LIMIT_BURST": str(BURST),
            "MAX_SESSIONS_PER_KEY": str(PER_KEY),
            "MAX_HALF_OPEN_PER_KEY": "8",
        }
        servers = [
            support.Process(folder / f"{name}.log", "demo", "--port", "0", NODE_NAME=name, **settings)
            for name in ("a", "b")
        ]
        try:
            yield Pair(server_of_both, servers, [server.url(100) for server in servers])
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait()
                server.kill()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def ready(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with http.get(f"{url}/v1/ready") as response:
        assert response.status == 200
        return dict(await response.json())


async def becomes(http: aiohttp.ClientSession, pair: Pair, state: str) -> None:
    deadline = time.monotonic() + 15
    while any([(await ready(http, url))["shared"] != state for url in pair.urls]):
        assert time.monotonic() < deadline, f"not {state} in time"
        await asyncio.sleep(0.05)


async def token_of(http: aiohttp.ClientSession, url: str, key: str) -> str:
    async with http.post(f"{url}/v1/tokens", headers=bearer(key)) as response:
        assert response.status == 201
        return str((await response.json())["token"])


async def test_attackers_get_what_they_may_of_both_and_nobody_else_is_harmed(
    pair: Pair, http: aiohttp.ClientSession
) -> None:
    await becomes(http, pair, "up")
    attack = [hammer(http, pair.urls, key, rps=2.5, seconds=12) for key in ATTACKERS]
    calm = [hammer(http, pair.urls, key, rps=RATE * 0.45, seconds=12) for key in NEIGHBOURS]
    told = await asyncio.gather(*attack, *calm)
    for one in told[: len(ATTACKERS)]:
        least, most = one.allowed(RATE, BURST)
        assert one.other == 0
        assert least - 1 <= one.granted <= most
        assert one.refused > 10
        assert one.retry_after == {"1"}
    for one in told[len(ATTACKERS) :]:
        assert (one.refused, one.other) == (0, 0), "it asked for less than it may"
    total = sum(one.granted for one in told[: len(ATTACKERS)])
    assert total >= 0.98 * sum(one.allowed(RATE, BURST)[0] for one in told[: len(ATTACKERS)])


@contextlib.asynccontextmanager
async def session(http: aiohttp.ClientSession, url: str, key: str) -> AsyncIterator[Any]:
    async with http.ws_connect(f"{url}/v1/stream", headers=bearer(key)) as ws:
        await ws.send_json({"type": "configure", "audio": AUDIO})
        started = await ws.receive_json(timeout=10)
        assert started["type"] == "session.started"
        yield ws


async def refusal(http: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, str, str | None]:
    """Status, type and Retry-After of a WebSocket that is not let in."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    async with http.get(f"{url}/v1/stream", headers=upgrade | headers) as response:
        if response.status == 101:
            return 101, "", None
        return (
            response.status,
            (await response.json())["error"]["type"],
            response.headers.get("Retry-After"),
        )


async def test_sessions_of_a_key_are_counted_over_both(pair: Pair, http: aiohttp.ClientSession) -> None:
    a, b = pair.urls
    key, other = KEYS[60], KEYS[61]
    async with contextlib.AsyncExitStack() as stack:
        for url in (a, b):
            await stack.enter_async_context(session(http, url, key))
        last = await stack.enter_async_context(session(http, a, key))
        for url in (a, b):
            assert await refusal(http, url, **bearer(key)) == (429, "too_many", "5")
        async with session(http, b, other):
            pass
        await asyncio.sleep(4)  # places are said again
        assert (await refusal(http, b, **bearer(key)))[0] == 429
        await last.send_json({"type": "stop"})
        while (await last.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
            pass
        async with session(http, b, key):
            assert (await refusal(http, a, **bearer(key)))[0] == 429


async def test_a_token_is_good_once_wherever(pair: Pair, http: aiohttp.ClientSession) -> None:
    a, b = pair.urls
    token = await token_of(http, a, KEYS[62])
    async with session(http, a, token):
        pass
    for url in (b, a):
        assert (await refusal(http, url, **bearer(token)))[:2] == (401, "token_replayed")


async def test_a_token_whose_session_did_not_come_about_is_given_back(
    pair: Pair, http: aiohttp.ClientSession
) -> None:
    a, b = pair.urls
    token = await token_of(http, a, KEYS[63])
    async with http.ws_connect(f"{a}/v1/stream", headers=bearer(token)) as ws:
        await ws.send_json({"type": "configure", "audio": {"encoding": "mp3"}})
        assert (await ws.receive_json(timeout=10))["type"] == "error"
    await asyncio.sleep(0.2)
    async with session(http, b, token):
        pass


async def test_a_quota_is_of_both_together(pair: Pair, http: aiohttp.ClientSession) -> None:
    a, b = pair.urls
    async with session(http, a, METERED) as ws:
        for _ in range(35):
            await ws.send_bytes(bytes(3_200))  # 0.1 s each
        await ws.send_json({"type": "stop"})
        while (await ws.receive(timeout=20)).type is aiohttp.WSMsgType.TEXT:
            pass
    await asyncio.sleep(2.5)
    assert (await refusal(http, b, **bearer(METERED)))[:2] == (429, "quota_exceeded")
    used = []
    for url in (a, b):
        async with http.get(f"{url}/v1/usage?days=2", headers=bearer(METERED)) as response:
            used.append([day["audio_seconds"] for day in (await response.json())["days"]])
    assert used[0] == used[1]
    assert 3 <= sum(used[0]) < 4


async def told_again(pair: Pair) -> None:
    """Until those who hold places, tokens and usage have said so."""
    client = redis.Redis.from_url(pair.redis.url)
    deadline = time.monotonic() + 10
    try:
        while not (
            client.keys("rtc-stt:t:*")
            and sum(client.zcard(key) for key in client.keys("rtc-stt:r:*:key_limit")) == 3  # type: ignore[misc]
            and client.hlen("rtc-stt:nodes:told") == 2
        ):
            assert time.monotonic() < deadline, client.keys("*")
            await asyncio.sleep(0.05)
    finally:
        client.close()


async def test_redis_goes_and_comes_back_empty(pair: Pair, http: aiohttp.ClientSession) -> None:
    a, b = pair.urls
    spent = await token_of(http, a, KEYS[64])
    async with session(http, a, KEYS[65]), session(http, b, KEYS[65]), session(http, a, KEYS[65]):
        async with session(http, a, spent):
            pass
        pair.redis.kill()
        told = await asyncio.gather(*(hammer(http, pair.urls, key, rps=5, seconds=6) for key in KEYS[66:69]))
        for url in pair.urls:
            assert (await ready(http, url))["shared"] == "degraded"
        for one in told:
            # Each gateway has half; which half the first second asks for is not known to it.
            assert one.other == 0
            least, most = one.allowed(RATE, BURST)
            assert 0.9 * least - 2 <= one.granted <= most + 2
        async with session(http, b, KEYS[69]):
            pass
        pair.redis.start()
        await becomes(http, pair, "up")
        await told_again(pair)
        assert (await refusal(http, b, **bearer(KEYS[65])))[0] == 429, "three sessions go on"
        assert (await refusal(http, b, **bearer(spent)))[:2] == (401, "token_replayed")
        assert (await refusal(http, a, **bearer(METERED)))[:2] == (429, "quota_exceeded")
    for server in pair.servers:
        assert server.log.count("Redis is away") == 1
        assert "Traceback" not in server.log
        assert not any(key in server.log for key in KEYS)
