"""One stream over real sockets: whose packets are heard, what is sent back, what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.audio import Origin
from signaling.media_turn import turn_of_loop
from signaling.telephony.sip import media_stream as module
from signaling.telephony.sip.digits import Press
from signaling.telephony.sip.latch import Source
from signaling.telephony.sip.media_stream import MediaStream
from signaling.telephony.sip.rtp_ports import RtpPorts
from signaling.telephony.sip.sdes import Crypto, write_crypto
from signaling.telephony.sip.srtp import Srtp
from tests.line import until
from tests.rtp import rtp
from tests.signaling.telephony.sip.media import FakeEar, Notes, Peer, accepted, offer
from tests.signaling.telephony.sip.test_sdp import only

SUITE = "AES_CM_128_HMAC_SHA1_80"
THEIR_KEY = Crypto(1, SUITE, bytes(range(30)))


class Line:
    """A stream, and a peer that has described itself to it."""

    def __init__(self) -> None:
        pair = RtpPorts("127.0.0.1", range(28_200, 28_400)).take()
        self.ear, self.notes = FakeEar(), Notes()
        turn = turn_of_loop()
        self.stream = MediaStream(pair, self.ear, self.notes, turn)
        self.peer = Peer(self.stream.port)
        self.others: list[Peer] = []

    def stranger(self, address: str = "127.0.0.2") -> Peer:
        self.others.append(Peer(self.stream.port, ssrc=99, address=address))
        return self.others[-1]

    def counted(self) -> dict[str, int]:
        self.stream.tick(time.monotonic())
        return dict(self.notes.datagrams)


@contextlib.asynccontextmanager
async def a_line() -> AsyncIterator[Line]:
    before = len(os.listdir("/proc/self/fd"))
    line = Line()
    try:
        yield line
    finally:
        line.stream.close()
        line.stream.close()
        for peer in (line.peer, *line.others):
            peer.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert line.ear.failed == 0


async def settle() -> None:
    await asyncio.sleep(0.02)


async def test_audio_is_heard() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(10)
        await until(lambda: line.ear.ms >= 200)
        assert line.ear.begun == 1
        assert line.ear.ms == 200
        assert line.stream.idle_s(time.monotonic()) < 1
        stats = line.stream.stats(time.monotonic())
        assert stats
        assert (stats.codec, stats.packets_received, stats.packets_refused) == ("PCMU", 10, 0)


async def test_a_burst_is_read_to_its_end() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(100)
        await until(lambda: line.ear.ms >= 2_000)


async def test_a_key_is_told_once_and_is_no_refused_audio() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(5)
        line.peer.dial(5)
        line.peer.speak(5)
        await until(lambda: line.ear.ms >= 300)
        assert line.ear.presses == [Press("5", 100)]
        stats = line.stream.stats(time.monotonic())
        assert stats
        assert (stats.packets_refused, stats.packets_lost, stats.concealed_ms) == (0, 0, 0)
        assert line.ear.origins == {Origin.RECEIVED: 300 * 16}


async def test_a_pause_with_comfort_noise_is_silence() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port, "a=rtpmap:97 CN/8000", formats="0 13 97"))
        for payload_type in (13, 97):
            line.peer.speak(3)
            noise = rtp(line.peer.sequence, line.peer.clock, b"\x40", payload_type=payload_type, ssrc=7)
            line.peer.send(noise)
            line.peer.sequence += 1
            line.peer.clock += 1_600
        line.peer.speak(1)
        await until(lambda: line.ear.ms >= 540)
        assert line.ear.origins == {Origin.RECEIVED: 540 * 16}
        stats = line.stream.stats(time.monotonic())
        assert stats
        assert (stats.packets_refused, stats.packets_lost) == (0, 0)


async def test_keys_that_are_numbered_by_themselves_do_not_disturb_the_audio() -> None:
    """As sipp plays them."""
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(5)
        keys = Peer(line.stream.port, ssrc=7)
        keys.socket.close()
        keys.socket, keys.sequence, keys.clock = line.peer.socket, 4_321, 99_000
        keys.dial(9)
        line.peer.clock += 1_600
        line.peer.speak(5)
        await until(lambda: line.ear.ms >= 400)
        assert line.ear.presses == [Press("9", 100)]
        assert line.ear.origins == {Origin.RECEIVED: 400 * 16}


async def test_a_second_source_is_dropped_and_counted() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(3)
        await until(lambda: line.ear.ms >= 60)
        line.stranger().speak(50)
        line.stranger("127.0.0.1").speak(50)
        line.peer.speak(3)
        await until(lambda: line.ear.ms >= 120)
        await settle()
        assert line.ear.ms == 120
        assert line.counted() == {"stranger": 100}


async def test_what_is_no_media_of_this_stream_is_counted() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.send(b"", b"x", b"hello world, this is no RTP", os.urandom(40)[1:], bytes(1_500))
        line.peer.send(rtp(1, 160, b"x" * 33, payload_type=3))
        await settle()
        assert line.ear.begun == 0
        assert sum(line.counted().values()) == 6


async def test_a_flood_of_others_does_not_keep_the_peer_out() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        for number in range(20):  # none of these is in a row
            stranger = line.stranger(f"127.0.0.{number + 2}")
            for _ in range(20):
                stranger.sequence += 50
                stranger.speak(1)
            await asyncio.sleep(0)  # the socket holds some hundred
        line.peer.speak(5)
        await until(lambda: line.ear.ms >= 100)


async def test_during_a_hold_without_an_address_nobody_slips_in() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(3)
        await until(lambda: line.ear.ms >= 60)
        nowhere = only(f"m=audio {line.peer.port} RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=sendonly")
        line.stream.negotiate(accepted(nowhere))
        line.stranger().speak(10)
        await settle()
        assert line.ear.ms == 60
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(3)
        await until(lambda: line.ear.ms >= 120)


ADDRESSES = st.sampled_from([("127.0.0.1", 4_000), ("127.0.0.1", 4_001), ("192.0.2.1", 9)])


@given(st.lists(st.tuples(st.binary(max_size=60), ADDRESSES, st.booleans()), max_size=20), st.booleans())
@settings(max_examples=60)
def test_any_datagrams(datagrams: list[tuple[bytes, Source, bool]], secure: bool) -> None:
    async def receive() -> None:
        async with a_line() as line:
            key = [f"a=crypto:{write_crypto(THEIR_KEY)}"] if secure else []
            line.stream.negotiate(offer(4_000, *key, profile="RTP/SAVP" if secure else "RTP/AVP"))
            for number, (data, source, is_rtcp) in enumerate(datagrams):
                head = bytes([0x80, data[0] if data else 0]) if number % 2 else b""
                if is_rtcp:
                    line.stream._receive_rtcp(head + data, source, number * 0.02)
                else:
                    line.stream._receive_rtp(head + data, source, number * 0.02)
            line.stream.flush()

    asyncio.run(receive())


@pytest.mark.alone
async def test_a_flood_of_the_peer_is_bounded() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(1)
        await until(lambda: line.ear.begun)
        for _ in range(30):
            line.peer.speak(100)
            await asyncio.sleep(0.005)
        await settle()
        assert line.counted()["flood"] > 500


async def test_secure_audio_is_heard_and_nothing_else() -> None:
    async with a_line() as line:
        accepted = offer(line.peer.port, f"a=crypto:{write_crypto(THEIR_KEY)}", profile="RTP/SAVP")
        ours = line.stream.negotiate(accepted)
        assert ours.crypto
        assert ours.crypto.key != THEIR_KEY.key
        srtp = Srtp(theirs=ours.crypto, ours=THEIR_KEY)
        stranger = line.stranger()
        stranger.speak(5)
        line.peer.speak(5)
        await settle()
        assert line.ear.begun == 0, "without the key nobody is believed, from wherever"
        line.peer.send(*[srtp.protect(line.peer.packet()) or b"" for _ in range(5)])
        await until(lambda: line.ear.ms >= 100)
        stranger.send(srtp.protect(line.peer.packet()) or b"")
        await until(lambda: line.ear.ms >= 120)
        assert line.counted() == {"srtp": 10}


async def test_new_keys_count_from_the_next_offer_on_and_the_old_ones_for_a_moment() -> None:
    async with a_line() as line:
        secure = {"profile": "RTP/SAVP"}
        first = line.stream.negotiate(offer(line.peer.port, f"a=crypto:{write_crypto(THEIR_KEY)}", **secure))
        other = Crypto(2, SUITE, bytes(30))
        assert first.crypto
        old = Srtp(theirs=first.crypto, ours=THEIR_KEY)
        line.peer.send(old.protect(line.peer.packet()) or b"")
        again = line.stream.negotiate(offer(line.peer.port, f"a=crypto:{write_crypto(THEIR_KEY)}", **secure))
        assert again.crypto == first.crypto, "nothing has changed"
        second = line.stream.negotiate(offer(line.peer.port, f"a=crypto:{write_crypto(other)}", **secure))
        assert second.crypto
        assert (second.crypto.tag, second.crypto.key) != (1, first.crypto.key)
        new = Srtp(theirs=second.crypto, ours=other)
        line.peer.send(old.protect(line.peer.packet()) or b"", new.protect(line.peer.packet()) or b"")
        await until(lambda: line.ear.ms >= 60)


async def test_another_codec_and_another_port_keep_media_time() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(5)
        await until(lambda: line.ear.ms >= 100)
        other = Peer(line.stream.port, ssrc=8, payload_type=8)
        line.others.append(other)
        line.stream.negotiate(offer(other.port, formats="8 101"))
        line.peer.speak(1)  # on its way
        await until(lambda: line.ear.ms >= 120)
        other.speak(5)
        await until(lambda: line.ear.ms >= 220)
        line.peer.speak(5)
        await settle()
        assert line.ear.ms == 220
        stats = line.stream.stats(time.monotonic())
        assert stats
        assert stats.codec == "PCMA"
        assert line.ear.begun == 1


async def test_silence_and_reports_go_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        now = time.monotonic()
        line.stream.tick(now)
        await settle()
        (silence,) = line.peer.received()
        assert silence[:2] == b"\x80\x80"
        assert silence[12:] == b"\xff" * 160
        line.peer.speak(3)
        await until(lambda: line.ear.begun)
        line.stream.tick(now + 1)
        await settle()
        assert line.peer.received() == []
        line.stream.tick(now + 6)
        await settle()
        assert len(line.peer.received()) == 1


async def test_reports_come_to_the_one_port_where_that_was_offered() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port, "a=rtcp-mux", "a=sendonly"))
        line.peer.speak(3)
        await until(lambda: line.ear.begun)
        line.peer.send(bytes.fromhex("80c80006") + (7).to_bytes(4, "big") + bytes(20))
        await settle()
        line.stream.tick(time.monotonic())
        await settle()
        (report,) = line.peer.received()
        assert report[1] == 201
        assert line.counted() == {}


async def test_a_good_bye_plays_out_what_waits() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port, "a=rtcp-mux"))
        line.peer.speak(3)
        line.peer.packet()  # does not come
        line.peer.speak(1)
        goodbye = bytes.fromhex("80c90001 00000007 81cb0001 00000007")
        line.peer.send(goodbye)
        await until(lambda: line.ear.ms >= 100)


async def test_nothing_is_missed_while_on_hold() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        later = time.monotonic() + 100
        assert line.stream.idle_s(later) > 99
        line.stream.hold(True)
        assert line.stream.idle_s(later) == 0
        line.stream.hold(False)
        assert line.stream.idle_s(time.monotonic()) < 1


async def test_a_flush_hands_over_what_waits() -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        line.peer.speak(2)
        line.peer.packet()
        line.peer.speak(1)
        await until(lambda: line.ear.ms >= 40)
        line.stream.flush()
        assert line.ear.ms == 80


async def test_what_cannot_be_handled_is_told_to_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_line() as line:
        line.stream.negotiate(offer(line.peer.port))
        monkeypatch.setattr(module, "parse_rtp", lambda data: [][len(data)])
        line.peer.speak(1)
        await until(lambda: line.ear.failed)
        line.peer.speak(5)
        await settle()
        assert line.ear.failed == 1
        line.ear.failed = 0
