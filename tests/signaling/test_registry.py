"""Sessions that outlive their connections: real peers in this process, and a script in place of models."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from rtc_stt.decode_pool import DecodePool
from rtc_stt.errors import BadRequest, NotFound, SessionGone, Unavailable
from rtc_stt.events import Event
from rtc_stt.handover import Handover, Sheet
from rtc_stt.hypothesis import Tier
from rtc_stt.instrument import Instrument
from rtc_stt.session import Speech
from rtc_stt.testing import ScriptedEngine, ScriptedVad
from rtc_stt.vad import VadBatcher
from rtc_stt.wire import decode_event
from signaling import line as line_module
from signaling import peer as peer_module
from signaling import registry as registry_module
from signaling.calls import Call, Connected, Fragment, Resume
from signaling.dialects.native import Native
from signaling.registry import Registry
from signaling.settings import Server, WebRtc
from tests.line import until


class Notes(Instrument):
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.resumed: list[float] = []
        self.lines: list[tuple[Any, ...]] = []

    def line_measured(self, *figures: Any) -> None:
        self.lines.append(figures)

    def session_refused(self, reason: str) -> None:
        self.reasons.append(reason)

    def session_resumed(self, gap_s: float) -> None:
        self.resumed.append(gap_s)


class Host:
    """A registry, and what it told its door."""

    def __init__(self, *, resume_seconds: float = 30.0, name: str = "") -> None:
        self.instrument = Notes()
        self.engine = ScriptedEngine([])
        self.speech = Speech(
            VadBatcher(ScriptedVad([])),
            DecodePool({Tier.FAST: self.engine}, concurrency=1, instrument=self.instrument),
            instrument=self.instrument,
        )
        self.registry = Registry(self.speech, Server(), WebRtc(resume_seconds=resume_seconds), name=name)
        self.told: list[tuple[str, str]] = []
        self.registry.watch = lambda session_id, what: self.told.append((session_id, what))


@contextlib.asynccontextmanager
async def a_host(**options: Any) -> AsyncIterator[Host]:
    server = Host(**options)
    try:
        yield server
    finally:
        await server.registry.drain(1.0)
        assert not server.registry._tasks
        assert len(server.registry) == 0
        await server.speech.aclose()


class Client:
    """A client of aiortc that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(AudioStreamTrack())
        self.channel = self.connection.createDataChannel("rtc-stt")
        self.channel.on("message", self._receive)
        self.connected: Connected | None = None

    def _receive(self, message: str) -> None:
        if message != Native.tick:
            self.events.append(decode_event(message))

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def call(self, server: Host, resume: Resume | None = None) -> Connected:
        """Connect, and wait for the first event."""
        self.connected = await server.registry.connect(Call(await self.offer(), resume))
        await self.connection.setRemoteDescription(RTCSessionDescription(self.connected.sdp, "answer"))
        await until(lambda: self.events)
        return self.connected

    def vanish(self) -> None:
        """Without a word, as a machine does that loses its power."""
        ice = self.connection.getSenders()[0].transport.transport._connection
        for sock in ice._protocols:
            sock.transport.abort()

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def numbers(self) -> list[int]:
        return [event.seq for event in self.events]

    def token(self) -> str:
        return self.events[0].resume_token  # type: ignore[attr-defined, no-any-return]

    def of(self, kind: str) -> Any:
        (event,) = [event for event in self.events if event.type == kind]
        return event

    @property
    def peer_id(self) -> str:
        assert self.connected
        return self.connected.peer_id


@pytest.fixture
async def clients() -> AsyncIterator[Any]:
    """Makes clients; all are closed at the end."""
    made: list[Client] = []

    def make() -> Client:
        made.append(Client())
        return made[-1]

    yield make
    for client in made:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.connection.close(), 3)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that says nothing is given up after a second, not after half a minute."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.2)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)


# ── Coming and going ────────────────────────────


async def test_a_client_comes_stops_and_its_figures_are_told(clients):
    async with a_host(name="w3") as server:
        client = clients()
        connected = await client.call(server)
        assert connected.peer_id.startswith("w3-")
        assert client.token().startswith("w3-")
        assert connected.session_id == client.events[0].session_id
        assert client.events[0].limits == {"max_sessions": 32, "resume_seconds": 30}
        assert server.told == [(connected.session_id, "connected")]
        health = server.registry.health()
        assert (health.ready, health.sessions, health.load, health.draining) == (True, 1, "normal", False)
        await asyncio.sleep(0.3)
        client.channel.send('{"type":"stop"}')
        await until(lambda: client.types()[-1] == "session.ended")
        stats = client.events[-1].stats
        assert stats["rtp_packets_received"] >= 10
        assert stats["codec"] == "opus"
        assert (stats["rtp_packets_lost"], stats["connections"]) == (0, 1)
        assert 0 < stats["round_trip_ms"] < 1_000
        assert stats["bit_rate_kbps"] > 0
        await until(lambda: server.instrument.lines)  # with the end of the connection, after the session's
        [(codec, round_trip_s, jitter_s, bit_rate_kbps)] = server.instrument.lines
        assert codec == "opus"
        assert 0 < round_trip_s < 1
        assert 0 <= jitter_s < 1
        assert bit_rate_kbps > 0
        await until(lambda: not len(server.registry))
        assert server.told[1:] == [(connected.session_id, "ended")]


async def test_deleting_again_is_no_error_and_deleting_nothing_is(clients):
    async with a_host() as server:
        client = clients()
        await client.call(server)
        await server.registry.disconnect(client.peer_id)
        await until(lambda: client.types()[-1] == "session.ended")
        assert client.events[-1].reason == "deleted"
        await until(lambda: not server.registry._peers)
        await server.registry.disconnect(client.peer_id)
        with pytest.raises(NotFound):
            await server.registry.disconnect("nobody-has-this-id")
        for call in (
            server.registry.trickle(client.peer_id, Fragment(())),
            server.registry.renegotiate(client.peer_id, ""),
        ):
            with pytest.raises(NotFound):
                await call


async def test_ended_connections_are_forgotten_after_a_while(clients, monkeypatch):
    monkeypatch.setattr(registry_module, "MAX_REMEMBERED", 1)
    async with a_host() as server:
        first, second = clients(), clients()
        for client in (first, second):
            await client.call(server)
            await server.registry.disconnect(client.peer_id)
            await until(lambda: not server.registry._peers)
        await server.registry.disconnect(second.peer_id)
        with pytest.raises(NotFound):
            await server.registry.disconnect(first.peer_id)


async def test_a_further_offer_and_candidates_reach_their_connection(clients):
    async with a_host() as server:
        client = clients()
        connected = await client.call(server)
        again = await server.registry.renegotiate(client.peer_id, await client.offer())
        assert (again.peer_id, again.session_id) == (connected.peer_id, connected.session_id)
        await server.registry.trickle(client.peer_id, Fragment(("1 1 udp 1 127.0.0.1 9 typ host",)))


async def test_who_never_connects_is_given_up(clients, monkeypatch):
    monkeypatch.setattr(peer_module, "CONNECT_TIMEOUT_S", 0.3)
    async with a_host() as server:
        connected = await server.registry.connect(Call(await clients().offer()))
        assert len(server.registry) == 1
        await until(lambda: not len(server.registry))
        assert server.told == [(connected.session_id, "ended")], "nobody has the token: nobody is waited for"


async def test_silence_is_death_after_a_while_and_a_message_is_a_sign_of_life(clients, monkeypatch):
    monkeypatch.setattr(peer_module, "SILENCE_S", 1.5)
    monkeypatch.setattr(peer_module, "TICK_S", 0.1)
    async with a_host(resume_seconds=0) as server:
        client = clients()
        await client.call(server)
        await asyncio.sleep(2.0)
        assert len(server.registry) == 1, "it sends audio"
        client.connection.getSenders()[0].replaceTrack(None)
        for _ in range(4):
            await asyncio.sleep(0.5)
            client.channel.send('{"type":"ping","id":"1"}')
        assert len(server.registry) == 1, "it pings"
        await until(lambda: not len(server.registry))
        assert client.events[-1].type == "pong", "the client is taken for dead, so there is nobody to tell"


async def test_a_receiver_that_fails_ends_the_session_with_an_error(clients, monkeypatch, caplog):
    async with a_host() as server:
        client = clients()
        await client.call(server)

        words = "what was said"

        def fail(*_: Any) -> None:
            raise RuntimeError(words)

        monkeypatch.setattr(peer_module.AudioReceiver, "receive_rtp", fail)
        await until(lambda: client.types()[-1] == "session.ended")
        assert client.of("error").code == "bad_audio"
        assert client.events[-1].reason == "bad_audio"
        assert words not in caplog.text


# ── Coming back ────────────────────────────


async def test_a_client_that_comes_back_goes_on_with_its_session(clients):
    async with a_host() as server:
        first, second = clients(), clients()
        begun = await first.call(server)
        first.channel.send('{"type":"ping","id":"1"}')
        await until(lambda: len(first.events) == 2)
        await asyncio.sleep(0.3)  # so that there was audio
        await first.connection.close()  # its channel closes: the server knows at once
        await until(lambda: server.registry._lines[first.token()].is_waiting)
        assert len(server.registry) == 1
        await asyncio.sleep(0.3)
        again = await second.call(server, Resume(first.token(), 1))
        assert again.session_id == begun.session_id
        assert again.peer_id != begun.peer_id
        await until(lambda: len(second.events) == 2)
        assert second.events[0] == first.events[1], "what it has not seen, as it was"
        resumed = second.events[1]
        assert (resumed.type, resumed.seq, resumed.resent) == ("session.resumed", 3, 1)
        assert 250 < resumed.gap_ms < 3_000
        assert len(server.instrument.resumed) == 1
        second.channel.send('{"type":"stop"}')
        await until(lambda: second.types()[-1] == "session.ended")
        assert second.events[-1].stats["connections"] == 2
        assert second.numbers() == list(range(2, second.events[-1].seq + 1))


async def test_a_client_that_vanished_is_waited_for(clients, impatient):
    async with a_host() as server:
        first, second = clients(), clients()
        await first.call(server)
        first.vanish()
        await until(lambda: server.registry._lines[first.token()].is_waiting, 10)
        await second.call(server, Resume(first.token(), 1))
        assert second.types() == ["session.resumed"]


async def test_a_new_connection_takes_over_from_one_that_is_not_known_to_be_lost(clients):
    async with a_host() as server:
        first, second = clients(), clients()
        await first.call(server)
        first.vanish()
        await second.call(server, Resume(first.token(), 1))
        assert second.types() == ["session.resumed"]
        await until(lambda: list(server.registry._peers) == [second.peer_id])
        await server.registry.disconnect(first.peer_id)  # a page that was left says its good-bye late
        second.channel.send('{"type":"ping","id":"1"}')
        await until(lambda: second.types()[-1] == "pong")
        assert second.numbers() == [2, 3]


async def test_an_attempt_that_never_connects_leaves_all_as_it_was(clients, monkeypatch):
    async with a_host() as server:
        client, ghost = clients(), clients()
        await client.call(server)
        monkeypatch.setattr(peer_module, "CONNECT_TIMEOUT_S", 0.3)
        for _ in range(2):  # the second takes the place of the first at once
            await server.registry.connect(Call(await ghost.offer(), Resume(client.token(), 0)))
            ghost = clients()
        await until(lambda: list(server.registry._peers) == [client.peer_id])
        client.channel.send('{"type":"ping","id":"1"}')
        await until(lambda: client.types()[-1] == "pong")
        assert client.types() == ["session.started", "pong"]


@pytest.mark.parametrize("token", ["", "wrong", "w3-wrong"])
async def test_a_wrong_token_opens_nothing(clients, token):
    async with a_host(name="w3") as server:
        with pytest.raises(SessionGone):
            await server.registry.connect(Call(await clients().offer(), Resume(token, 0)))
        assert len(server.registry) == 0


async def test_a_session_is_not_waited_for_for_ever(clients):
    async with a_host(resume_seconds=0.3) as server:
        first, second = clients(), clients()
        await first.call(server)
        await first.connection.close()
        await until(lambda: not len(server.registry))
        assert [what for _, what in server.told] == ["connected", "lost", "ended"]
        with pytest.raises(SessionGone):
            await second.call(server, Resume(first.token(), 1))
        await server.registry.disconnect(first.peer_id)


async def test_a_session_that_waits_can_be_deleted(clients):
    async with a_host() as server:
        client = clients()
        await client.call(server)
        await client.connection.close()
        await until(lambda: server.registry._lines[client.token()].is_waiting)
        await until(lambda: not server.registry._peers)
        await server.registry.disconnect(client.peer_id)
        await until(lambda: not len(server.registry))


async def test_a_wrong_offer_leaves_the_session_as_it_was(clients):
    async with a_host() as server:
        client = clients()
        await client.call(server)
        with pytest.raises(BadRequest):
            await server.registry.connect(Call("v=0\r\n", Resume(client.token(), 0)))
        client.channel.send('{"type":"ping","id":"1"}')
        await until(lambda: client.types()[-1] == "pong")


# ── Who is in the way ────────────────────────────


@pytest.mark.parametrize("breach", ["channels", "never reads"])
async def test_who_breaks_the_rules_is_not_waited_for(clients, monkeypatch, breach):
    async with a_host() as server:
        client = clients()
        await client.call(server)
        if breach == "channels":
            for number in range(20):
                client.connection.createDataChannel(f"more {number}")
        else:
            monkeypatch.setattr("signaling.data_channel.MAX_OUTSTANDING_BYTES", -1)
            client.channel.send('{"type":"ping","id":"1"}')
        await until(lambda: not len(server.registry))
        with pytest.raises(SessionGone):
            await clients().call(server, Resume(client.token(), 1))


# ── The end ────────────────────────────


async def test_draining_ends_those_who_are_there_and_those_who_are_waited_for(clients):
    async with a_host() as server:
        here, gone = clients(), clients()
        await here.call(server)
        await gone.call(server)
        await gone.connection.close()
        await until(lambda: server.registry._lines[gone.token()].is_waiting)
        async with asyncio.timeout(4):
            await server.registry.drain(2.0)
        await until(lambda: here.types()[-1] == "session.ended")
        assert here.of("warning").code == "draining"
        assert here.events[-1].reason == "drained"
        assert not server.registry._tasks
        assert not server.registry._lines
        assert server.registry.health().draining
        for resume in (None, Resume(gone.token(), 1)):
            with pytest.raises((Unavailable, SessionGone)):
                await server.registry.connect(Call(await clients().offer(), resume))
        assert server.instrument.reasons == ["draining"]


async def test_draining_takes_no_longer_than_it_may(clients, monkeypatch):
    async with a_host() as server:
        client = clients()
        await client.call(server)
        session = server.registry._lines[client.token()].session
        monkeypatch.setattr(type(session), "finish", lambda *_: None)  # as where a model hangs
        begun = asyncio.get_running_loop().time()
        await server.registry.drain(0.3)
        assert asyncio.get_running_loop().time() - begun < 3
        assert client.events[-1].reason == "drained"
        assert not server.registry._tasks


async def test_a_session_without_a_client_that_cannot_finish_is_aborted(clients, monkeypatch):
    monkeypatch.setattr(line_module, "FINISH_TIMEOUT_S", 0.2)
    async with a_host(resume_seconds=0) as server:
        client = clients()
        await client.call(server)
        session = server.registry._lines[client.token()].session
        monkeypatch.setattr(type(session), "finish", lambda *_: None)
        await client.connection.close()
        await until(lambda: not len(server.registry))
        assert session.ended.result() == "server_error"


@pytest.mark.parametrize("trouble", ["unhealthy", "load"])
async def test_a_host_in_trouble_begins_nothing_but_goes_on_with_what_there_is(clients, monkeypatch, trouble):
    async with a_host() as server:
        client, second = clients(), clients()
        await client.call(server)
        name = "is_ready" if trouble == "unhealthy" else "accepts_sessions"
        monkeypatch.setattr(type(server.speech.pool), name, property(lambda _: False))
        with pytest.raises(Unavailable):
            await server.registry.connect(Call(await clients().offer()))
        assert server.instrument.reasons == [trouble]
        await second.call(server, Resume(client.token(), 1))
        assert second.types() == ["session.resumed"]


async def test_without_a_free_port_a_client_is_turned_away(clients, monkeypatch):
    async with a_host() as server:
        offer = await clients().offer()

        async def taken(*_: Any, **__: Any) -> None:
            raise OSError(98, "in use")

        monkeypatch.setattr(asyncio.get_running_loop(), "create_datagram_endpoint", taken)
        with pytest.raises(Unavailable):
            await server.registry.connect(Call(offer))
        assert server.instrument.reasons == ["ports"]
        assert len(server.registry) == 0


# ── What they hear ────────────────────────────


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "METER_S", 0.2)


async def test_audio_is_told_while_a_session_runs_and_the_rest_before_its_end(clients, metered):
    async with a_host() as server:
        told: list[tuple[str, float]] = []
        server.registry.meter = lambda session_id, seconds: told.append((session_id, seconds))
        client = clients()
        connected = await client.call(server)
        await until(lambda: len(told) >= 2)
        session = server.registry._lines[client.token()].session
        server.registry.watch = lambda _, what: told.append((what, 0.0))
        client.channel.send('{"type":"stop"}')
        await until(lambda: told[-1][0] == "ended")
        assert {session_id for session_id, _ in told[:-1]} == {connected.session_id}
        assert sum(seconds for _, seconds in told) == pytest.approx(session.heard_s)
        assert session.heard_s > 0.3
        await asyncio.sleep(0.3)
        assert server.registry._metering is None, "nobody is there to be metered"


async def test_a_session_can_be_expelled_and_is_told_why(clients, caplog):
    async with a_host() as server:
        client, other = clients(), clients()
        connected = await client.call(server)
        await other.call(server)
        server.registry.expel("nobody-has-this-id", "quota_exceeded", "")
        server.registry.expel(connected.session_id, "quota_exceeded", "that was all")
        await until(lambda: client.types()[-1] == "session.ended")
        error = client.of("error")
        assert (error.code, error.message, error.fatal) == ("quota_exceeded", "that was all", True)
        assert client.events[-1].reason == "quota_exceeded"
        server.registry.expel(connected.session_id, "quota_exceeded", "again")
        with pytest.raises(SessionGone):
            await clients().call(server, Resume(client.token(), 1))
        assert other.types() == ["session.started"]
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_session_that_waits_for_its_client_can_be_expelled(clients):
    async with a_host() as server:
        client = clients()
        connected = await client.call(server)
        await client.connection.close()
        await until(lambda: server.registry._lines[client.token()].is_waiting)
        server.registry.expel(connected.session_id, "quota_exceeded", "")
        await until(lambda: not len(server.registry))


async def test_a_drain_waits_for_the_end_of_what_is_being_said_but_not_for_ever(clients, monkeypatch):
    async with a_host() as server:
        quiet, speaking, talking = clients(), clients(), clients()
        for client in (quiet, speaking, talking):
            await client.call(server)
        lines = [server.registry._lines[client.token()] for client in (quiet, speaking, talking)]
        silent = {id(lines[0].session): True}
        monkeypatch.setattr(
            type(lines[0].session), "is_silent", property(lambda session: silent.get(id(session), False))
        )
        draining = asyncio.create_task(server.registry.drain(2.0))
        await until(lambda: quiet.types()[-1] == "session.ended")
        assert speaking.types()[-1] == talking.types()[-1] == "warning"
        silent[id(lines[1].session)] = True
        await until(lambda: speaking.types()[-1] == "session.ended")
        assert talking.types()[-1] == "warning"
        async with asyncio.timeout(2.0):
            await draining
        await until(lambda: talking.types()[-1] == "session.ended")
        assert talking.events[-1].reason == "drained"


async def test_of_many_sessions_is_told_by_turns_and_of_each_in_time(monkeypatch):
    """How far each is, for other gateways. All hang up, which a drain then need not wait for."""

    class Keeper:
        hears = False

        def __init__(self) -> None:
            self.told: list[set[str]] = []

        def began(self, session_id: str, token: str, transport: str) -> None:
            pass

        def sheets(self, sheets: Mapping[str, Sheet]) -> None:
            assert {sheet.position for sheet in sheets.values()} == {16_000}
            self.told.append(set(sheets))

    monkeypatch.setattr(registry_module, "SHEET_S", 0.2)
    async with a_host() as server:
        keeper = Keeper()
        server.registry.keeper = cast(registry_module.Keeper, keeper)
        for number in range(40):
            await server.registry.adopt(f"token-{number}", Handover(seq=1, position=16_000, utterances=0))
        every = {line.session.id for line in server.registry._lines.values()}
        keeper.told.clear()
        await asyncio.sleep(0.55)
        told = Counter(session_id for sheets in keeper.told for session_id in sheets)
        assert told.keys() == every
        assert min(told.values()) >= 2
        assert max(map(len, keeper.told)) <= 15, "five of forty at a time, but for chance"
        for line in list(server.registry._lines.values()):
            line.finish("client")
        await until(lambda: not len(server.registry))
