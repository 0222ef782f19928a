"""Spoken digits over SIP into a started server, by a caller of our own: every codec, SRTP, keys that are
pressed, a recorder, a hold, a drain. Real phones are in the tests beside this one."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.words import normalise
from rtc_stt.companding import compress
from signaling.telephony.sip.sdes import Crypto, write_crypto
from signaling.telephony.sip.sdp import parse_description
from signaling.telephony.sip.srtp import Srtp
from tests.e2e import support
from tests.e2e.support import Clip
from tests.rtp import encode, rtp
from tests.signaling.telephony.sip.caller import Caller, Message, describe, media_port
from tests.signaling.telephony.sip.media import Peer
from tests.signaling.telephony.sip.test_siprec import METADATA, multipart
from tools.ports import free_port

pytestmark = pytest.mark.e2e

KEY = Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(range(30)))


class Site:
    """A server that takes calls, and all that it tells of them."""

    def __init__(self, url: str, port: int) -> None:
        self.url, self.port = url, port
        self.events: list[dict[str, Any]] = []
        self.open: list[Caller | Peer] = []

    async def listen(self) -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{self.url}/v1/calls/events") as socket,
        ):
            async for message in socket:
                self.events.append(json.loads(message.data))

    def of(self, call: str) -> list[dict[str, Any]]:
        """Of the call of this Call-ID."""
        ids = {e["call_id"] for e in self.events if e.get("external_id") == call}
        return [e for e in self.events if e.get("call_id") in ids]

    async def told(self, call: str, kind: str, count: int = 1, seconds: float = 15.0) -> list[dict[str, Any]]:
        found = await support.until(
            lambda: len(f := [e for e in self.of(call) if e["type"] == kind]) >= count and f, seconds
        )
        assert found, f"{count} × {kind} did not come; {[e['type'] for e in self.of(call)]}"
        return found

    async def caller(self, address: str = "127.0.0.1") -> Caller:
        caller = await Caller(("127.0.0.1", self.port)).open(address)
        self.open.append(caller)
        return caller

    def phone(self, **options: Any) -> Peer:
        phone = Peer(0, **options)
        self.open.append(phone)
        return phone

    def close(self) -> None:
        for one in self.open:
            one.close()
        self.open.clear()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    process = support.Process(
        tmp_path_factory.mktemp("sip") / "server.log",
        *("demo", "--port", "0", "--log-level", "info"),
        SIP_PORT=str(port),
        SIP_ALLOW="127.0.0.1/32",
        RTP_PORT_RANGE="27000-27499",
    )
    try:
        yield Site(process.url(), port)
        process.stop()
    finally:
        process.kill()


@pytest.fixture
async def site(server: Site) -> AsyncIterator[Site]:
    server.events.clear()
    task = asyncio.create_task(server.listen())
    await asyncio.sleep(0.1)
    yield server
    task.cancel()
    await asyncio.wait([task])
    server.close()


def payloads(codec: str, audio: Samples) -> list[bytes]:
    """20 ms each."""
    if codec in ("PCMU", "PCMA"):
        narrow = support.resample(audio, 8_000)
        law = "mulaw" if codec == "PCMU" else "alaw"
        return [compress(narrow[at : at + 160], law) for at in range(0, len(narrow) - 159, 160)]  # type: ignore[arg-type]
    return encode(audio, codec={"G722": "g722", "opus": "libopus"}[codec])


FORMATS = {
    "PCMU": (0, 160, []),
    "PCMA": (8, 160, []),
    "G722": (9, 160, []),
    "opus": (96, 960, ["a=rtpmap:96 opus/48000/2"]),
}


async def play(
    phone: Peer, answer: Message, codec: str, said: list[bytes], *, line: int = 0, srtp: Srtp | None = None
) -> None:
    """Payloads at the pace of a phone."""
    number, ticks, _ = FORMATS[codec]
    phone.to = ("127.0.0.1", media_port(answer, line))
    begun = time.monotonic()
    for place, payload in enumerate(said):
        packet = rtp(place, place * ticks, payload, payload_type=number, ssrc=phone.ssrc)
        phone.send((srtp.protect(packet) or b"") if srtp else packet)
        await asyncio.sleep(max(0.0, begun + (place + 1) * 0.02 - time.monotonic()))
    phone.sequence, phone.clock = place + 1, (place + 1) * ticks


def spoken(clip: Clip) -> Samples:
    return np.concatenate([support.silence(0.4), clip.audio, support.silence(1.2)])


async def call(site: Site, codec: str, clip: Clip, said: list[bytes], *, secure: bool) -> None:
    """One call with one string of digits, and a key pressed behind them."""
    caller, phone = await site.caller(), site.phone(ssrc=secrets.randbits(32))
    lines = [*FORMATS[codec][2], *([f"a=crypto:{write_crypto(KEY)}"] if secure else [])]
    profile = "RTP/SAVP" if secure else "RTP/AVP"
    answer = await caller.invite(
        describe(phone.port, *lines, formats=f"{FORMATS[codec][0]} 101", profile=profile)
    )
    assert answer.code == 200, answer
    srtp = None
    if secure:
        (ours,) = parse_description(answer.body.encode()).streams[0].crypto
        srtp = Srtp(theirs=ours, ours=KEY)
    await play(phone, answer, codec, said, srtp=srtp)
    if not secure:
        phone.dial(7)
    (final,) = await site.told(caller.call_id, "transcript.final")
    assert normalise(final["text"]) == normalise(clip.text)
    assert final["leg"] == "caller"
    assert (await caller.bye()).code == 200
    (ended,) = await site.told(caller.call_id, "call.ended")
    assert ended["reason"] == "hangup"
    assert [e["digit"] for e in site.of(caller.call_id) if e["type"] == "dtmf"] == ["7"] * (not secure)
    (leg,) = await site.told(caller.call_id, "leg.ended")
    assert leg["stats"]["codec"] == codec
    assert (leg["stats"]["packets_lost"], leg["stats"]["packets_refused"]) == (0, 0)


async def test_digits_in_every_codec_with_and_without_keys(site: Site, digits: list[Clip]) -> None:
    clip = digits[0]
    said = {codec: payloads(codec, spoken(clip)) for codec in FORMATS}  # before anybody speaks
    await asyncio.gather(
        *(
            call(site, codec, clip, said[codec], secure=secure)
            for codec in FORMATS
            for secure in (False, True)
        )
    )


async def test_a_recorder_brings_two_legs_that_are_not_mixed(
    site: Site, digits: list[Clip], sentences: list[Clip]
) -> None:
    caller, one, two = await site.caller(), site.phone(ssrc=1), site.phone(ssrc=2)
    sdp = describe(one.port, "a=sendonly", "a=label:96", f"m=audio {two.port} RTP/AVP 8")
    body = multipart(
        ("application/sdp", sdp + b"a=sendonly\r\na=label:97\r\n"), ("application/rs-metadata+xml", METADATA)
    )
    answer = await caller.invite(body, kind="multipart/mixed;boundary=foobar", headers=["Require: siprec"])
    assert answer.code == 200, answer
    assert answer.body.count("a=recvonly") == 2
    said = payloads("PCMU", spoken(digits[0])), payloads("PCMA", spoken(sentences[0]))
    await asyncio.gather(
        play(one, answer, "PCMU", said[0]),
        play(two, answer, "PCMA", said[1], line=1),
    )
    finals = await site.told(caller.call_id, "transcript.final", 2)
    heard = {final["leg"]: normalise(final["text"]) for final in finals}
    assert heard == {"caller": normalise(digits[0].text), "agent": normalise(sentences[0].text)}
    await caller.bye()


async def test_after_a_hold_the_call_goes_on_where_it_is(site: Site, digits: list[Clip]) -> None:
    caller, phone = await site.caller(), site.phone()
    answer = await caller.invite(describe(phone.port))
    await play(phone, answer, "PCMU", payloads("PCMU", support.silence(0.3)))
    assert "a=recvonly" in (await caller.invite(describe(phone.port, "a=sendonly"))).body
    await asyncio.sleep(1.0)
    back = await caller.invite(describe(phone.port))
    phone.ssrc += 1
    await play(phone, back, "PCMU", payloads("PCMU", spoken(digits[0])))
    (final,) = await site.told(caller.call_id, "transcript.final")
    assert normalise(final["text"]) == normalise(digits[0].text)
    assert final["audio_start_ms"] > 1_300, "the hold is part of the call's time"
    assert [e["type"] for e in site.of(caller.call_id) if e["type"].startswith("call.")] == [
        "call.started",
        "call.held",
        "call.retrieved",
    ]
    await caller.bye()


async def test_who_is_not_listed_gets_no_word(site: Site) -> None:
    caller = await site.caller("127.0.0.2")
    caller.request("OPTIONS")
    caller.request("INVITE", describe(4_000))
    await asyncio.sleep(0.5)
    assert caller.told == []
    async with aiohttp.ClientSession() as http, http.get(f"{site.url}/metrics") as response:
        assert 'rtc_stt_phone_refused_total{reason="unlisted"}' in await response.text()


async def test_a_server_that_drains_finishes_what_is_said_and_says_bye(
    tmp_path_factory: pytest.TempPathFactory, digits: list[Clip]
) -> None:
    port = free_port()
    process = support.Process(
        tmp_path_factory.mktemp("drain") / "server.log",
        *("demo", "--port", "0"),
        SIP_PORT=str(port),
        SIP_ALLOW="127.0.0.1",
        RTP_PORT_RANGE="27500-27599",
    )
    try:
        site = Site(process.url(), port)
        listening = asyncio.create_task(site.listen())
        caller, phone = await site.caller(), site.phone()
        answer = await caller.invite(describe(phone.port))
        await play(phone, answer, "PCMU", payloads("PCMU", spoken(digits[0])[:-16_000]))
        process.terminate()
        await caller.hung_up(10.0)
        assert await asyncio.to_thread(process.wait) == 0
        await asyncio.wait([listening], timeout=5)
        process.assert_calm()
        (final,) = [e for e in site.events if e["type"] == "transcript.final"]
        assert normalise(final["text"]) == normalise(digits[0].text)
        assert site.events[-1]["type"] == "call.ended"
        site.close()
    finally:
        process.kill()
