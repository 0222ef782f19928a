"""What two gateways share, over a real Redis, without HTTP: limits, passwords, TLS, least privileges."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtc_stt.cli.config_check import check_gateway
from rtc_stt.config_keys import Values
from rtc_stt.errors import ConfigError, QuotaExceeded, TooMany
from rtc_stt.instrument import Instrument
from signaling import entrance
from signaling.app import make_gate
from signaling.calls import Caller
from signaling.door import Ticket
from signaling.keys import Gate
from signaling.settings import Access, Server
from signaling.shared.link import Away, Link
from signaling.shared.settings import Sharing
from signaling.shared.shared import Shared, shared_by
from signaling.tokens import Token, TokenReplayed
from tools.shared.redis_server import RedisServer, running

pytestmark = pytest.mark.slow

ACCESS: dict[str, Any] = {"token_secret": "the-same-on-both-gateways", "max_sessions_per_key": 2}
SERVER = Server(port=0)
CALLER, OTHER = Caller("k1", "10.0.0.1"), Caller("k2", "10.0.0.2")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path) as server:
        yield server


class Gateway:
    """One of them, as far as it is of interest here."""

    def __init__(self, url: str, sharing: dict[str, Any] | None = None, **access: Any) -> None:
        self.access = Access(**(ACCESS | access))
        sharing = {"redis_url": url, "redis_timeout_ms": 1_000} | (sharing or {})
        self.shared = Shared(Sharing(**sharing), SERVER, self.access, Instrument())
        self.gate: Gate

    async def __aenter__(self) -> Gateway:
        await self.shared.start()
        self.gate = make_gate(SERVER, self.access, Instrument(), shared=self.shared)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shared.aclose()

    async def admit(self, caller: Caller = CALLER) -> Ticket:
        return await entrance.admit(self.gate, caller)


@pytest.fixture
async def pair(redis: RedisServer) -> AsyncIterator[tuple[Gateway, Gateway]]:
    async with Gateway(redis.url) as a, Gateway(redis.url) as b:
        yield a, b


async def until_up(*gateways: Gateway) -> None:
    async with asyncio.timeout(10):
        while any(gateway.shared.state != "up" for gateway in gateways):
            await asyncio.sleep(0.02)


async def test_a_place_is_free_everywhere_when_its_session_ends(pair: tuple[Gateway, Gateway]) -> None:
    a, b = pair
    one, two = await a.admit(), await b.admit()
    a.gate.door.hold(one, "s1")
    b.gate.door.hold(two, "s2")
    for gateway in pair:
        with pytest.raises(TooMany, match="all 2 sessions of this key are taken"):
            await gateway.admit()
    await b.admit(OTHER)
    a.gate.door.watch("s1", "connected")
    with pytest.raises(TooMany):
        await b.admit()
    a.gate.door.watch("s1", "ended")
    await asyncio.sleep(0.1)
    await b.admit()


async def test_an_offer_that_came_to_nothing_takes_no_place(pair: tuple[Gateway, Gateway]) -> None:
    a, b = pair
    for _ in range(6):
        a.gate.door.release(await a.admit())
    for _ in range(2):
        await b.admit()


async def test_who_is_refused_for_one_limit_has_taken_of_none(pair: tuple[Gateway, Gateway]) -> None:
    a, b = pair
    await a.admit()
    await a.admit()
    for _ in range(3):
        with pytest.raises(TooMany):
            await b.admit()
    keys = [key.decode() for key in await b.shared.link.ask("test", lambda r: r.keys("*half_open"))]
    counts = [await b.shared.link.ask("test", lambda r, key=key: r.zcard(key)) for key in keys]
    assert counts == [2]


async def test_places_of_a_gateway_that_died_are_free(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.shared.limits.PLACE_S", 0.5)
    async with Gateway(redis.url) as b, Gateway(redis.url) as a:
        await a.admit()
        await a.admit()
        assert a.shared.limiter._task
        a.shared.limiter._task.cancel()  # as if it were dead
        with pytest.raises(TooMany):
            await b.admit()
        await asyncio.sleep(0.6)
        await b.admit()


async def test_legs_of_calls_are_counted_by_what_was_told_last(pair: tuple[Gateway, Gateway]) -> None:
    a, b = pair
    now = asyncio.get_running_loop().time()
    a.gate.door.seat(CALLER, now)
    b.gate.door.seat(CALLER, now)
    await asyncio.sleep(2.5)
    for gateway in pair:
        with pytest.raises(TooMany):
            gateway.gate.door.seat(CALLER, now)
        with pytest.raises(TooMany):
            await gateway.admit()


async def test_a_token_given_back_is_good_on_the_other(
    redis: RedisServer, pair: tuple[Gateway, Gateway]
) -> None:
    a, b = pair
    token = Token("00" * 8, int(time.time()) + 60, b"0123456789abcdef")
    await entrance.spend(a.gate, token)
    for gateway in pair:
        with pytest.raises(TokenReplayed):
            await entrance.spend(gateway.gate, token)
    entrance.unspend(a.gate, token)
    await entrance.spend(a.gate, token)
    entrance.unspend(a.gate, token)
    await asyncio.sleep(0.1)
    with pytest.raises(TokenReplayed):
        await entrance.spend(b.gate, token)  # it had been seen there
    async with Gateway(redis.url) as c:
        await entrance.spend(c.gate, token)


async def test_a_quota_of_both(redis: RedisServer) -> None:
    async with Gateway(redis.url, daily_audio_seconds=5) as a, Gateway(redis.url, daily_audio_seconds=5) as b:
        a.gate.usage.add("k1", time.time(), audio_s=3)
        b.gate.usage.add("k1", time.time(), audio_s=3)
        await entrance.check_quota(a.gate, "k1")
        for gateway in (a, b):
            assert gateway.shared.tallies
            await gateway.shared.tallies.tell()
        with pytest.raises(QuotaExceeded):
            await entrance.check_quota(b.gate, "k1")
        async with Gateway(redis.url, daily_audio_seconds=5) as c:
            with pytest.raises(QuotaExceeded):
                await entrance.admit(c.gate, CALLER)


async def test_away_each_has_its_part_and_back_empty_all_is_said_again(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings: dict[str, Any] = {"max_sessions_per_key": 4, "rate_limit_rps": 10, "max_half_open_per_key": 10}
    async with Gateway(redis.url, **settings) as a, Gateway(redis.url, **settings) as b:
        for node in (a, b):
            await node.shared.nodes._beat()
        assert len(a.shared.nodes) == len(b.shared.nodes) == 2
        token = Token("00" * 8, int(time.time()) + 60, b"0123456789abcdef")
        await entrance.spend(a.gate, token)
        held = await a.admit()
        redis.kill()
        await a.admit()
        await b.admit()
        assert (a.shared.state, b.shared.state) == ("degraded", "degraded")
        assert a.gate.door.allowance.sessions_per_key == 2
        assert a.gate.door.allowance.rps == 5
        with pytest.raises(TooMany, match="all 2 sessions of this key"):
            await a.admit()
        redis.start()
        await until_up(a, b)
        assert a.gate.door.allowance.sessions_per_key == 4
        await asyncio.sleep(1.5)
        await b.admit()
        with pytest.raises(TooMany):
            await b.admit()
        with pytest.raises(TokenReplayed):
            await entrance.spend(b.gate, token)
        a.gate.door.release(held)
        await asyncio.sleep(0.1)
        await b.admit()
    assert sum("Redis is away" in r.getMessage() for r in caplog.records) == 2


async def test_many_at_once_are_asked_in_few_round_trips(redis: RedisServer) -> None:
    async with Gateway(redis.url, rate_limit_burst=300, max_sessions_per_key=0) as a:
        before = (await a.shared.link.ask("test", lambda r: r.info("stats")))["total_reads_processed"]
        began = time.monotonic()
        callers = [Caller(f"k{number}", "10.0.0.1") for number in range(500)]
        await asyncio.gather(*(entrance.count(a.gate, caller) for caller in callers))
        assert time.monotonic() - began < 5
        after = (await a.shared.link.ask("test", lambda r: r.info("stats")))["total_reads_processed"]
        assert after - before < 60
        assert a.shared.state == "up"


async def test_a_loop_that_was_busy_is_not_a_redis_that_is_slow(redis: RedisServer) -> None:
    link = Link(Sharing(redis_url=redis.url, redis_timeout_ms=40))
    await link.start()

    async def busy() -> None:
        await asyncio.sleep(0)
        time.sleep(0.12)  # noqa: ASYNC251  # that is the point

    async def keep_busy() -> None:
        """As a hundred requests at a time do: no turn of the loop is short."""
        while True:
            await asyncio.sleep(0)
            time.sleep(0.01)  # noqa: ASYNC251

    for _ in range(5):
        await asyncio.gather(link.ask("test", lambda r: r.get("a")), busy())
    others = asyncio.create_task(keep_busy())
    for _ in range(5):
        await link.ask("test", lambda r: r.get("a"))
    others.cancel()
    assert not link.is_away
    await link.aclose()


async def test_more_at_once_than_connections_wait_for_their_turn(redis: RedisServer) -> None:
    link = Link(Sharing(redis_url=redis.url, redis_timeout_ms=2_000))
    await link.start()
    assert await asyncio.gather(*(link.ask("test", lambda r: r.get("a")) for _ in range(200))) == [None] * 200
    await link.aclose()


# ── How Redis is reached ────────────────────────────────────────────────────────────


async def test_with_a_password_and_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(tmp_path, "--requirepass", "secret-of-redis") as redis:
        url = redis.url.replace("redis://", "redis://:secret-of-redis@")
        async with Gateway(url) as a:
            await a.admit()
            assert a.shared.state == "up"
        wrong = redis.url.replace("redis://", "redis://:not-the-secret@")
        with caplog.at_level(logging.ERROR):
            async with Gateway(wrong) as b:
                await b.admit()
                assert b.shared.state == "degraded"
    assert "Redis cannot be used (AuthenticationError)" in caplog.text
    assert "not-the-secret" not in caplog.text


ACL = [
    "+@connection", "+evalsha", "+script|load", "+time", "+get", "+set", "+del", "+exists", "+type",
    "+pexpire", "+expire", "+zadd", "+zrem", "+zscore", "+zcard", "+zrangebyscore", "+zremrangebyscore",
    "+hget", "+hset", "+hdel", "+hmget", "+hvals",
]  # fmt: skip
"""As docs/operate/redis.md has it."""


async def test_with_a_user_who_may_nothing_else(tmp_path: Path) -> None:
    acl = tmp_path / "users.acl"
    acl.write_text(f"user default off\nuser gateway on >of-the-gateway ~rtc-stt:* {' '.join(ACL)}\n")
    with running(tmp_path, "--aclfile", str(acl)) as redis:
        url = redis.url.replace("redis://", "redis://gateway:of-the-gateway@")
        async with Gateway(url, daily_audio_seconds=100) as a, Gateway(url, daily_audio_seconds=100) as b:
            one, two = await a.admit(), await b.admit()
            a.gate.door.seat(OTHER, asyncio.get_running_loop().time())
            token = Token("00" * 8, int(time.time()) + 60, b"0123456789abcdef")
            await entrance.spend(a.gate, token)
            entrance.unspend(a.gate, token)
            a.gate.usage.add("k1", time.time(), audio_s=3)
            for gateway in (a, b):
                assert gateway.shared.tallies
                await gateway.shared.tallies.tell()
                await gateway.shared.nodes._beat()
            a.gate.door.release(one)
            b.gate.door.release(two)
            await asyncio.sleep(1.5)
            assert (a.shared.state, b.shared.state) == ("up", "up")
            with pytest.raises(Away):
                await a.shared.link.ask("test", lambda r: r.get("something else"))
    page = (Path(__file__).parents[3] / "docs" / "operate" / "redis.md").read_text(encoding="utf-8")
    assert all(command in page for command in ACL)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A server's own, which is its authority too, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


async def test_over_tls_of_an_authority_of_ones_own(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with RedisServerOfTls(tmp_path, cert, key) as redis:
        url = f"rediss://127.0.0.1:{redis.port}/0"
        async with Gateway(url, {"redis_ca": str(cert)}) as a:
            await a.admit()
            assert a.shared.state == "up"
        async with Gateway(url) as b:
            assert b.shared.state == "degraded", "nobody whom this machine trusts has signed it"
        async with Gateway(f"redis://127.0.0.1:{redis.port}/0") as c:
            assert c.shared.state == "degraded"


class RedisServerOfTls:
    def __init__(self, folder: Path, cert: Path, key: Path) -> None:
        self._server = RedisServer(
            folder,
            *("--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-auth-clients", "no"),
        )
        self.port = self._server.port
        self._server._options += ("--port", "0", "--tls-port", str(self.port))

    def __enter__(self) -> RedisServer:
        self._server.start()
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.kill()


# ── Settings ────────────────────────────────────────────────────────────


def values(**told: str) -> Values:
    return Values({name: (value, "environment") for name, value in told.items()})


def test_config_check_finds_what_is_wrong(tmp_path: Path) -> None:
    demo = {"CT2_SMALL_PATH": "small", "REDIS_URL": "redis://:secret@127.0.0.1:1"}
    check_gateway(values(**demo, TOKEN_SECRET="the-same-on-both-gateways"))
    with pytest.raises(ConfigError, match="TOKEN_SECRET"):
        check_gateway(values(**demo))
    nothing = tmp_path / "nothing.pem"
    wrong = demo | {"REDIS_URL": "rediss://127.0.0.1:1", "REDIS_CA": str(nothing)}
    for text in (None, "no certificate"):
        if text:
            nothing.write_text(text)
        with pytest.raises(ConfigError, match="REDIS_CA"):
            check_gateway(values(**wrong, TOKEN_SECRET="the-same-on-both-gateways"))


async def test_alone_nothing_is_made_and_a_service_shares_with_its_like() -> None:
    async with shared_by(Sharing(), SERVER, Access(), Instrument()) as shared:
        assert shared is None
    sharing = Sharing(redis_url="redis://127.0.0.1:1")
    async with shared_by(sharing, SERVER, Access(**ACCESS), Instrument(), role="primary") as shared:
        assert shared
        assert shared.link.key("n") == "rtc-stt:primary:n"
        assert shared.state == "degraded"
