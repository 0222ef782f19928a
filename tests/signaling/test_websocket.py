"""``GET /v1/stream``: who may open one, what it says, how it ends. Real sockets, a script for models."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from signaling import live_socket, outbox, stream_socket, websocket
from signaling.keys import GATE
from signaling.line import Line
from tests.line import until
from tests.signaling.streams import KEY, PCM, SECOND, Gateway, Ws, a_gateway, rest


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with a_gateway() as made:
        yield made


async def heard(ws: Ws, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while (told := await ws.receive_json())["type"] != kind:
            pass
    return told


def events(told: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in told if "seq" in event]


# ── Who may come in ──


async def test_who_goes_before_the_upgrade_is_answered_leaves_no_trace(gateway, monkeypatch, caplog):
    """A proxy that is restarted, a client that gives up: nothing of that is the server's mistake."""

    async def prepare(*_: object) -> None:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(aiohttp.web.WebSocketResponse, "prepare", prepare)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await gateway.connect()
    assert refused.value.status == 499
    assert "failed" not in caplog.text
    assert gateway.app[GATE].door.half_open == 0


async def test_a_session_from_its_first_message_to_its_end(gateway):
    ws, started = await gateway.begin(language="de")
    assert started["type"] == "session.started"
    assert started["seq"] == 1
    assert await ws.receive_json() == {"type": "received", "samples": 0}
    assert gateway.count("rtc_stt_sessions", transport="websocket") == 1
    await ws.send_bytes(SECOND[:7])
    await ws.send_bytes(SECOND[7:])
    assert (await heard(ws, "received"))["samples"] == 16_000
    await ws.send_json({"type": "finalize", "id": "f"})
    await ws.send_json({"type": "stop"})
    told = await rest(ws)
    assert events(told) == ["finalized", "session.ended"]
    assert told[-1]["reason"] == "stopped"
    assert told[-1]["stats"]["audio_ms"] == 1_000
    assert told[-1]["stats"]["codec"] == "pcm_s16le"
    assert ws.close_code == 1000
    await until(lambda: gateway.count("rtc_stt_sessions", transport="websocket") == 0)


async def test_the_answer_has_an_id_and_no_compression(gateway):
    ws = await gateway.connect(compress=15)
    assert len(ws._response.headers["X-Req-Id"]) == 16
    assert "Sec-WebSocket-Extensions" not in ws._response.headers
    assert not ws.compress
    await ws.close()


async def test_what_lasts_comes_after_the_word_that_its_audio_arrived(gateway, monkeypatch):
    monkeypatch.setattr(stream_socket, "RECEIVED_S", 30.0)
    ws, _ = await gateway.begin()
    await ws.receive_json()
    await ws.send_bytes(SECOND)
    await ws.send_json({"type": "finalize", "id": "f"})
    assert await ws.receive_json() == {"type": "received", "samples": 16_000}
    assert (await ws.receive_json())["type"] == "finalized"


async def test_a_subprotocol_may_be_offered(gateway):
    async with gateway.connect(protocols=("other", "rtc-stt.v1")) as ws:
        assert ws.protocol == "rtc-stt.v1"
    assert await gateway.refusal(**{"Sec-WebSocket-Protocol": "other"}) == (400, "bad_request")


async def test_without_an_upgrade_it_is_a_bad_request(gateway):
    response = await gateway.client.get("/v1/stream")
    assert response.status == 400
    assert "Upgrade: websocket" in (await response.json())["error"]["message"]
    assert (await gateway.client.post("/v1/stream")).status == 405


async def test_a_key_is_asked_for_before_the_upgrade():
    async with a_gateway(api_keys=(KEY,)) as gateway:
        assert await gateway.refusal() == (401, "unauthorized")
        assert await gateway.refusal(Authorization="Bearer wrong-key-of-sixteen") == (401, "unauthorized")
        assert await gateway.refusal(f"?access_token={KEY}") == (401, "unauthorized")
        assert await gateway.refusal("?access_token=rtct_x") == (401, "unauthorized")
        assert await gateway.refusal("?resume=1") == (401, "unauthorized")
        ws = await gateway.connect(headers={"Authorization": f"Bearer {KEY}"})
        await ws.close()


async def test_a_token_begins_one_session_and_its_connection_may_come_back():
    async with a_gateway(api_keys=(KEY,)) as gateway:
        made = await gateway.client.post("/v1/tokens", headers={"Authorization": f"Bearer {KEY}"})
        token = (await made.json())["token"]
        query = f"?access_token={token}"
        async with gateway.connect(query) as ws:
            assert await gateway.refusal(query) == (401, "token_replayed"), "one at a time"
            await ws.send_str("no configure")
            assert (await rest(ws))[0]["code"] == "bad_request"
        await until(lambda: not gateway.app[GATE].door.half_open)
        ws = await gateway.connect(query)
        await ws.send_json({"type": "configure", "audio": PCM})
        started = await ws.receive_json()
        assert started["type"] == "session.started", "what came to nothing did not use it up"
        assert await gateway.refusal(query) == (401, "token_replayed")
        await ws.close(code=1001)
        again = await gateway.connect(query + "&resume=1")
        resume = {"resume_token": started["resume_token"], "resume_from": 1}
        await again.send_json({"type": "configure", "audio": PCM} | resume)
        assert (await again.receive_json())["type"] == "session.resumed"
        await again.close(code=1000)
        cheat = await gateway.connect(query + "&resume=1")
        await cheat.send_json({"type": "configure", "audio": PCM})
        assert (await rest(cheat))[0]["code"] == "bad_request"
        assert cheat.close_code == 4400


async def test_pages_of_other_origins_are_refused_on_the_upgrade():
    async with a_gateway(access={"allowed_origins": ("https://app.example.org",)}) as gateway:
        assert await gateway.refusal(Origin="https://evil.example.org") == (403, "forbidden")
        assert await gateway.refusal(Origin="null") == (403, "forbidden")
        assert gateway.refused("origin") == 2
        async with gateway.connect(headers={"Origin": "https://app.example.org"}):
            pass
    async with a_gateway() as gateway:
        assert await gateway.refusal(Host="evil.example.org") == (403, "forbidden")


async def test_limits_are_held_before_the_upgrade():
    async with a_gateway(max_sessions=1) as gateway:
        ws, _ = await gateway.begin()
        assert await gateway.refusal() == (503, "unavailable")
        assert gateway.refused("full") == 1
        await ws.close(code=1000)
        await until(lambda: not gateway.app[GATE].door.sessions)
        await gateway.begin()
    async with a_gateway(access={"max_half_open": 2}) as gateway:
        waiting = [await gateway.connect() for _ in range(2)]
        assert await gateway.refusal() == (503, "unavailable")
        await waiting[0].close()
        await until(lambda: gateway.app[GATE].door.half_open == 1)
        await gateway.begin()
        await waiting[1].close()
    async with a_gateway(
        api_keys=(KEY,), access={"max_sessions_per_key": 1, "rate_limit_burst": 3}
    ) as gateway:
        key = {"Authorization": f"Bearer {KEY}"}
        ws = await gateway.connect(headers=key)
        await ws.send_json({"type": "configure", "audio": PCM})
        await ws.receive_json()
        assert await gateway.refusal(**key) == (429, "too_many")
        assert gateway.refused("key_limit") == 1
        await gateway.refusal(**key)
        assert await gateway.refusal(**key) == (429, "too_many")
        assert gateway.refused("rate") == 1


async def test_a_full_server_lets_the_one_go_that_has_waited_longest():
    async with a_gateway(max_sessions=1) as gateway:
        ws, started = await gateway.begin()
        await ws.close(code=1001)
        await until(lambda: gateway.app[GATE].door._waiting)
        await gateway.begin()
        resumed = await gateway.connect("?resume=1")
        await resumed.send_json({"type": "configure", "audio": PCM, "resume_token": started["resume_token"]})
        assert (await rest(resumed))[0]["code"] == "session_gone"
        assert resumed.close_code == 4404


async def test_a_server_that_drains_takes_nobody_and_says_good_bye():
    async with a_gateway() as gateway:
        ws, _ = await gateway.begin()
        silent = await gateway.connect()
        await gateway.registry.drain(1.0)
        told = await rest(ws)
        assert events(told) == ["warning", "session.ended"]
        assert ws.close_code == 1001
        assert await gateway.refusal() == (503, "unavailable")
        await silent.send_json({"type": "configure", "audio": PCM})
        assert (await rest(silent))[0]["code"] == "unavailable"
        assert silent.close_code == 1013


async def test_who_has_said_nothing_is_not_waited_for_at_the_end():
    async with a_gateway() as gateway:
        silent = await gateway.connect()
        async with asyncio.timeout(5):
            await asyncio.gather(gateway.client.server.close(), silent.receive())
        assert silent.close_code == 1001


# ── The first message ──


@pytest.mark.parametrize(
    "first",
    [
        b"\x00" * 320,
        "hello",
        "{}",
        '{"type":"ping","id":"x"}',
        '{"type":"configure","audio":{"encoding":"mp3"}}',
    ],
)
async def test_a_wrong_first_message_is_answered_and_the_socket_closed(gateway, first):
    ws = await gateway.connect()
    await (ws.send_bytes(first) if isinstance(first, bytes) else ws.send_str(first))
    [error] = await rest(ws)
    assert error | {"message": ""} == {
        "type": "error", "seq": 0, "at_ms": 0, "code": "bad_request", "message": "", "fatal": True
    }  # fmt: skip
    assert ws.close_code == 4400
    assert gateway.refused("configure") == 1
    assert len(gateway.registry) == 0


async def test_who_says_nothing_is_closed(gateway, monkeypatch):
    monkeypatch.setattr(websocket, "CONFIGURE_TIMEOUT_S", 0.2)
    ws = await gateway.connect()
    assert (await rest(ws))[0]["code"] == "configure_timeout"
    assert ws.close_code == 4408


async def test_pings_are_no_first_message(gateway):
    ws = await gateway.connect()
    for _ in range(20):
        await ws.ping()
    assert (await rest(ws))[0]["code"] == "bad_request"


async def test_who_leaves_before_it_leaves_nothing(gateway):
    ws = await gateway.connect()
    assert gateway.app[GATE].door.half_open == 1
    await ws.close()
    await until(lambda: not gateway.app[GATE].door.half_open)


async def test_a_wrong_option_is_a_warning(gateway):
    ws, _ = await gateway.begin(colour="blue", language="xx")
    codes = [(await heard(ws, "warning"))["code"] for _ in range(2)]
    assert codes == ["configure", "configure"]


# ── What comes in ──


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("hello", "not_json"),
        ('{"type":"dance"}', "unknown_type"),
        ('{"type":"mute"}', "bad_field"),
        ("x" * 20_000, "message_too_long"),
    ],
)
async def test_text_that_is_no_command_is_a_warning(gateway, message, code):
    ws, _ = await gateway.begin()
    await ws.send_str(message)
    assert (await heard(ws, "warning"))["code"] == code
    await ws.send_json({"type": "ping", "id": "still there"})
    assert (await heard(ws, "pong"))["id"] == "still there"


async def test_commands_have_a_rate(gateway):
    ws, _ = await gateway.begin()
    for number in range(200):
        await ws.send_json({"type": "ping", "id": str(number)})
    assert (await heard(ws, "warning"))["code"] == "rate_limited"
    assert gateway.count("rtc_stt_messages_refused_total", reason="rate") > 20


@pytest.mark.parametrize("size", [256 * 1024, 256 * 1024 + 1])
async def test_a_message_has_a_longest(gateway, size):
    ws, started = await gateway.begin()
    await ws.send_bytes(bytes(size))
    if size <= 256 * 1024:
        while (await heard(ws, "received"))["samples"] < size // 2:
            pass
        return
    await rest(ws)
    assert ws.close_code == 1009
    await until(lambda: len(gateway.registry) == 0)
    again, refusal = await gateway.begin(resume_token=started["resume_token"])
    assert refusal["code"] == "session_gone", "who breaks the protocol is not waited for"
    assert gateway.count("rtc_stt_messages_refused_total", reason="protocol") == 1
    await again.close()


async def test_what_is_no_websocket_ends_it(gateway):
    for junk, code in ((b"\xff\xff\xff\xff", 1002), (b"\x81\x82\x00\x00\x00\x00\xff\xff", 1007)):
        ws, _ = await gateway.begin()
        assert ws._writer is not None
        ws._writer.transport.write(junk)
        await rest(ws)
        assert ws.close_code == code


async def test_compressed_frames_are_not_taken(gateway):
    """A bomb of zeros must not be inflated: nobody agreed on an extension."""
    ws, _ = await gateway.begin()
    assert ws._writer is not None
    ws._writer.transport.write(b"\xc2\x84\x00\x00\x00\x00\x01\x02\x03\x04")
    await rest(ws)
    assert ws.close_code == 1002


async def test_audio_that_comes_too_fast_waits_with_its_sender(gateway):
    """A minute of audio at once: ten seconds are taken at once, the rest at four times its pace."""
    ws, _ = await gateway.begin()
    begun = asyncio.get_running_loop().time()

    async def push() -> None:
        for _ in range(60):
            await ws.send_bytes(SECOND)

    pushing = asyncio.create_task(push())
    while (told := await heard(ws, "received"))["samples"] < 14 * 16_000:
        assert told["samples"] / 16_000 <= 10.5 + 4 * (asyncio.get_running_loop().time() - begun) + 1
    assert asyncio.get_running_loop().time() - begun > 0.8
    pushing.cancel()
    ws._response.connection.transport.abort()


async def test_an_endless_stream_of_nothing_does_not_hold_the_loop(gateway):
    ws, _ = await gateway.begin()
    other, _ = await gateway.begin()

    async def push() -> None:
        while True:
            await ws.send_bytes(b"")
            await asyncio.sleep(0)

    pushing = asyncio.create_task(push())
    await asyncio.sleep(0.3)
    async with asyncio.timeout(3):
        await other.send_json({"type": "ping", "id": "x"})
        await heard(other, "pong")
    pushing.cancel()
    ws._response.connection.transport.abort()


async def test_who_does_not_read_is_let_go(gateway, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_OUTSTANDING_BYTES", 256 * 1024)
    ws, _ = await gateway.begin()
    transport = ws._response.connection.transport
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    transport.pause_reading()
    [line] = gateway.registry._lines.values()
    for _ in range(4_000):
        line.session.warn("noise", "x" * 4_000)
        await asyncio.sleep(0)
        if line.session._ending:
            break
    async with asyncio.timeout(5):
        assert await line.session.ended == "client_does_not_read"
    transport.abort()
    await until(lambda: not gateway.registry._tasks)
    await until(lambda: not gateway.app[GATE].door.sessions)


async def test_a_line_that_is_dead_is_noticed(gateway, monkeypatch):
    monkeypatch.setattr(live_socket, "PING_S", 0.2)
    monkeypatch.setattr(live_socket, "SILENCE_S", 1.0)
    ws, _ = await gateway.begin()
    reading = asyncio.create_task(rest(ws))  # answers pings
    await asyncio.sleep(1.4)
    [line] = gateway.registry._lines.values()
    assert line.peer is not None, "who answers pings is there"
    ws._response.connection.transport.pause_reading()
    await until(lambda: line.peer is None)
    assert line.is_waiting
    reading.cancel()


# ── Connections that end, and begin again ──


@pytest.mark.parametrize(("code", "waits"), [(1000, False), (1001, True), (4000, True)])
async def test_who_says_all_is_done_is_not_waited_for(gateway, code, waits):
    ws, _ = await gateway.begin()
    [line] = gateway.registry._lines.values()
    await ws.close(code=code)
    if waits:
        await until(lambda: line.is_waiting)
    else:
        assert await line.session.ended == "closed"


async def test_a_session_goes_on_where_its_audio_stopped(gateway):
    ws, started = await gateway.begin(replay=True)
    await ws.send_bytes(SECOND + b"\x01")
    await asyncio.sleep(0.3)
    ws._response.connection.transport.abort()
    [line] = gateway.registry._lines.values()
    await until(lambda: line.is_waiting)
    again, resumed = await gateway.begin(replay=True, resume_token=started["resume_token"], resume_from=1)
    assert resumed["type"] == "session.resumed"
    assert (resumed["seq"], resumed["gap_ms"], resumed["resent"]) == (2, 0, 0)
    assert (await heard(again, "received"))["samples"] == 16_000
    await again.send_bytes(SECOND)
    await again.send_json({"type": "stop"})
    ended = (await rest(again))[-1]
    assert ended["stats"]["audio_ms"] == 2_000, "no silence was put in between"
    assert ended["stats"]["connections"] == 2
    assert gateway.count("rtc_stt_sessions_resumed_total") == 1


async def test_the_newer_connection_takes_over(gateway):
    ws, started = await gateway.begin(replay=True)
    again, resumed = await gateway.begin(replay=True, resume_token=started["resume_token"])
    assert (resumed["type"], resumed["seq"]) == ("session.started", 1), "who has seen nothing hears all"
    await rest(ws)
    assert ws.close_code == 4409
    await again.send_json({"type": "stop"})
    assert events(await rest(again)) == ["session.resumed", "session.ended"]


async def test_another_format_begins_its_count_anew(gateway):
    ws, started = await gateway.begin(replay=True)
    await ws.send_bytes(SECOND)
    await heard(ws, "received")
    await ws.close(code=1001)
    again, _ = await gateway.begin(
        replay=True,
        audio={"encoding": "alaw", "sample_rate": 8_000},
        resume_token=started["resume_token"],
        resume_from=1,
    )
    assert (await heard(again, "received"))["samples"] == 0


async def test_who_does_not_come_back_is_concluded():
    async with a_gateway(resume_seconds=0.2) as gateway:
        ws, _ = await gateway.begin(replay=True)
        [line] = gateway.registry._lines.values()
        ws._response.connection.transport.abort()
        async with asyncio.timeout(5):
            assert await line.session.ended == "connection_lost"


async def test_what_it_held_is_free_without_a_collector(gateway):
    """Sockets are few objects and many bytes: the garbage collector would come late."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            ws, _ = await gateway.begin(replay=True)
            for _ in range(3):
                await ws.send_bytes(bytes(250 * 1024))
            ws._response.connection.transport.abort()
        for line in list(gateway.registry._lines.values()):
            await until(lambda line=line: line.is_waiting)
            line.finish("connection_lost")
        del line
        await until(lambda: not gateway.registry._tasks and not len(gateway.registry))
        await asyncio.sleep(0.1)
        kept = [
            type(o).__name__
            for o in gc.get_objects()
            if issubclass(type(o), stream_socket.StreamSocket | Line)
        ]
        assert kept == []
    finally:
        gc.enable()


async def test_many_that_flood_leave_nothing(gateway):
    async def one(act: Callable[[Ws], Any]) -> None:
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            ws, _ = await gateway.begin()
            await act(ws)

    async def shout(ws: Ws) -> None:
        for _ in range(50):
            await ws.send_str("x" * 1_000)

    async def vanish(ws: Ws) -> None:
        await ws.send_bytes(SECOND)
        ws._response.connection.transport.abort()

    async with asyncio.timeout(20):
        await asyncio.gather(*(one(act) for act in (shout, vanish) for _ in range(10)))
    _, started = await gateway.begin()  # the fixture looks at what is left of the others
    assert started["type"] == "session.started"
