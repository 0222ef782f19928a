"""One call, whatever is offered to it: it is taken or refused, and nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from rtc_stt.errors import RtcSttError, Unprocessable
from signaling.auth import OPEN
from signaling.media_turn import turn_of_loop
from signaling.telephony.settings import Sip
from signaling.telephony.sip.rtp_ports import RtpPorts
from signaling.telephony.sip.sdes import Crypto, write_crypto
from signaling.telephony.sip.sip_call import Exchange, SipCall
from signaling.telephony.sip.vocabulary import Invitation
from tests.line import until
from tests.signaling.telephony.fakes import House, a_house
from tests.signaling.telephony.sip.caller import describe
from tests.signaling.telephony.sip.test_siprec import METADATA, multipart

KEY = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 40}"
WORDS = [
    b"0",
    b"65536",
    b"-1",
    b"a=sendonly",
    b"m=audio 0 RTP/AVP 0",
    b"\r\n",
    b"\0",
    b"\xff",
    b"<",
    b"IP6",
    b"%",
]


class Released:
    """A host that only notes."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def release(self, dialog: str, reason: str) -> None:
        self.reasons.append(reason)


def exchange(house: House) -> Exchange:
    return Exchange(
        hub=house.hub,
        ports=RtpPorts("127.0.0.1", range(27_700, 27_900)),
        settings=Sip(),
        instrument=house.notes,
        turn=turn_of_loop(),
        address="127.0.0.1",
        owner=OPEN,
    )


def invitation(body: bytes, kind: str = "application/sdp", **more: object) -> Invitation:
    return Invitation("call-1", "alice", "stt", body, kind, **more)  # type: ignore[arg-type]


def mutated(body: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        at, size = dice.randrange(len(body) + 1), dice.randrange(12)
        body = body[:at] + dice.choice([*WORDS, dice.randbytes(3)]) + body[at + size :]
    return body


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_offered_nothing_of_it_stays(seed: int) -> None:
    dice = random.Random(seed)
    plain = describe(4_000, KEY, "a=label:96", "m=audio 4002 RTP/SAVP 8", KEY, "a=label:97")
    both = multipart(("application/sdp", plain), ("application/rs-metadata+xml", METADATA))
    taken = 0
    async with a_house() as house:
        shared, before = exchange(house), len(os.listdir("/proc/self/fd"))
        for _ in range(60):
            host = Released()
            body, kind = dice.choice([(plain, "application/sdp"), (both, "multipart/mixed")])
            parameters = {"boundary": "foobar"}
            asked = invitation(mutated(body, dice), kind, content_parameters=parameters)
            call = SipCall("d", asked, shared, host)
            try:
                assert call.open().startswith(b"v=0\r\n")
                taken += 1
            except RtcSttError:
                continue
            for again in (mutated(body, dice), b""):
                try:
                    call.reoffer(again, kind, parameters)
                    call.confirm(mutated(plain, dice), "application/sdp", {})
                except RtcSttError:
                    continue
            call.ended("hangup")
            await until(lambda: len(house.hub) == 0)
        assert taken > 5
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_without_ports_a_call_is_refused_before_it_is_told_of() -> None:
    async with a_house() as house:
        shared = exchange(house)
        pairs = [shared.ports.take() for _ in range(100)]
        with pytest.raises(RtcSttError, match="RTP_PORT_RANGE"):
            SipCall("d", invitation(describe(4_000)), shared, Released()).open()
        await until(lambda: len(house.hub) == 0)
        assert house.heard == []
        for pair in pairs:
            pair.close()


async def test_an_offer_of_ours_in_a_secure_call_has_the_key_that_counts() -> None:
    async with a_house() as house:
        host = Released()
        call = SipCall("d", invitation(describe(4_000, KEY, profile="RTP/SAVP")), exchange(house), host)
        answer = call.open().decode()
        (ours,) = [line for line in answer.split("\r\n") if line.startswith("a=crypto")]
        offer = call.reoffer(b"", "", {}).decode()
        assert ours in offer
        assert "m=audio" in offer
        theirs = write_crypto(Crypto(1, "AES_CM_128_HMAC_SHA1_80", bytes(range(30))))
        answered = describe(4_000, f"a=crypto:{theirs}", profile="RTP/SAVP")
        call.confirm(answered, "application/sdp", {})
        call.confirm(b"not asked for", "", {})
        again = call.reoffer(answered, "application/sdp", {}).decode()
        assert ours in again, "our key is still the one that they have"
        assert call.reoffer(b"", "", {})
        with pytest.raises(Unprocessable):
            call.confirm(b"", "", {})
        call.end("bad_answer")
        await until(lambda: host.reasons)
        assert host.reasons == ["bad_answer"]


async def test_a_call_that_has_ended_here_is_released_once_and_takes_nothing_more() -> None:
    async with a_house() as house:
        host = Released()
        call = SipCall("d", invitation(describe(4_000)), exchange(house), host)
        call.open()
        call.end("deleted")
        call.end("hangup")
        await until(lambda: host.reasons)
        call.press("info", "5", None)
        call.ended("hangup")
        await asyncio.sleep(0)
        assert host.reasons == ["deleted"]
        assert [event.type for _, event in house.heard].count("call.ended") == 1
