"""``/v1/calls`` over real sockets: who may see, announce, hear and end calls."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rtc_stt.errors import Unavailable
from rtc_stt.testing import Said
from signaling import outbox
from signaling.attempt import STREAMS
from signaling.keys import GATE
from signaling.telephony import call_socket, registrations
from signaling.telephony import hub as hub_module
from signaling.telephony.call import Call
from signaling.telephony.call_routes import CALLS
from signaling.telephony.call_source import CallDetails
from signaling.telephony.hub import CallHub
from signaling.telephony.phones import add_phones, drain
from signaling.telephony.settings import Phones, Sip, Telephony
from tests.line import until
from tests.signaling.streams import Gateway, Ws, a_gateway
from tests.signaling.telephony.fakes import FakeSource, ended, silence, tone

ACME, SPARE, OTHER = "first-key-of-acme-000", "second-key-of-acme-00", "key-of-somebody-else0"
FILE = f"{ACME} name=acme\n{SPARE} name=acme\n{OTHER} name=other\n"
SCRIPT = [Said(300, 900, "hello")]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class House(Gateway):
    """What is in the gateway, in words of calls."""

    @property
    def hub(self) -> CallHub:
        return self.app[CALLS]

    def id_of(self, key: str) -> str:
        return self.app[GATE].authority.identify(f"Bearer {key}").key_id

    def begin(self, key: str = ACME, **more: Any) -> tuple[Call, FakeSource]:
        source, hub = FakeSource(), self.hub
        owner = self.id_of(key) if key else "open"
        return hub.begin(CallDetails("sip", owner=owner), source, **more), source

    async def ask(self, method: str, path: str, key: str = ACME, **how: Any) -> tuple[int, Any]:
        headers = bearer(key) if key else {}
        async with self.client.request(method, path, headers=headers, **how) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None


@contextlib.asynccontextmanager
async def a_house(
    *, is_open: bool = False, phones: Phones | None = None, **more: Any
) -> AsyncIterator[House]:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".keys") as file:
        file.write(FILE)
        file.flush()
        access = {} if is_open else {"api_keys_file": file.name}
        async with a_gateway(
            access=access,
            script=SCRIPT,
            add_routes=lambda app: add_phones(app, app[STREAMS], phones or Phones()),
            **more,
        ) as gateway:
            gateway.__class__ = House
            assert isinstance(gateway, House)
            yield gateway
            await drain(gateway.app, 1.0)


async def heard(ws: Ws) -> list[dict[str, Any]]:
    """All that is told until the end."""
    async with asyncio.timeout(10):
        return [json.loads(message.data) async for message in ws]


def talk(call: Call) -> None:
    leg = call.add_leg("caller")
    leg.receive_audio(silence(0.3))
    leg.receive_audio(tone(220, 0.6))
    leg.receive_audio(silence(1.0))


# ── Lists ────────────────────────────────────────────────────────────


async def test_a_key_sees_the_calls_of_its_account_and_no_others():
    async with a_house() as house:
        mine, _ = house.begin()
        other, _ = house.begin(OTHER)
        talk(mine)
        status, told = await house.ask("GET", "/v1/calls")
        assert (status, told["total"]) == (200, 1)
        (call,) = told["calls"]
        assert (call["id"], call["state"], call["source"]) == (mine.id, "active", "sip")
        assert call["legs"] == [{"leg": "caller", "audio_ms": 1_900, "held": False, "ended": False}]
        assert (await house.ask("GET", f"/v1/calls/{mine.id}", SPARE))[1]["id"] == mine.id
        assert (await house.ask("GET", f"/v1/calls/{other.id}"))[0] == 404
        assert (await house.ask("GET", f"/v1/calls/{'x' * 16}"))[0] == 404
        assert (await house.ask("GET", "/v1/calls/short"))[0] == 404
        assert (await house.ask("GET", "/v1/calls", ""))[0] == 401
        token = (await house.ask("POST", "/v1/tokens"))[1]["token"]
        assert (await house.ask("GET", "/v1/calls", token))[0] == 401


async def test_the_newest_are_told_of():
    async with a_house(is_open=True) as house:
        calls = [house.begin("")[0].id for _ in range(5)]
        status, told = await house.ask("GET", "/v1/calls?limit=2", "")
        assert (status, told["total"]) == (200, 5)
        assert [call["id"] for call in told["calls"]] == calls[:2:-1]
        for limit in ("0", "1001", "x", "-1", "٣"):
            assert (await house.ask("GET", f"/v1/calls?limit={limit}", ""))[0] == 400


async def test_a_call_is_hung_up_and_remembered():
    async with a_house() as house:
        call, source = house.begin()
        talk(call)
        assert (await house.ask("DELETE", f"/v1/calls/{call.id}", OTHER))[0] == 404
        assert (await house.ask("DELETE", f"/v1/calls/{call.id}"))[0] == 204
        assert await ended(call) == "deleted"
        assert source.reasons == ["deleted"]
        assert (await house.ask("DELETE", f"/v1/calls/{call.id}"))[0] == 204
        status, told = await house.ask("GET", f"/v1/calls/{call.id}")
        assert (status, told["state"]) == (200, "ended")
        assert (await house.ask("GET", "/v1/calls"))[1] == {"calls": [], "total": 0}
        assert house.count("rtc_stt_calls_ended_total", source="sip", result="deleted") == 1
        assert house.count("rtc_stt_calls", source="sip") == 0


# ── Announcements ────────────────────────────────────────────────────────────


async def announce(house: House, key: str = ACME, **body: Any) -> tuple[int, Any]:
    return await house.ask("POST", "/v1/calls", key, json={"source": "audiosocket"} | body)


async def test_a_call_is_announced_claimed_and_begun():
    async with a_house() as house:
        given = str(uuid.uuid4())
        status, told = await announce(
            house, uuid=given.upper(), caller="+1", parameters={"a": "b"}, options={"language": "de"}
        )
        assert (status, told["uuid"], told["expires_in"]) == (201, given, 60)
        assert told["events_url"] == f"/v1/calls/{told['call_id']}/events"
        assert (await announce(house, uuid=given))[0] == 400
        assert house.hub.claim("nonsense") is None
        found = house.hub.claim(given)
        assert found is not None
        assert house.hub.claim(given) is None
        call = house.hub.begin(found.details, FakeSource(), call_id=found.call_id)
        assert call.id == told["call_id"]
        assert (call.details.caller, call.details.owner) == ("+1", house.id_of(ACME))
        talk(call)
        call.end("hung_up")
        await ended(call)
        events = [json.loads(event.text) for event in call.log.after(0)]
        assert [e["language"] for e in events if e["type"] == "transcript.final"] == ["de"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"source": "audiosocket", "options": {"nonsense": 1}}', 400),
        (b'{"source": "audiosocket", "options": {"language": "xx"}}', 400),
        (b"\xff", 400),
        (b" " * 40_000, 413),
    ],
)
async def test_what_is_wrong_is_refused(body, status):
    async with a_house() as house:
        kind = {"Content-Type": "application/json"}
        async with house.client.post("/v1/calls", data=body, headers=bearer(ACME) | kind) as response:
            assert response.status == status
        async with house.client.post("/v1/calls", data=b"{}", headers=bearer(ACME)) as response:
            assert response.status == 415
        assert (await announce(house, key=""))[0] == 401


async def test_one_that_is_refused_or_does_not_come_is_told_to_who_waits(monkeypatch):
    monkeypatch.setattr(registrations, "REGISTERED_S", 0.3)
    async with a_house(phones=Phones(telephony=Telephony(max_calls=1))) as house:
        waiting = []
        for _ in range(3):
            told = (await announce(house))[1]
            ws = await house.client.ws_connect(told["events_url"], headers=bearer(ACME))
            waiting.append((told, ws))
        (never, never_ws), (refused, refused_ws), (deleted, deleted_ws) = waiting
        assert (await house.ask("DELETE", f"/v1/calls/{deleted['call_id']}"))[0] == 204
        found = house.hub.claim(refused["uuid"])
        assert found
        call = house.hub.begin(found.details, FakeSource(), call_id=found.call_id)
        call.end("no_room")
        for ws in (never_ws, deleted_ws):
            (error,) = await heard(ws)
            assert (error["type"], error["code"], error["seq"]) == ("error", "call_gone", 0)
            assert ws.close_code == 4404
        assert [event["type"] for event in await heard(refused_ws)] == ["call.started", "call.ended"]
        assert refused_ws.close_code == 1000
        assert (await house.ask("GET", f"/v1/calls/{never['call_id']}"))[0] == 404
        assert len(house.hub.audience) == 0


async def test_a_server_that_drains_takes_none():
    async with a_house() as house:
        house.registry.draining = True
        assert (await announce(house))[0] == 503
        with pytest.raises(Unavailable):
            house.begin()


# ── Events ────────────────────────────────────────────────────────────


async def test_a_call_is_heard_from_its_beginning_to_its_end():
    async with a_house() as house:
        told = (await announce(house))[1]
        early = await house.client.ws_connect(told["events_url"], headers=bearer(ACME))
        found = house.hub.claim(told["uuid"])
        assert found
        call = house.hub.begin(found.details, FakeSource(), call_id=found.call_id)
        talk(call)
        await until(lambda: any(event.type == "speech.started" for event in call.log.after(0)))
        late = await house.client.ws_connect(told["events_url"], headers=bearer(SPARE))
        some = await house.client.ws_connect(f"{told['events_url']}?last_seq=3", headers=bearer(ACME))
        await until(lambda: len(house.hub.audience) == 3)
        call.end("hung_up")
        events = await heard(early)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert (events[0]["type"], events[-1]["type"]) == ("call.started", "call.ended")
        assert early.close_code == 1000
        kept = [event for event in events if event["type"] not in ("transcript.partial", "transcript.eager")]
        assert [event for event in await heard(late) if event in kept] == kept
        assert [event for event in await heard(some) if event in kept] == kept[3:]
        again = await house.client.ws_connect(told["events_url"], headers=bearer(ACME))
        assert await heard(again) == kept
        assert again.close_code == 1000
        await until(lambda: house.count("rtc_stt_call_listeners") == 0)


async def test_all_calls_of_an_account_are_heard():
    async with a_house() as house:
        mine = await house.client.ws_connect("/v1/calls/events", headers=bearer(ACME))
        others = await house.client.ws_connect("/v1/calls/events", headers=bearer(OTHER))
        await until(lambda: len(house.hub.audience) == 2)
        calls = [house.begin(key)[0] for key in (ACME, SPARE, OTHER)]
        for call in calls:
            call.digit("caller", "1")
            call.end("hung_up")
            await ended(call)
        house.hub.close()
        told = await heard(mine)
        assert {event["call_id"] for event in told} == {calls[0].id, calls[1].id}
        assert {event["call_id"] for event in await heard(others)} == {calls[2].id}
        assert mine.close_code == 1001


async def test_one_who_wants_only_what_is_new_hears_that():
    async with a_house() as house:
        call, _ = house.begin()
        call.digit("caller", "1")
        url = f"/v1/calls/{call.id}/events?last_seq={2**53}"
        ws = await house.client.ws_connect(url, headers=bearer(ACME))
        await until(lambda: any(seat.listener._is_live for seat in house.hub.audience._seats.values()))
        call.digit("caller", "2")
        call.end("hung_up")
        assert [event["type"] for event in await heard(ws)] == ["dtmf", "call.ended"]


async def test_who_may_hear():
    async with a_house() as house:
        call, _ = house.begin()
        other, _ = house.begin(OTHER)
        url = f"/v1/calls/{call.id}/events"
        house.path = url

        async def try_it(query: str = "", path: str = url, **headers: str) -> tuple[int, str]:
            house.path = path
            return await house.refusal(query, **headers)

        assert await try_it() == (401, "unauthorized")
        assert await try_it(**bearer(OTHER)) == (404, "not_found")
        assert await try_it(**bearer("wrong-key-0000000000")) == (401, "unauthorized")
        assert await try_it(f"?access_token={ACME}") == (401, "unauthorized")
        session = (await house.ask("POST", "/v1/tokens"))[1]["token"]
        assert await try_it(f"?access_token={session}") == (401, "unauthorized")
        assert await try_it(**bearer(session)) == (401, "unauthorized")
        assert await try_it("?last_seq=x", **bearer(ACME)) == (400, "bad_request")
        foreign = {"Sec-WebSocket-Protocol": "graphql-ws"}
        assert await try_it(**foreign, **bearer(ACME)) == (400, "bad_request")
        assert await try_it(Origin="https://evil.example", **bearer(ACME)) == (403, "forbidden")
        assert (await house.ask("POST", f"/v1/calls/{call.id}/tokens", OTHER))[0] == 404
        assert (await house.ask("GET", url))[0] == 400
        status, told = await house.ask("POST", f"/v1/calls/{call.id}/tokens")
        assert (status, set(told)) == (201, {"token", "expires_in"})
        token = told["token"]
        assert await try_it(f"?access_token={token}", f"/v1/calls/{other.id}/events") == (401, "token_wrong")
        assert await try_it(f"?access_token={token}", "/v1/calls/events") == (401, "unauthorized")
        assert await try_it(path="/v1/calls/events", **bearer(token)) == (401, "unauthorized")
        assert (await house.ask("GET", f"/v1/calls/{call.id}", token))[0] == 401
        sockets = [
            await house.client.ws_connect(f"{url}?access_token={token}"),
            await house.client.ws_connect(url, headers=bearer(token)),
        ]
        await until(lambda: len(house.hub.audience) == 2)
        call.digit("caller", "1")
        call.end("hung_up")
        for ws in sockets:
            assert [event["type"] for event in await heard(ws)] == ["call.started", "dtmf", "call.ended"]


async def test_there_are_so_many_listeners_and_no_more():
    async with a_house() as house:
        call, _ = house.begin()
        url = f"/v1/calls/{call.id}/events"
        sockets = [await house.client.ws_connect(url, headers=bearer(ACME)) for _ in range(16)]
        house.path = url
        assert await house.refusal(**bearer(ACME)) == (429, "too_many")
        await sockets[0].close()
        await until(lambda: len(house.hub.audience) == 15)
        await house.client.ws_connect(url, headers=bearer(ACME))


async def test_who_does_not_read_is_let_go_and_the_others_are_not_held_up(monkeypatch):
    monkeypatch.setattr(outbox, "MAX_OUTSTANDING_BYTES", 256 * 1024)
    async with a_house() as house:
        call, _ = house.begin()
        slow = await house.client.ws_connect("/v1/calls/events", headers=bearer(ACME))
        quick = await house.client.ws_connect(f"/v1/calls/{call.id}/events", headers=bearer(ACME))
        await until(lambda: len(house.hub.audience) == 2)
        transport = slow._response.connection.transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        transport.pause_reading()
        reading = asyncio.create_task(heard(quick))
        for _ in range(2_000):
            if len(house.hub.audience) == 1:
                break
            for _ in range(20):
                call._tell("warning", {"code": "x", "message": "y" * 500})
            await asyncio.sleep(0.005)
        assert len(house.hub.audience) == 1
        call.end("hung_up")
        told = await reading
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        assert told[-1]["type"] == "call.ended"
        transport.abort()
        await until(lambda: len(house.hub.audience) == 0)


async def test_a_long_log_is_replayed_whole_and_what_is_lost_is_told():
    async with a_house() as house:
        call, _ = house.begin()
        for number in range(1_500):
            call._tell("warning", {"code": f"{number}", "message": "y" * 500})
        assert call.log.size < 1024 * 1024
        url = f"/v1/calls/{call.id}/events"
        ws = await house.client.ws_connect(url, headers=bearer(ACME), max_msg_size=0)
        await until(lambda: len(house.hub.audience) == 1)
        call.end("hung_up")
        told = await heard(ws)
        assert [event["seq"] for event in told] == list(range(1, 1_503))
        other, _ = house.begin()
        for number in range(4_000):
            other._tell("warning", {"code": f"{number}", "message": "y" * 500})
        other.end("hung_up")
        first, *rest = await heard(
            await house.client.ws_connect(f"/v1/calls/{other.id}/events", headers=bearer(ACME))
        )
        assert (first["code"], first["seq"], first["call_id"]) == ("events_lost", 0, other.id)
        assert [event["seq"] for event in rest] == list(range(rest[0]["seq"], 4_003))


async def test_what_a_listener_says_is_skipped_or_too_much(monkeypatch):
    monkeypatch.setattr(call_socket, "PING_S", 0.05)
    async with a_house() as house:
        ws = await house.client.ws_connect("/v1/calls/events", headers=bearer(ACME), autoping=False)
        await ws.ping(b"there?")
        await ws.send_str("hello")
        seen = set()
        for _ in range(6):
            message = await ws.receive()
            seen.add((message.type.name, bytes(message.data)))
        assert seen == {("PING", b""), ("PONG", b"there?")}
        for _ in range(50):
            await ws.send_bytes(b"x")
        while (message := await ws.receive()).type.name in ("PING", "PONG"):
            pass
        assert ws.close_code == 1008
        large = await house.client.ws_connect("/v1/calls/events", headers=bearer(ACME))
        await large.send_str("x" * 5_000)
        await heard(large)
        await until(lambda: len(house.hub.audience) == 0)


async def test_one_who_is_silent_for_too_long_is_let_go(monkeypatch):
    monkeypatch.setattr(call_socket, "PING_S", 0.05)
    monkeypatch.setattr(call_socket, "SILENCE_S", 0.2)
    async with a_house() as house:
        ws = await house.client.ws_connect("/v1/calls/events", headers=bearer(ACME), autoping=False)
        await until(lambda: len(house.hub.audience) == 0)
        await ws.close()


async def test_at_the_end_everyone_hears_the_last_word_and_is_seen_out():
    async with a_house() as house:
        call, source = house.begin()
        talk(call)
        one = await house.client.ws_connect(f"/v1/calls/{call.id}/events", headers=bearer(ACME))
        every = await house.client.ws_connect("/v1/calls/events", headers=bearer(ACME))
        await until(lambda: len(house.hub.audience) == 2)
        await asyncio.gather(house.registry.drain(5.0), drain(house.app, 5.0))
        told = await heard(one)
        assert [e["text"] for e in told if e["type"] == "transcript.final"] == ["hello"]
        assert (told[-1]["type"], told[-1]["reason"]) == ("call.ended", "drained")
        assert (await heard(every))[-1] == told[-1]
        assert (one.close_code, every.close_code) == (1000, 1001)
        assert source.reasons == ["drained"]


async def test_what_was_said_is_forgotten_in_time(monkeypatch):
    monkeypatch.setattr(hub_module, "REMEMBER_S", 0.2)
    monkeypatch.setattr(hub_module, "MAX_REMEMBERED", 3)
    async with a_house() as house:
        calls = []
        for _ in range(5):
            call, _ = house.begin()
            talk(call)
            call.end("hung_up")
            await ended(call)
            calls.append(call.id)
        kept = [call_id for call_id in calls if call_id in house.hub._past]
        assert kept in (calls[2:], calls[3:], calls[4:])
        await until(lambda: not house.hub._past)
        assert house.hub._past_bytes == 0
        assert (await house.ask("GET", f"/v1/calls/{calls[-1]}"))[0] == 404


async def test_calls_that_last_too_long_are_ended():
    async with a_house(phones=Phones(sip=Sip(max_call_s=10))) as house:
        assert house.hub._max_call_s == 10
