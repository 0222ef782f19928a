"""The pump of the WebSocket client against a server that a test plays: real sockets, and waits are short."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from rtc_stt.client import State, StreamClient, reconnect, replay, session_pump, stream_client
from rtc_stt.client.pulse import Heartbeat
from rtc_stt.errors import BadRequest, NotFound, Unauthorized, Unavailable, Unreachable
from rtc_stt.events import (
    DropReason,
    Event,
    Finalized,
    Pong,
    SessionEnded,
    SessionResumed,
    SessionStarted,
    SessionWarning,
    SpeechStarted,
    SpeechStopped,
    UtteranceDropped,
)
from rtc_stt.wire import encode_event
from tests.harness import types

TIMEOUT_S = 5.0
SECOND = 16_000
"""Samples."""
MS = 32
"""Bytes."""


class Line:
    """One WebSocket, as the server sees it."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request) -> None:
        self.ws, self.query, self.headers = ws, request.query_string, request.headers
        self.first: dict[str, Any] = {}
        self.audio = b""
        self.commands: list[dict[str, Any]] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [command for command in self.commands if command["type"] == kind]

    async def tell(self, *events: Event) -> None:
        for event in events:
            await self.ws.send_str(encode_event(event))

    async def received(self, samples: int) -> None:
        await self.ws.send_json({"type": "received", "samples": samples})

    async def cut(self) -> None:
        assert self.ws._req is not None
        assert self.ws._req.transport is not None
        self.ws._req.transport.abort()


class Server:
    """Refuses as it was told, in turn; then greets, with the session that it has."""

    def __init__(self) -> None:
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.closes: list[int] = []  # instead of a greeting
        self.lines: list[Line] = []
        self.name = "one"
        self.has = 0
        self.seq = 1
        app = web.Application()
        app.router.add_get("/v1/stream", self.stream)
        app.router.add_get("/there/v1/stream", self.stream)
        self.http = TestServer(app)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if self.refusals:
            status, headers = self.refusals.pop(0)
            body = json.dumps({"error": {"type": "x", "message": f"because {status}"}})
            return web.Response(status=status, text=body, headers=headers)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        line = Line(ws, request)
        line.first = await ws.receive_json()
        self.lines.append(line)
        if self.closes:
            await ws.send_json({"type": "error", "seq": 0, "message": "because"})
            await ws.close(code=self.closes.pop(0))
            return ws
        if line.first.get("resume_token") == f"token-{self.name}":
            self.seq += 1
            await line.tell(SessionResumed(at_ms=0, seq=self.seq, session_id=self.name, gap_ms=0, resent=0))
        else:
            self.seq = 1
            token = f"token-{self.name}"
            await line.tell(SessionStarted(at_ms=0, seq=1, session_id=self.name, resume_token=token))
        await line.received(self.has)
        async for message in ws:
            if message.type is WSMsgType.BINARY:
                line.audio += message.data
            else:
                line.commands.append(json.loads(message.data))
        return ws

    async def line(self, count: int) -> Line:
        """The connection of that number, as soon as it is good."""
        async with asyncio.timeout(TIMEOUT_S):
            while len(self.lines) < count or not self.lines[count - 1].of("ack"):
                await asyncio.sleep(0.001)
        return self.lines[count - 1]


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(reconnect, "FIRST_WAIT_S", 0.01)
    made = Server()
    async with made.http:
        yield made


def client(server: Server, **how: Any) -> StreamClient:
    return StreamClient(str(server.http.make_url("")), **({"is_live": False} | how))


async def until(ready: Any) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not ready():
            await asyncio.sleep(0.001)


async def take(live: StreamClient, count: int) -> list[Event]:
    taken: list[Event] = []
    async with asyncio.timeout(TIMEOUT_S):
        async for event in live:
            taken.append(event)
            if len(taken) == count:
                break
    return taken


# ── Connections ──


async def test_the_very_first_attempt_may_have_a_patience_of_its_own(server):
    server.refusals = [(503, {"Retry-After": "1"})]
    with pytest.raises(Unavailable):
        async with client(server, first_patience_s=0.0, patience_s=60.0):
            pass


async def test_what_is_said_first(server):
    async with client(server, key="secret", encoding="alaw", sample_rate=8_000, channels=2):
        line = await server.line(1)
    assert line.first == {
        "type": "configure",
        "audio": {"encoding": "alaw", "sample_rate": 8_000, "channels": 2},
        "replay": True,
    }
    assert line.headers["Authorization"] == "Bearer secret"
    assert line.query == ""
    assert line.ws.close_code == 1000, "who leaves says that all is done"


async def test_the_audio_that_did_not_arrive_is_sent_again_in_the_same_session(server):
    states: list[State] = []
    async with client(server, on_state=states.append) as live:
        await live.send(b"aabbccdd")
        line = await server.line(1)
        await until(lambda: line.audio == b"aabbccdd")
        server.has = 3
        await line.cut()
        again = await server.line(2)
        await until(lambda: again.audio == b"dd")
        assert again.query == "resume=1"
        assert again.first["resume_token"] == "token-one"
        assert again.first["resume_from"] == 1
        assert types(await take(live, 2)) == ["session.started", "session.resumed"]
    assert states == [State.CONNECTED, State.RECONNECTING, State.CONNECTED, State.ENDED]


async def test_a_new_session_hears_what_is_in_no_final_of_the_one_before(server):
    async with client(server) as live:
        line = await server.line(1)
        await live.send(b"aabbcc" * SECOND)
        await until(lambda: len(line.audio) == 6 * SECOND)
        await line.tell(SpeechStarted(at_ms=1_000, seq=2, utterance_id=1, audio_start_ms=1_000))
        await line.received(3 * SECOND)
        await until(lambda: len(live.unsettled()) == 2.5 * 2 * SECOND)  # from half a second before it
        server.name = "two"
        server.closes = [4404]
        await line.cut()
        again = await server.line(3)
        await until(lambda: len(again.audio) == 2.5 * 2 * SECOND)
        assert live.origin_s == 0.5
        await again.tell(SpeechStarted(at_ms=700, seq=2, utterance_id=1, audio_start_ms=500))
        await again.tell(SpeechStopped(at_ms=2_000, seq=3, utterance_id=1, audio_end_ms=1_900))
        await again.received(int(2.5 * SECOND))
        await again.tell(UtteranceDropped(at_ms=2_500, seq=4, utterance_id=1, reason=DropReason.NO_SPEECH))
        await until(lambda: len(live.unsettled()) == 0.6 * 2 * SECOND)  # behind its end


async def test_a_new_session_is_told_all_that_it_does_not_know(server, monkeypatch):
    monkeypatch.setattr(replay, "ONSET_MS", 0)
    async with client(server) as live:
        line = await server.line(1)
        await live.configure(language="de")
        await live.mute(True)
        asking = asyncio.create_task(live.finalize())
        await asyncio.sleep(0)
        await live.send(b"a" * MS + b"b" * MS)
        await until(lambda: len(line.audio) == 2 * MS)
        await line.received(MS // 2)
        await asyncio.sleep(0.05)
        server.name = "two"
        server.closes = [4404]
        await line.cut()
        again = await server.line(3)
        await until(lambda: again.audio == b"b" * MS)
        assert again.query == ""
        assert again.first["language"] == "de"
        assert [c["type"] for c in again.commands if c["type"] != "ack"] == ["mute", "finalize"]
        request_id = again.of("finalize")[0]["id"]
        await again.tell(Finalized(at_ms=0, seq=2, id=request_id, utterance_id=None))
        assert (await asking).id == request_id
        assert live.session_id == "two"


async def test_a_session_that_ended_unheard_is_said_again_to_a_new_one(server):
    """Over a line that was dead one way: the server heard ``stop``, and nobody heard its last final."""
    async with client(server) as live:
        line = await server.line(1)
        await live.send(b"a" * MS)
        stopping = asyncio.create_task(live.stop())
        await until(lambda: line.of("stop"))
        server.name, server.closes = "two", [4404]
        await line.cut()
        again = await server.line(3)
        await until(lambda: again.of("stop"))
        assert again.audio == b"a" * MS
        assert not stopping.done()
        await again.tell(SessionEnded(at_ms=0, seq=2, reason="stopped"))
        await stopping
        assert types(await take(live, 9))[-2:] == ["session.started", "session.ended"]


async def test_words_that_nobody_made_text_of_are_an_error(server):
    async with client(server, patience_s=0.05) as live:
        line = await server.line(1)
        await live.send(b"a" * MS)
        stopping = asyncio.create_task(live.stop())
        await until(lambda: line.of("stop"))
        server.name, server.closes = "two", [4404, *[1013] * 20]
        await line.cut()
        await stopping
        with pytest.raises(Unavailable):
            await take(live, 9)


async def test_a_session_that_is_gone_is_as_good_as_stopped_where_nothing_was_said(server):
    async with client(server) as live:
        line = await server.line(1)
        stopping = asyncio.create_task(live.stop())
        await until(lambda: line.of("stop"))
        server.name, server.closes = "two", [4404]
        await line.cut()
        await stopping
        assert types(await take(live, 9)) == ["session.started"]
        assert len(server.lines) == 2


async def test_a_finalize_that_may_have_been_heard_is_asked_again_and_answered_once(server):
    async with client(server) as live:
        line = await server.line(1)
        asking = asyncio.create_task(live.finalize())
        await until(lambda: line.of("finalize"))
        await line.cut()
        again = await server.line(2)
        await until(lambda: again.of("finalize"))
        [asked] = again.of("finalize")
        answers = [Finalized(at_ms=0, seq=seq, id=asked["id"], utterance_id=1) for seq in (3, 4)]
        await again.tell(*answers, SessionEnded(at_ms=0, seq=5, reason="stopped"))
        assert await asking == answers[0]
        assert types(await take(live, 9)) == [
            "session.started", "session.resumed", "finalized", "session.ended"
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "error"), [(401, Unauthorized), (404, NotFound), (400, BadRequest), (500, Unreachable)]
)
async def test_a_refusal_is_told(server, status, error):
    server.refusals = [(status, {})] * 20
    with pytest.raises(error, match=f"because {status}"):
        async with client(server, patience_s=0.05):
            pass


@pytest.mark.parametrize(("code", "error"), [(4400, BadRequest), (4401, Unauthorized), (1013, Unavailable)])
async def test_so_is_one_over_the_websocket(server, code, error):
    server.closes = [code] * 20
    with pytest.raises(error, match="because"):
        async with client(server, patience_s=0.05):
            pass


async def test_a_full_server_is_asked_again_and_a_redirect_is_followed_with_the_key(server):
    server.refusals = [(503, {"Retry-After": "0"}), (307, {"Location": "/there/v1/stream?x=1"})]
    async with client(server, key="secret"):
        line = await server.line(1)
    assert line.headers["Authorization"] == "Bearer secret"
    assert line.query == ""


async def test_where_nobody_listens_the_first_attempt_is_the_last():
    with pytest.raises(Unreachable):
        async with StreamClient("http://127.0.0.1:9", patience_s=5):
            pass


async def test_a_server_that_says_nothing_is_lost(server, monkeypatch):
    monkeypatch.setattr(session_pump, "Heartbeat", partial(Heartbeat, ping_s=0.05, lost_s=0.15))
    async with client(server) as live:
        line = await server.line(1)
        await until(lambda: line.of("ping"))
        await line.tell(Pong(at_ms=0, seq=2, id="sdk"))
        await server.line(2)
        assert types(await take(live, 2)) == ["session.started", "session.resumed"]


# ── Audio ──


async def test_live_audio_takes_its_time(server):
    async with client(server, is_live=True) as live:
        begun = asyncio.get_running_loop().time()
        await live.send(np.zeros(16_000, np.float32))
        assert 0.7 <= asyncio.get_running_loop().time() - begun < 3


async def test_a_file_waits_for_room_and_loses_nothing(server, monkeypatch):
    monkeypatch.setattr(stream_client, "KEPT_S", 0.3)
    async with client(server) as live:
        line = await server.line(1)
        sending = asyncio.create_task(live.send(bytes(range(256)) * 125))  # a second
        await asyncio.sleep(0.1)
        assert not sending.done()
        for samples in range(0, 16_001, 1_600):
            await line.received(samples)
            await asyncio.sleep(0.01)
        await sending
        await until(lambda: len(line.audio) == 32_000)
        assert line.audio == bytes(range(256)) * 125


async def test_live_audio_that_is_too_old_is_given_up_and_told(server, monkeypatch):
    monkeypatch.setattr(stream_client, "KEPT_S", 0.2)
    lost: list[float] = []
    async with client(server, is_live=True, on_lost_audio=lost.append) as live:
        line = await server.line(1)
        await live.send(bytes(32_000))
        assert sum(lost) == 0
        await until(lambda: len(line.audio) == 32_000)
        await line.cut()
        server.refusals = [(503, {})] * 3
        await server.line(2)
        await until(lambda: lost)
    assert sum(lost) == pytest.approx(0.8, abs=0.01), "the server had none of it, and a fifth is kept"


async def test_a_user_that_leaves_does_not_wait_for_room(server, monkeypatch):
    monkeypatch.setattr(stream_client, "KEPT_S", 0.1)
    async with client(server) as live:
        line = await server.line(1)
        sending = asyncio.create_task(live.send(bytes(32_000)))
        await line.tell(SessionEnded(at_ms=0, seq=2, reason="overloaded"))
        async with asyncio.timeout(TIMEOUT_S):
            await sending
        assert types(await take(live, 9)) == ["session.started", "session.ended"]


async def test_samples_of_another_shape_are_refused(server):
    async with client(server) as live:
        with pytest.raises(ValueError, match="shape"):
            await live.send(np.zeros((5, 2)))


async def test_messages_that_are_neither_event_nor_count_are_skipped(server):
    async with client(server) as live:
        line = await server.line(1)
        for text in ('{"type":"received"}', '{"type":"received","samples":-1}', '"received"', "[]", "\x00"):
            await line.ws.send_str(text)
        await line.tell(SessionWarning(at_ms=0, seq=2, code="w", message="received"))
        assert types(await take(live, 2)) == ["session.started", "warning"]
