"""The pump of the SDK, with real HTTP and connections that a test plays: no WebRTC, and waits are short."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtc_stt.client import LiveSession, State, live_session, reconnect, session_pump
from rtc_stt.client.pulse import Heartbeat
from rtc_stt.commands import Ack, Command, Configure, Finalize, Mute, Ping, Stop
from rtc_stt.errors import Forbidden, NotFound, Unauthorized, Unavailable, Unreachable
from rtc_stt.events import (
    Event,
    Finalized,
    Pong,
    SessionEnded,
    SessionResumed,
    SessionStarted,
    SessionWarning,
    SpeechStarted,
)
from rtc_stt.wire import encode_event
from tests.harness import types

TIMEOUT_S = 5.0


class Line:
    """A connection that a test plays the server of."""

    made: list[Line]
    greet: Callable[[Line], None]

    def __init__(self, ice_servers: list[dict], receive: Callable, lose: Callable) -> None:
        self.ice_servers, self.receive, self.lose = ice_servers, receive, lose
        self.outlet = self
        self.frames: list[Any] = []
        self.again: list[Any] = []
        self.is_behind = False
        self.commands: list[Command] = []
        self.closed = False
        self.made.append(self)

    async def offer(self) -> str:
        return "v=0"

    async def accept(self, answer: str) -> None:
        asyncio.get_running_loop().call_soon(self.greet)

    def send(self, command: Command) -> None:
        self.commands.append(command)

    def put(self, frame: Any) -> None:
        self.frames.append(frame)

    def say_again(self, frames: list[Any]) -> None:
        self.again += frames
        self.is_behind = bool(frames)

    def tell(self, event: Event) -> None:
        self.receive(encode_event(event))

    def close(self) -> Any:
        self.closed = True
        self.receive = lambda message: None
        return asyncio.sleep(0)

    def of(self, kind: type[Command]) -> list[Command]:
        return [c for c in self.commands if isinstance(c, kind)]


def started(name: str = "one", seq: int = 1) -> SessionStarted:
    return SessionStarted(at_ms=0, seq=seq, session_id=name, resume_token=f"token-{name}")


def warning(seq: int) -> SessionWarning:
    return SessionWarning(at_ms=0, seq=seq, code="w", message="")


def resumed(seq: int) -> SessionResumed:
    return SessionResumed(at_ms=0, seq=seq, session_id="one", gap_ms=0, resent=0)


class Server:
    """Answers offers as it was told, in turn; 201 when nothing is told."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.offers: list[dict[str, str]] = []
        self.deleted: list[str] = []
        self.ice: dict[str, object] | None = None
        app = web.Application()
        app.router.add_post("/whip", self.post)
        app.router.add_post("/there/whip", self.post)
        app.router.add_delete("/whip/{id}", self.delete)
        app.router.add_get("/v1/ice-servers", self.ice_servers)
        self.http = TestServer(app)

    async def post(self, request: web.Request) -> web.Response:
        self.offers.append({"path": request.path, **request.headers})
        status, headers = self.answers.pop(0) if self.answers else (201, {})
        if status == 201:
            headers = {"Location": f"/whip/{len(self.offers)}"}
        body = (
            "v=0" if status == 201 else json.dumps({"error": {"type": "x", "message": f"because {status}"}})
        )
        return web.Response(status=status, text=body, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        self.deleted.append(request.match_info["id"])
        return web.Response()

    async def ice_servers(self, request: web.Request) -> web.Response:
        return web.json_response(self.ice) if self.ice else web.Response(status=404)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server, and lines that greet with ``session.started`` first and ``session.resumed`` later."""
    made = Server()
    monkeypatch.setattr(Line, "made", [], raising=False)
    monkeypatch.setattr(
        Line,
        "greet",
        lambda line: line.tell(started() if len(line.made) == 1 else resumed(50)),
        raising=False,
    )
    monkeypatch.setattr(live_session, "Connection", Line)
    monkeypatch.setattr(reconnect, "FIRST_WAIT_S", 0.01)
    async with made.http:
        yield made


def session(server: Server, **how: Any) -> LiveSession:
    return LiveSession(str(server.http.make_url("")), **how)


async def next_line(count: int) -> Line:
    async with asyncio.timeout(TIMEOUT_S):
        while len(Line.made) < count or not Line.made[-1].of(Ack):
            await asyncio.sleep(0.001)
    return Line.made[-1]


async def take(live: LiveSession, count: int) -> list[Event]:
    taken: list[Event] = []
    async with asyncio.timeout(TIMEOUT_S):
        async for event in live:
            taken.append(event)
            if len(taken) == count:
                break
    return taken


# ── Events ──


async def test_each_event_is_given_once_and_what_is_none_is_skipped(server):
    async with session(server) as live:
        [line] = Line.made
        line.receive('{"type":"tick"}')
        line.receive('{"type":"of.a.later.version","seq":2}')
        line.receive(b"\xff")
        for seq in (2, 2, 1, 3):
            line.tell(warning(seq))
        line.tell(SessionEnded(at_ms=0, seq=4, reason="stopped"))
        assert [e.seq for e in await take(live, 99)] == [1, 2, 3, 4]
        assert [e async for e in live] == [], "who asks again gets none"
    assert server.deleted == [], "what has ended needs no end"


async def test_a_final_is_acknowledged_at_once_and_pongs_are_not_shown(server):
    async with session(server) as live:
        [line] = Line.made
        line.tell(Pong(at_ms=0, seq=2, id="sdk"))
        line.tell(Finalized(at_ms=0, seq=3, id="x", utterance_id=None))
        assert [c.seq for c in line.of(Ack)] == [1, 3]
        assert types(await take(live, 2)) == ["session.started", "finalized"]
        assert live.session_id == "one"
    assert server.deleted == ["1"]


async def test_who_does_not_read_is_told(server, monkeypatch):
    monkeypatch.setattr(session_pump, "MAX_WAITING_EVENTS", 10)
    async with session(server) as live:
        for seq in range(2, 20):
            Line.made[0].tell(warning(seq))
        with pytest.raises(Unreachable, match="not read"):
            await take(live, 99)


# ── What a user says ──


async def test_audio_becomes_frames_and_is_dropped_without_a_connection(server):
    live = session(server)
    await live.send(np.zeros(3_200, np.float32))
    async with live:
        await live.send(np.zeros(3_200, np.float32))
        assert len(Line.made[0].frames) == 10


async def test_finalize_is_answered(server):
    async with session(server) as live:
        [line] = Line.made
        asking = asyncio.create_task(live.finalize())
        await asyncio.sleep(0)
        [asked] = line.of(Finalize)
        line.tell(Finalized(at_ms=0, seq=2, id=asked.id, utterance_id=3))
        assert (await asking).utterance_id == 3


async def test_what_was_said_into_a_dead_line_is_said_again_and_answered_once(server):
    async with session(server) as live:
        await live.configure(language="de", endpointing={"min_silence_ms": 300})
        await live.configure(endpointing={"preroll_ms": 400})
        await live.mute(True)
        asking = asyncio.create_task(live.finalize())
        await asyncio.sleep(0)
        Line.made[0].lose()
        line = await next_line(2)
        together = {"min_silence_ms": 300, "preroll_ms": 400}
        assert line.of(Configure) == [Configure({"language": "de", "endpointing": together})]
        assert line.of(Mute) == [Mute(True)]
        [asked] = line.of(Finalize)
        for seq in (51, 52):
            line.tell(Finalized(at_ms=0, seq=seq, id=asked.id, utterance_id=None))
        await asking
        assert [e.seq for e in await take(live, 3)] == [1, 50, 51]


async def test_stop_ends_the_session_and_waits_for_it(server):
    async with session(server) as live:
        stopping = asyncio.create_task(live.stop())
        await asyncio.sleep(0)
        assert len(Line.made[0].of(Stop)) == 1
        Line.made[0].tell(SessionEnded(at_ms=0, seq=2, reason="stopped"))
        await stopping
        with pytest.raises(Unreachable):
            await live.finalize()
    assert server.deleted == []


# ── Connections ──


async def test_a_lost_connection_is_made_anew_with_the_token_and_the_last_number(server):
    states: list[State] = []
    async with session(server, on_state=states.append, key="k" * 16) as live:
        Line.made[0].tell(warning(2))
        Line.made[0].lose()
        line = await next_line(2)
        assert Line.made[0].closed
        line.tell(warning(51))
        assert [e.seq for e in await take(live, 4)] == [1, 2, 50, 51]
    first, second = server.offers
    assert "Resume-Token" not in first
    assert (second["Resume-Token"], second["Resume-From"]) == ("token-one", "2")
    assert second["Authorization"] == f"Bearer {'k' * 16}"
    assert server.deleted == ["2"], "the one that is open"
    assert states == [State.CONNECTED, State.RECONNECTING, State.CONNECTED, State.ENDED]


async def test_a_server_that_says_nothing_is_lost(server, monkeypatch):
    monkeypatch.setattr(session_pump, "Heartbeat", partial(Heartbeat, ping_s=0.05, lost_s=0.12))
    async with session(server):
        line = await next_line(2)
        assert Line.made[0].of(Ping)
        assert line is not Line.made[0]


async def test_a_session_that_is_gone_is_replaced_and_the_iterator_goes_on(server, monkeypatch):
    monkeypatch.setattr(Line, "greet", lambda line: line.tell(started(f"s{len(line.made)}")))
    async with session(server) as live:
        await live.configure(language="de")
        Line.made[0].tell(warning(2))
        server.answers = [(404, {})]
        Line.made[0].lose()
        line = await next_line(3)
        line.tell(warning(2))
        events = await take(live, 4)
        assert [(e.type, e.seq) for e in events] == [
            ("session.started", 1), ("warning", 2), ("session.started", 1), ("warning", 2),
        ]  # fmt: skip
        assert live.session_id == "s3"
        assert line.of(Configure) == [Configure({"language": "de"})]
        assert "Resume-Token" not in server.offers[-1]


@pytest.mark.parametrize("said", [True, False])
async def test_last_words_that_are_gone_with_their_session_are_an_error(server, said):
    async with session(server) as live:
        line = Line.made[0]
        if said:
            line.tell(SpeechStarted(at_ms=9, seq=2, utterance_id=1, audio_start_ms=9))
        stopping = asyncio.create_task(live.stop())
        await asyncio.sleep(0)
        server.answers = [(404, {})]
        line.lose()
        await stopping
        if said:
            with pytest.raises(Unreachable, match="last words"):
                await take(live, 9)
        else:
            assert types(await take(live, 9)) == ["session.started"]


async def test_a_server_that_shuts_down_is_asked_for_a_new_session(server, monkeypatch):
    monkeypatch.setattr(Line, "greet", lambda line: line.tell(started(f"s{len(line.made)}")))
    async with session(server) as live:
        server.answers = [(503, {"Retry-After": "0"}), (503, {})]
        Line.made[0].tell(SessionEnded(at_ms=0, seq=2, reason="drained"))
        await next_line(4)
        assert types(await take(live, 3)) == ["session.started", "session.ended", "session.started"]
        assert all("Resume-Token" not in offer for offer in server.offers)


async def test_the_next_server_hears_what_the_one_before_had_not(server, monkeypatch):
    monkeypatch.setattr(Line, "greet", lambda line: line.tell(started(f"s{len(line.made)}")))
    async with session(server) as live:
        await live.send(np.zeros(16_000, np.float32))
        Line.made[0].tell(SessionEnded(at_ms=200, seq=2, reason="drained"))
        await live.send(np.zeros(1_600, np.float32))
        await next_line(2)
        await live.send(np.zeros(320, np.float32))
        assert len(Line.made[1].again) == 10 + 5, "0.2 s of the session that ended, and 0.1 s after it"
        finalizing = asyncio.create_task(live.finalize())
        await asyncio.sleep(0.05)
        assert not any(isinstance(c, Finalize) for c in Line.made[1].commands), "it would overtake the audio"
        Line.made[1].is_behind = False
        async with asyncio.timeout(TIMEOUT_S):
            while not any(isinstance(c, Finalize) for c in Line.made[1].commands):
                await asyncio.sleep(0.01)
        finalizing.cancel()


async def test_a_full_server_is_asked_again_and_a_redirect_is_followed_and_remembered(server, monkeypatch):
    monkeypatch.setattr(Line, "greet", lambda line: line.tell(started()))
    server.answers = [(503, {"Retry-After": "0"}), (307, {"Location": "/there/whip"})]
    async with session(server):
        assert [o["path"] for o in server.offers] == ["/whip", "/whip", "/there/whip"]
        Line.made[-1].lose()
        async with asyncio.timeout(TIMEOUT_S):
            while len(server.offers) < 4:
                await asyncio.sleep(0.001)
        assert server.offers[-1]["path"] == "/there/whip", "the session lives there"


@pytest.mark.parametrize(
    ("status", "error"), [(401, Unauthorized), (403, Forbidden), (404, NotFound), (503, Unavailable)]
)
async def test_who_is_turned_away_at_first_is_told_by_async_with(server, status, error):
    server.answers = [(status, {"Retry-After": "100"})]
    with pytest.raises(error, match=f"because {status}"):
        async with session(server):
            pytest.fail("there is no session")


async def test_who_is_turned_away_later_is_told_by_the_iterator(server):
    states: list[State] = []
    async with session(server, on_state=states.append) as live:
        asking = asyncio.create_task(live.finalize())
        await asyncio.sleep(0)
        server.answers = [(401, {})]
        Line.made[0].lose()
        with pytest.raises(Unauthorized):
            await take(live, 99)
        with pytest.raises(Unreachable):
            await asking
    assert states[-1] is State.ENDED


async def test_no_server_at_all_is_told_at_once():
    with pytest.raises(Unreachable):
        async with LiveSession("http://127.0.0.1:9"):
            pytest.fail("there is no session")


async def test_a_connection_that_does_not_come_about_is_tried_again(server, monkeypatch):
    """The session that the offer may have begun is ended; one that is to be resumed is not."""
    accept = Line.accept
    async with session(server):

        async def fail_once(line: Line, answer: str) -> None:
            monkeypatch.setattr(Line, "accept", accept)
            raise TimeoutError

        monkeypatch.setattr(Line, "accept", fail_once)
        Line.made[0].lose()
        await next_line(3)
        assert server.deleted == []
        assert Line.made[1].closed


async def test_a_new_session_whose_connection_fails_is_ended(server, monkeypatch):
    async def fail(line: Line, answer: str) -> None:
        raise TimeoutError

    monkeypatch.setattr(Line, "accept", fail)
    with pytest.raises(Unreachable):
        async with session(server):
            pytest.fail("there is no session")
    assert server.deleted == ["1"]


async def test_ice_servers_are_asked_for_and_kept_while_they_are_good(server):
    servers = [{"urls": ["turn:t.example"], "username": "u", "credential": "c", "other": 1}]
    server.ice = {"iceServers": servers, "ttl_s": 100}
    async with session(server):
        server.ice = None
        Line.made[0].lose()
        await next_line(2)
    kept = {"urls": ["turn:t.example"], "username": "u", "credential": "c"}
    assert [line.ice_servers for line in Line.made] == [[kept], [kept]]


@pytest.mark.parametrize("told", [{"iceServers": 3}, {"iceServers": ["x"]}, {"nothing": []}])
async def test_a_list_of_ice_servers_that_cannot_be_read_is_none(server, told):
    server.ice = told
    async with session(server):
        assert Line.made[0].ice_servers == []


class Track(live_session.MediaStreamTrack):
    kind = "audio"

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.left = frames

    async def recv(self) -> object:
        if not self.left:
            raise live_session.MediaStreamError
        self.left -= 1
        return self.left


async def test_a_track_is_read_to_its_end_and_then_the_session_is_stopped(server, monkeypatch):
    monkeypatch.setattr(live_session, "TAIL_S", 0.0)
    async with session(server, track=Track(3)):
        async with asyncio.timeout(TIMEOUT_S):
            while not Line.made[0].of(Stop):
                await asyncio.sleep(0.001)
        assert Line.made[0].frames == [2, 1, 0]
