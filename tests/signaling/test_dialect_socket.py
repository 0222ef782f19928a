"""A WebSocket in a dialect: a made-up one, over real sockets of a started gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from rtc_stt.commands import Configure, Finalize, Stop
from rtc_stt.errors import Unavailable
from rtc_stt.events import Event
from rtc_stt.testing import Said, render
from rtc_stt.wire import encode_event
from signaling import outbox
from signaling import request as request_module
from signaling.audio_format import AudioFormat
from signaling.dialect_socket import MAX_MESSAGE_BYTES, speak
from signaling.dialects.dialect import Act, Ask, Hear, Leave, Relay, Say
from signaling.keys import GATE
from signaling.reception import identify_caller
from tests.line import until
from tests.signaling.streams import KEY, SECOND, Gateway, Ws, a_gateway

PATH = "/v1/made-up"
WIDE, NARROW = AudioFormat("pcm_s16le", 16_000, 1), AudioFormat("mulaw", 8_000, 1)
SCRIPT = [Said(500, 900, "hello"), Said(950, 1_400, "there")]


class MadeUp:
    """Tells every event as it is. Bytes are audio, a text is one of a few words."""

    resumes = False
    tick = None

    def begin(self) -> Sequence[Act]:
        return Say("hello"), Ask(Configure({"colour": "blue"}))

    def receive(self, message: str | bytes) -> Sequence[Act]:
        if isinstance(message, bytes):
            return (Hear(WIDE, message),)
        match message.split():
            case ["narrow", samples]:
                return Hear(NARROW, b"\xff" * int(samples)), Say("heard")
            case ["flush"]:
                return (Ask(Finalize("f")),)
            case ["stop"]:
                return (Ask(Stop()),)
            case ["leave"]:
                return Say("bye" * 50_000), Leave(4_001, "enough")
            case ["raise", words]:
                raise RuntimeError(words)
            case ["much"]:
                return (Say("x" * 100_000),)
        return (Relay(message),)

    def tell(self, event: Event) -> Sequence[Act]:
        return (Say(encode_event(event)),)

    def farewell(self, reason: str) -> tuple[int, str]:
        return 4_000, f"because {reason}"


async def _handle(request: web.Request) -> web.StreamResponse:
    return await speak(request, identify_caller(request), MadeUp(), protocols=("made-up",))


@contextlib.asynccontextmanager
async def started(**how: Any) -> AsyncIterator[Gateway]:
    async with a_gateway(
        path=PATH, add_routes=lambda app: app.router.add_get(PATH, _handle, allow_head=False), **how
    ) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def shared_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_module, "SHARED_PATHS", (*request_module.SHARED_PATHS, PATH))


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with started() as made:
        yield made


async def begin(gateway: Gateway, **how: Any) -> Ws:
    ws = await gateway.connect(**how)
    assert await ws.receive_str() == "hello", "before anything else"
    assert (await ws.receive_json())["type"] == "session.started"
    warning = await ws.receive_json()
    assert (warning["code"], warning["seq"]) == ("configure", 2), "what was asked for at once is answered"
    return ws


async def told(ws: Ws) -> list[dict[str, Any]]:
    """All events until the end."""
    async with asyncio.timeout(10):
        return [json.loads(message.data) async for message in ws if message.data.startswith("{")]


async def heard(ws: Ws, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (event := json.loads(await ws.receive_str()))["type"] != kind:
            pass
    return event


def only_line(gateway: Gateway) -> Any:
    [line] = gateway.registry._lines.values()
    return line


# ── A conversation ──


async def test_what_is_said_becomes_what_the_dialect_makes_of_it():
    async with started(script=SCRIPT) as gateway:
        ws = await begin(gateway)
        pcm = (render(SCRIPT, 2_500) * 32_767).astype("<i2").tobytes()
        for start in range(0, len(pcm), 9_999):  # cut within a sample
            await ws.send_bytes(pcm[start : start + 9_999])
        await ws.send_str("flush")
        await ws.send_str("stop")
        events = await told(ws)
        kinds = [event["type"] for event in events]
        assert kinds.index("transcript.final") < kinds.index("finalized") < kinds.index("session.ended")
        [final] = [event for event in events if event["type"] == "transcript.final"]
        assert final["text"] == "hello there"
        assert events[-1]["stats"]["audio_ms"] == 2_500
        assert (ws.close_code, events[-1]["reason"]) == (4_000, "stopped")
        assert [event["seq"] for event in events] == list(range(3, len(events) + 3))


async def test_audio_and_commands_of_any_messages_stay_in_order(gateway):
    ws = await begin(gateway)
    await ws.send_bytes(SECOND + b"\x01")
    await ws.send_str("narrow 8000")
    assert await ws.receive_str() == "heard", "after the audio of the same message"
    await ws.send_str("flush")
    assert (await heard(ws, "finalized"))["at_ms"] == pytest.approx(2_000, abs=32), "in windows of 32 ms"
    await ws.send_json({"type": "ping", "id": "relayed"})
    assert (await heard(ws, "pong"))["id"] == "relayed"
    await ws.close()


async def test_a_subprotocol_is_chosen_where_one_is_offered(gateway):
    ws = await begin(gateway, protocols=("other", "made-up"))
    assert ws.protocol == "made-up"
    assert len(ws._response.headers["X-Req-Id"]) == 16
    assert "Sec-WebSocket-Extensions" not in ws._response.headers
    await ws.close()


# ── The end ──


async def test_who_leaves_says_first_what_is_to_be_said(gateway):
    ws = await begin(gateway)
    line = only_line(gateway)
    await ws.send_str("leave")
    assert await ws.receive_str() == "bye" * 50_000
    assert (await ws.receive()).extra == "enough"
    assert ws.close_code == 4_001
    async with asyncio.timeout(5):
        assert await line.session.ended == "closed"


@pytest.mark.parametrize("how", ["abort", "close"])
async def test_the_session_ends_with_the_connection(gateway, how):
    ws = await begin(gateway)
    line = only_line(gateway)
    if how == "abort":
        ws._response.connection.transport.abort()
    else:
        await ws.close(code=1001)
    async with asyncio.timeout(5):
        assert await line.session.ended == "connection_lost"
    assert not line.is_waiting, "nobody knows how to come back"
    await until(lambda: not gateway.app[GATE].door.sessions)


async def test_a_server_that_drains_says_good_bye_in_the_dialect(gateway):
    ws = await begin(gateway)
    await gateway.registry.drain(1.0)
    assert [event["type"] for event in await told(ws)] == ["warning", "session.ended"]
    assert ws.close_code == 4_000
    assert await gateway.refusal() == (503, "unavailable")


async def test_where_there_is_no_session_after_all_the_socket_is_closed_in_the_dialect(gateway, monkeypatch):
    def fail(*_: object) -> None:
        raise Unavailable("overloaded")

    monkeypatch.setattr(gateway.registry, "carry", fail)
    ws = await gateway.connect()
    message = await ws.receive()
    assert (message.data, message.extra) == (4_000, "because unavailable")
    await until(lambda: not gateway.app[GATE].door.half_open)


async def test_a_mistake_of_ours_ends_the_session_and_is_told_without_what_was_said(gateway, caplog):
    ws = await begin(gateway)
    line = only_line(gateway)
    await ws.send_str("raise what-was-said")
    await told(ws)
    assert ws.close_code == 4_000
    assert await line.session.ended == "server_error"
    assert "could not be handled" in caplog.text
    assert "what-was-said" not in caplog.text


# ── Who may come in: as over /v1/stream ──


async def test_without_an_upgrade_it_is_a_bad_request(gateway):
    assert (await gateway.client.get(PATH)).status == 400


async def test_keys_tokens_and_origins_are_looked_at_before_the_upgrade():
    async with started(api_keys=(KEY,), access={"allowed_origins": ("https://app.example.org",)}) as gateway:
        key = {"Authorization": f"Bearer {KEY}"}
        assert await gateway.refusal() == (401, "unauthorized")
        assert await gateway.refusal(f"?access_token={KEY}") == (401, "unauthorized")
        assert await gateway.refusal(Origin="https://evil.example.org", **key) == (403, "forbidden")
        token = (await (await gateway.client.post("/v1/tokens", headers=key)).json())["token"]
        ws = await gateway.connect(f"?access_token={token}", headers={"Origin": "https://app.example.org"})
        assert await ws.receive_str() == "hello"
        assert await gateway.refusal(f"?access_token={token}") == (401, "token_replayed")
        await ws.close()


async def test_limits_are_held_before_the_upgrade():
    async with started(max_sessions=1) as gateway:
        ws = await begin(gateway)
        assert await gateway.refusal() == (503, "unavailable")
        await ws.close()
        await until(lambda: not gateway.app[GATE].door.sessions)
        await begin(gateway)
    async with started(
        api_keys=(KEY,), access={"max_sessions_per_key": 1, "rate_limit_rps": 0.01, "rate_limit_burst": 3}
    ) as gateway:
        key = {"Authorization": f"Bearer {KEY}"}
        await begin(gateway, headers=key)
        assert await gateway.refusal(**key) == (429, "too_many")
        assert gateway.refused("key_limit") == 1
        await gateway.refusal(**key)
        assert await gateway.refusal(**key) == (429, "too_many")
        assert gateway.refused("rate") == 1


# ── Hostile ──


async def test_audio_that_comes_too_fast_waits_with_its_sender(gateway):
    """A minute of audio at once: ten seconds are taken at once, the rest at four times its pace."""
    ws = await begin(gateway)
    line, loop = only_line(gateway), asyncio.get_running_loop()
    begun = loop.time()

    async def push() -> None:
        for _ in range(60):
            await ws.send_bytes(SECOND)

    pushing = asyncio.create_task(push())
    while line.audio is None or line.audio.received < 14 * 16_000:
        await asyncio.sleep(0.01)
        if line.audio:
            assert line.audio.received / 16_000 <= 10.5 + 4 * (loop.time() - begun) + 1
    assert loop.time() - begun > 0.8
    pushing.cancel()
    ws._response.connection.transport.abort()


async def test_a_large_message_does_not_hold_the_others(gateway):
    ws, other = await begin(gateway), await begin(gateway)
    await ws.send_bytes(np.zeros(MAX_MESSAGE_BYTES // 2, "<i2").tobytes())
    for number in range(5):
        async with asyncio.timeout(1):
            await other.send_json({"type": "ping", "id": str(number)})
            assert (await heard(other, "pong"))["id"] == str(number)
    ws._response.connection.transport.abort()
    await other.close()


async def test_messages_that_come_too_fast_are_not_read(gateway):
    ws, other = await begin(gateway), await begin(gateway)

    async def push() -> None:
        while True:
            await ws.send_str("narrow 0")
            await asyncio.sleep(0)

    pushing = asyncio.create_task(push())
    await asyncio.sleep(0.3)
    async with asyncio.timeout(3):
        await other.send_json({"type": "ping", "id": "x"})
        await heard(other, "pong")
    pushing.cancel()
    assert len(ws._reader._buffer) < 600, "so many are answered: 400 at once, then 200 a second"
    ws._response.connection.transport.abort()


@pytest.mark.parametrize(
    ("junk", "code"),
    [
        (b"\x82\xff" + (MAX_MESSAGE_BYTES + 8).to_bytes(8, "big") + bytes(4), 1009),
        (b"\xff\xff\xff\xff", 1002),
        (b"\x81\x82\x00\x00\x00\x00\xff\xff", 1007),
        (b"\xc2\x84\x00\x00\x00\x00\x01\x02\x03\x04", 1002),
    ],
)
async def test_what_breaks_the_protocol_ends_the_session(gateway, junk, code):
    ws = await begin(gateway)
    line = only_line(gateway)
    assert ws._writer is not None
    ws._writer.transport.write(junk)
    if code == 1009:
        ws._writer.transport.write(bytes(MAX_MESSAGE_BYTES + 8))
    await told(ws)
    assert ws.close_code == code
    assert await line.session.ended == "abuse"
    assert gateway.count("rtc_stt_messages_refused_total", reason="protocol") == 1


async def test_who_does_not_read_is_let_go(gateway, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_OUTSTANDING_BYTES", 256 * 1024)
    ws = await begin(gateway)
    line = only_line(gateway)
    transport = ws._response.connection.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    transport.pause_reading()
    for _ in range(200):
        if line.session.ended.done():
            break
        with contextlib.suppress(ConnectionError):
            await ws.send_str("much")
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        assert await line.session.ended == "client_does_not_read"
    transport.abort()
    await until(lambda: not gateway.registry._tasks)
