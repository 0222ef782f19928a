"""Calls over real sockets: the user agent, its shell, media and a hub; a tone in place of words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.companding import compress
from rtc_stt.errors import ConfigError
from signaling.auth import OPEN
from signaling.telephony.settings import Sip
from signaling.telephony.sip.server import SipServer
from tests.line import until
from tests.rtp import rtp
from tests.signaling.telephony.fakes import HIGH, LOW, House, a_house, silence, tone
from tests.signaling.telephony.sip.caller import Caller, Message, describe, media_port
from tests.signaling.telephony.sip.media import Peer
from tests.signaling.telephony.sip.test_siprec import METADATA, multipart


class Site:
    """A server of SIP, and who calls it."""

    def __init__(self, house: House, server: SipServer) -> None:
        self.house, self.server = house, server
        self.open: list[Any] = []

    async def caller(self, address: str = "127.0.0.1") -> Caller:
        self.open.append(await Caller(("127.0.0.1", self.server.port)).open(address))
        return self.open[-1]

    def peer(self, port: int, **options: Any) -> Peer:
        self.open.append(Peer(port, **options))
        return self.open[-1]

    async def call(self, *lines: str) -> tuple[Caller, Peer, Message]:
        """A call that stands, and a phone that may speak."""
        caller, phone = await self.caller(), self.peer(0)
        answer = await caller.invite(describe(phone.port, *lines))
        assert answer.code == 200, answer
        phone.to = ("127.0.0.1", media_port(answer))
        return caller, phone, answer

    def events(self) -> list[dict[str, Any]]:
        """Of all calls, in order."""
        return [event for call_id in dict(self.house.heard) for event in self.of(call_id)]

    def of(self, call_id: str) -> list[dict[str, Any]]:
        return [json.loads(event.text) for known, event in self.house.heard if known == call_id]

    def texts(self) -> list[tuple[str, str]]:
        return [(e["leg"], e["text"]) for e in self.events() if e["type"] == "transcript.final"]

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]


@contextlib.asynccontextmanager
async def a_site(*, settings: dict[str, Any] | None = None, **house: Any) -> AsyncIterator[Site]:
    """One that leaves no socket, timer or task behind."""
    sip = Sip(**{"sip_allow": ("127.0.0.1",), "rtp_port_range": "26000-26999"} | (settings or {}))
    before = len(os.listdir("/proc/self/fd"))
    async with a_house(**house) as running:
        server = SipServer(running.hub, sip, running.notes, owner=OPEN)
        await server.start()
        site = Site(running, server)
        try:
            yield site
        finally:
            await server.stop()
            await running.hub.drain(2.0)
            for one in site.open:
                one.close()
        assert len(server) == 0
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def word(hertz: int) -> Samples:
    """It rises and falls slowly, so that no piece of it sounds like another voice."""
    ramp = np.linspace(0, 1, 1_600, dtype=np.float32)
    spoken = tone(hertz, 0.8)
    spoken[:1_600] *= ramp
    spoken[-1_600:] *= ramp[::-1]
    return np.concatenate([silence(0.3), spoken, silence(1.0)])[::2]


async def say(phone: Peer, hertz: int, *, pace: float = 0.25) -> None:
    """A word and its silence, faster than real time."""
    pcm = word(hertz)
    for start in range(0, len(pcm) - 160, 160):
        phone.send(phone.packet(compress(pcm[start : start + 160], "mulaw")))
        await asyncio.sleep(0.02 * pace)


async def test_a_call_is_heard_to_its_end() -> None:
    async with a_site() as site:
        caller, phone, answer = await site.call()
        assert answer.field("Content-Type") == "application/sdp"
        await say(phone, LOW)
        phone.dial(5)
        await until(lambda: site.texts())
        assert (await caller.bye()).code == 200
        await until(lambda: "call.ended" in site.types())
        assert site.texts() == [("caller", "low")]
        events = site.events()
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        assert [e["digit"] for e in events if e["type"] == "dtmf"] == ["5"]
        (started, ended) = events[0], events[-1]
        assert (started["source"], started["caller"], started["external_id"]) == (
            "sip",
            "alice",
            caller.call_id,
        )
        assert ended["reason"] == "hangup"
        (leg,) = [e for e in events if e["type"] == "leg.ended"]
        assert leg["stats"]["codec"] == "PCMU"
        assert leg["stats"]["packets_refused"] == 0


async def test_what_came_before_the_good_bye_is_heard() -> None:
    """Both wait in their sockets when the loop has its turn."""
    async with a_site() as site:
        caller, phone, _ = await site.call()
        phone.speak(2)
        await until(lambda: site.house.hub.calls[0].legs["caller"].clock.at_ms)
        caller.request("BYE")
        phone.speak(10)
        phone.dial(3)
        time.sleep(0.05)  # noqa: ASYNC251 — nobody has a turn meanwhile
        await until(lambda: "call.ended" in site.types())
        assert [e["digit"] for e in site.events() if e["type"] == "dtmf"] == ["3"]
        assert site.events()[-1]["legs"]["caller"] >= 240


async def test_we_hang_up_after_the_last_final() -> None:
    async with a_site() as site:
        caller, phone, _ = await site.call()
        await say(phone, LOW)
        await until(lambda: site.texts())
        (call,) = site.house.hub.calls
        call.end("deleted")
        await caller.hung_up()
        assert site.types()[-1] == "call.ended"
        await until(lambda: len(site.server) == 0)


async def test_a_call_without_packets_is_hung_up_but_not_one_on_hold() -> None:
    async with a_site(settings={"rtp_timeout_s": 1.5}) as site:
        first, _, _ = await site.call()
        held, other, _ = await site.call()
        await held.invite(describe(other.port, "a=sendonly"))
        began = time.monotonic()
        await first.hung_up(8.0)
        assert time.monotonic() - began > 1.0
        assert [e["reason"] for e in site.events() if e["type"] == "call.ended"] == ["media_timeout"]
        assert len(site.house.hub) == 1


async def test_hold_and_retrieve() -> None:
    async with a_site() as site:
        caller, phone, answer = await site.call()
        assert "a=sendrecv" in answer.body
        held = await caller.invite(describe(phone.port, "a=sendonly"))
        assert "a=recvonly" in held.body
        again = await caller.invite(describe(phone.port, "a=inactive"))
        assert "a=inactive" in again.body
        back = await caller.invite(describe(phone.port))
        assert "a=sendrecv" in back.body
        assert media_port(back) == media_port(answer)
        await say(phone, HIGH)
        await until(lambda: site.texts())
        assert site.texts() == [("caller", "high")]
        assert [t for t in site.types() if t.startswith("call.")] == [
            "call.started",
            "call.held",
            "call.retrieved",
        ]


async def test_another_codec_in_a_call_that_stands() -> None:
    async with a_site() as site:
        caller, phone, _ = await site.call()
        await say(phone, LOW)
        await until(lambda: site.texts())
        moved = site.peer(phone.to[1], payload_type=8, ssrc=3)
        answer = await caller.invite(describe(moved.port, formats="8 101"))
        assert "PCMA" in answer.body
        pcm = word(HIGH)
        for start in range(0, len(pcm) - 160, 160):
            moved.send(moved.packet(compress(pcm[start : start + 160], "alaw")))
            await asyncio.sleep(0.005)
        await until(lambda: len(site.texts()) == 2)
        assert site.texts() == [("caller", "low"), ("caller", "high")]


async def test_an_invite_without_an_offer_gets_ours() -> None:
    async with a_site() as site:
        caller, phone = await site.caller(), site.peer(0)
        answer = await caller.invite(ack=describe(phone.port))
        assert answer.code == 200
        assert "opus/48000/2" in answer.body
        phone.to = ("127.0.0.1", media_port(answer))
        await say(phone, LOW)
        await until(lambda: site.texts())
        offer = await caller.invite(ack=describe(phone.port))
        assert (offer.code, media_port(offer)) == (200, media_port(answer))


async def test_an_answer_that_fits_nothing_ends_the_call() -> None:
    async with a_site() as site:
        caller = await site.caller()
        await caller.invite(ack=describe(4_000, formats="18"))
        await caller.hung_up()


async def test_a_recorder_brings_two_legs() -> None:
    async with a_site() as site:
        caller, one, two = await site.caller(), site.peer(0, ssrc=1), site.peer(0, ssrc=2)
        sdp = describe(one.port, "a=sendonly", "a=label:96", f"m=audio {two.port} RTP/AVP 0")
        sdp += b"a=sendonly\r\na=label:97\r\n"
        body = multipart(("application/sdp", sdp), ("application/rs-metadata+xml", METADATA))
        answer = await caller.invite(
            body, kind="multipart/mixed;boundary=foobar", headers=["Require: siprec"]
        )
        assert answer.code == 200, answer
        assert answer.body.count("a=recvonly") == 2
        for number, phone in enumerate((one, two)):
            phone.to = ("127.0.0.1", media_port(answer, number))
        await asyncio.gather(say(one, LOW), say(two, HIGH))
        await until(lambda: len(site.texts()) == 2)
        assert sorted(site.texts()) == [("agent", "high"), ("caller", "low")]
        started = site.events()[0]
        assert started["source"] == "siprec"
        assert started["parameters"]["96.name"] == "Bob  Smith"
        await caller.bye()
        await until(lambda: "call.ended" in site.types())


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (describe(4_000, formats="18 101"), "application/sdp", 488),
        (b"nonsense", "application/sdp", 400),
        (b"hello", "text/plain", 415),
        (b"hello", "multipart/mixed;boundary=x", 400),
    ],
)
async def test_what_cannot_be_taken_is_refused(body: bytes, kind: str, code: int) -> None:
    async with a_site() as site:
        caller = await site.caller()
        assert (await caller.invite(body, kind=kind)).code == code
        assert len(site.house.hub) == 0
        assert site.events() == []


async def test_a_bad_offer_leaves_a_call_as_it_was() -> None:
    async with a_site() as site:
        caller, phone, _ = await site.call()
        assert (await caller.invite(describe(phone.port, formats="18"))).code == 488
        await say(phone, LOW)
        await until(lambda: site.texts())


async def test_all_calls_are_taken_and_the_server_is_full() -> None:
    async with a_site(max_calls=2, server={"max_sessions": 1}) as site:
        await site.call()
        caller = await site.caller()
        full = await caller.invite(describe(4_000))
        assert full.code == 503
        assert int(full.field("Retry-After")) > 0
    async with a_site(max_calls=1) as site:
        await site.call()
        caller = await site.caller()
        assert (await caller.invite(describe(4_000))).code == 486
        assert ("refused", "full") in site.house.notes.told


async def test_draining_refuses_the_new_and_sees_out_the_others() -> None:
    async with a_site() as site:
        caller, phone, _ = await site.call()
        await say(phone, LOW)
        site.house.registry.draining = True
        other = await site.caller()
        assert (await other.invite(describe(4_000))).code == 503
        site.house.registry.draining = False
        await site.house.hub.drain(3.0)
        await caller.hung_up()
        assert site.texts() == [("caller", "low")]


async def test_keys_by_info_count_where_none_came_by_rtp() -> None:
    async with a_site() as site:
        caller, phone, _ = await site.call()
        relay = b"Signal=4\r\nDuration=160\r\n"
        caller.request("INFO", relay, kind="application/dtmf-relay")
        assert (await caller.final("INFO")).code == 200
        phone.speak(3)
        phone.dial(4)
        phone.speak(3)
        await asyncio.sleep(0.1)
        assert [e["digit"] for e in site.events() if e["type"] == "dtmf"] == ["4"]


@pytest.mark.slow
async def test_200_calls_one_after_the_other_leave_nothing() -> None:
    async with a_site() as site:
        fds = len(os.listdir("/proc/self/fd"))
        tasks = len(asyncio.all_tasks())
        for number in range(200):
            caller, phone, _ = await site.call()
            phone.speak(2)
            if number % 2:
                await caller.bye()
            else:
                await until(lambda: len(site.house.hub) == 1)
                site.house.hub.calls[0].end("deleted")
                await caller.hung_up()
            await until(lambda: len(site.house.hub) == 0)
            caller.close()
            phone.close()
            site.open.clear()
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: len(os.listdir("/proc/self/fd")) <= fds)
        assert len(site.server) == 0


async def test_settings_that_cannot_be_right() -> None:
    async with a_house() as house:
        for settings in (
            {"sip_host": "0.0.0.0"},
            {"sip_host": "localhost"},
            {"sip_public_ip": "stt.example"},
            {"rtp_port_range": ""},
            {"rtp_port_range": "5-6"},
            {"rtp_port_range": "20000-20001"},
            {"sip_allow": ("here",)},
        ):
            with pytest.raises(ConfigError):
                SipServer(house.hub, Sip(**settings), house.notes, owner=OPEN)  # type: ignore[arg-type]


async def test_a_port_that_is_taken_is_said() -> None:
    async with a_site() as site:
        taken = Sip(sip_port=site.server.port)
        with pytest.raises(ConfigError, match="choose another SIP_PORT"):
            await SipServer(site.house.hub, taken, site.house.notes, owner=OPEN).start()


async def test_a_recorder_without_room_for_both_legs_is_refused_whole() -> None:
    async with a_site(server={"max_sessions": 1}) as site:
        caller = await site.caller()
        sdp = describe(4_000, "a=sendonly", "m=audio 4002 RTP/AVP 0", "a=sendonly")
        body = multipart(("application/sdp", sdp), ("application/rs-metadata+xml", METADATA))
        answer = await caller.invite(body, kind="multipart/mixed;boundary=foobar")
        assert answer.code == 503
        await until(lambda: len(site.house.hub) == 0)
        assert [e["reason"] for e in site.events() if e["type"] == "call.ended"] == ["no_room"]


async def test_streams_of_a_recorder_come_and_go() -> None:
    async with a_site() as site:
        caller, one, two = await site.caller(), site.peer(0, ssrc=1), site.peer(0, ssrc=2)

        def streams(first: int, second: int | None, metadata: bytes = METADATA) -> bytes:
            sdp = describe(first, "a=sendonly", "a=label:97")
            if second is not None:
                sdp += f"m=audio {second} RTP/AVP 0\r\na=sendonly\r\na=label:96\r\n".encode()
            return multipart(("application/sdp", sdp), ("application/rs-metadata+xml", metadata))

        kind = "multipart/mixed;boundary=foobar"
        first = await caller.invite(streams(one.port, None), kind=kind, headers=["Require: siprec"])
        assert first.code == 200
        both = await caller.invite(streams(one.port, two.port, b"<broken>"), kind=kind)
        assert both.body.count("a=recvonly") == 2
        assert media_port(both) == media_port(first)
        two.to = ("127.0.0.1", media_port(both, 1))
        await say(two, HIGH)
        await until(lambda: site.texts())
        assert site.texts() == [("caller", "high")]
        last = await caller.invite(streams(0, two.port), kind=kind)
        assert media_port(last) == 0
        assert media_port(last, 1) == media_port(both, 1)
        await until(lambda: "leg.ended" in site.types())
        told = site.events()
        assert [e["leg"] for e in told if e["type"] in ("leg.started", "leg.ended")] == [
            "agent",
            "caller",
            "agent",
        ]
        assert [e["code"] for e in told if e["type"] == "warning"] == ["siprec_metadata"]
        assert [e["type"] for e in told if e["type"] == "call.updated"] != []
        assert len(site.house.hub) == 1


async def test_metadata_alone_change_no_media() -> None:
    async with a_site() as site:
        caller, phone, _ = await site.call()
        answer = await caller.invite(METADATA, kind="application/rs-metadata+xml")
        assert (answer.code, answer.body) == (200, "")
        await say(phone, LOW)
        await until(lambda: site.texts())
        (updated,) = [e for e in site.events() if e["type"] == "call.updated"]
        assert updated["parameters"]["97.aor"] == "tel:+15550100"


async def test_a_second_source_and_a_flood_harm_neither_this_call_nor_others() -> None:
    async with a_site() as site:
        _, phone, _ = await site.call()
        _, other, _ = await site.call()
        phone.speak(1)
        await asyncio.sleep(0.05)
        stranger = site.peer(phone.to[1], ssrc=9, address="127.0.0.3")

        async def flood() -> None:
            while True:
                stranger.speak(20)
                await asyncio.sleep(0.002)

        flooding = asyncio.create_task(flood())
        await asyncio.gather(say(phone, LOW), say(other, HIGH))
        await until(lambda: len(site.texts()) == 2)
        flooding.cancel()
        assert {text for _, text in site.texts()} == {"low", "high"}


async def test_behind_a_nat_the_public_address_is_told() -> None:
    async with a_site(settings={"sip_public_ip": "203.0.113.9"}) as site:
        caller = await site.caller()
        answer = await caller.invite(describe(4_000))
        assert "c=IN IP4 203.0.113.9" in answer.body
        assert f"203.0.113.9:{site.server.port}" in answer.field("Contact")


async def test_over_ipv6() -> None:
    async with a_site(settings={"sip_host": "::1", "sip_allow": ("::1",)}) as site:
        caller = await Caller(("::1", site.server.port)).open("::1")
        site.open.append(caller)
        sdp = describe(4_000).replace(b"IP4 127.0.0.1", b"IP6 ::1")
        answer = await caller.invite(sdp)
        assert answer.code == 200
        assert "c=IN IP6 ::1" in answer.body
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as phone:
            for number in range(50):
                phone.sendto(
                    rtp(number, number * 160, bytes(160), payload_type=0), ("::1", media_port(answer))
                )
            await until(lambda: site.house.hub.calls[0].legs["caller"].clock.at_ms > 500)
