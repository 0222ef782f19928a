"""One audio track, from packets to audio."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.audio import Origin, Samples
from rtc_stt.bench.clips import load
from rtc_stt.instrument import Instrument
from signaling.codecs import Codec, libopus
from signaling.jitter import DRIFT, MEDIA_SLACK_S
from signaling.receiver import AudioReceiver
from tests.rtp import encode, rtp

CODECS = {
    111: Codec("opus", 111, 48_000),
    9: Codec("G722", 9, 8_000),
    0: Codec("PCMU", 0, 8_000),
    8: Codec("PCMA", 8, 8_000),
}
STEP = 0.02


class Counter(Instrument):
    def __init__(self) -> None:
        self.packets: dict[str, int] = {}
        self.delays: list[float] = []

    def rtp_packets(self, result: str, count: int) -> None:
        self.packets[result] = self.packets.get(result, 0) + count

    def jitter_delayed(self, seconds: float) -> None:
        self.delays.append(seconds)


@dataclass
class Heard:
    origin: Origin
    samples: Samples


class Line:
    """A receiver and the clock of its owner."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.instrument = Counter()
        self.now = 100.0
        self.receiver = AudioReceiver(
            CODECS,
            lambda samples, origin: self.heard.append(Heard(origin, samples)),
            instrument=self.instrument,
            local_ssrc=7,
            now=self.now,
        )

    def bring(self, *packets: bytes | None, step: float = STEP) -> Line:
        """One packet each ``step``; None for one that does not come."""
        for packet in packets:
            if packet is not None:
                self.receiver.receive_rtp(packet, self.now)
            self.wait(step)
        return self

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(1_000):
            deadline = self.receiver.next_deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self.receiver.handle_timer(self.now)
        else:
            pytest.fail("a timer without end")
        self.now = end

    @property
    def audio(self) -> Samples:
        return np.concatenate([heard.samples for heard in self.heard])

    def ms(self, origin: Origin) -> float:
        return sum(len(heard.samples) for heard in self.heard if heard.origin is origin) / 16


def packets(payloads: list[bytes], *, first: int = 0, ticks: int = 960, **header: int) -> list[bytes]:
    return [
        rtp(first + number, (first + number) * ticks, payload, **header)  # type: ignore[arg-type]
        for number, payload in enumerate(payloads)
    ]


def speech(seconds: float = 3.0) -> Samples:
    (clip,) = load("clean", limit=1)
    return clip.audio()[: round(seconds * 16_000)]


class TestSpeech:
    def test_without_loss_it_is_what_the_decoder_says(self) -> None:
        sent = encode(speech())
        line = Line().bring(*packets(sent))
        library = libopus.load()
        assert library is not None
        decoder = libopus.OpusDecoder(library)
        expected = [decoder.decode(payload) for payload in sent]
        assert np.array_equal(line.audio, np.concatenate([piece for piece in expected if piece is not None]))
        assert {heard.origin for heard in line.heard} == {Origin.RECEIVED}
        assert line.instrument.delays == []

    @pytest.mark.parametrize("every", [20, 10, 5])
    def test_losses_shift_nothing_and_are_recovered(self, every: int) -> None:
        sent = packets(encode(speech()))
        whole = Line().bring(*sent).audio
        holes = [None if number % every == every - 1 else packet for number, packet in enumerate(sent[:-1])]
        line = Line().bring(*holes, sent[-1])
        assert len(line.audio) == len(whole)
        alike = np.dot(line.audio, whole) / np.sqrt(np.dot(whole, whole) * np.dot(line.audio, line.audio))
        assert alike > 0.95
        stats = line.receiver.stats(line.now)
        assert stats.packets_lost == holes.count(None)
        assert stats.recovered > 0.4 * holes.count(None)  # an encoder leaves silence uncorrected
        assert stats.concealed_ms == line.ms(Origin.CONCEALED) == 20 * (holes.count(None) - stats.recovered)
        assert stats.lost_ms == 0
        assert stats.audio_ms == 20 * len(sent)

    def test_who_waited_is_told(self) -> None:
        sent = packets(encode(speech(1.0)))
        sent[20], sent[21] = sent[21], sent[20]
        line = Line().bring(*sent)
        assert line.instrument.delays == [pytest.approx(STEP)]
        assert np.array_equal(line.audio, Line().bring(*packets(encode(speech(1.0)))).audio)

    def test_a_black_hole_is_silence_that_is_marked(self) -> None:
        sent = packets(encode(speech()))
        line = Line().bring(*sent[:50], *[None] * 30, *sent[80:])
        assert len(line.audio) == 320 * len(sent)
        assert line.ms(Origin.CONCEALED) == 200
        assert 380 <= line.ms(Origin.LOST) <= 400
        assert not np.any(line.audio[65 * 320 : 78 * 320])

    @pytest.mark.parametrize(
        ("number", "codec", "rate"), [(9, "g722", 16_000), (0, "pcm_mulaw", 8_000), (8, "pcm_alaw", 8_000)]
    )
    def test_other_codecs(self, number: int, codec: str, rate: int) -> None:
        said = speech()
        sent = packets(
            encode(said[:: 16_000 // rate], codec=codec, rate=rate), ticks=160, payload_type=number
        )
        line = Line().bring(*sent)
        assert len(line.audio) == 320 * len(sent)
        alike = max(
            float(np.corrcoef(line.audio[late : late + 40_000], said[:40_000])[0, 1]) for late in range(40)
        )
        assert alike > 0.9
        assert line.receiver.stats(line.now).codec == CODECS[number].name
        holed = Line().bring(*sent[:50], None, *sent[51:])
        assert len(holed.audio) == len(line.audio)
        assert holed.ms(Origin.CONCEALED) == 20

    @pytest.mark.parametrize("frame_ms", [10, 40, 60])
    def test_packets_of_other_lengths(self, frame_ms: int) -> None:
        sent = packets(encode(speech(), frame_ms=frame_ms), ticks=48 * frame_ms)
        line = Line().bring(*sent[:20], None, *sent[21:], step=frame_ms / 1000)
        assert len(line.audio) == 16 * frame_ms * len(sent)
        assert line.ms(Origin.LOST) == 0


class TestStrangers:
    def test_what_is_no_audio_is_counted_and_takes_no_time(self) -> None:
        sent = packets(encode(speech(1.0)))
        line = Line().bring(*sent[:10])
        before = len(line.audio)
        line.bring(
            rtp(10, 9_600, b"", padding=20),
            rtp(11, 9_600, b"\x01\x0a\x00\xa0", payload_type=126),  # a telephone event
            rtp(12, 9_600, b"\x40", payload_type=13),
            rtp(99, 0, b"x", payload_type=126, ssrc=99),
            b"",
            b"\x40" + bytes(200),
        )
        assert len(line.audio) == before
        line.bring(rtp(13, 13 * 960, encode(speech(1.0))[13]))
        assert len(line.audio) == 14 * 320
        assert line.ms(Origin.RECEIVED) == 280
        stats = line.receiver.stats(line.now)
        assert (stats.packets_received, stats.packets_refused, stats.packets_lost) == (14, 4, 0)

    def test_a_malformed_payload_is_concealed(self) -> None:
        sent = packets(encode(speech(1.0)))
        bad = [rtp(20, 20 * 960, b"\x7b\xff"), rtp(21, 21 * 960, b"\x03")]
        line = Line().bring(*sent[:20], *bad, *sent[22:])
        assert len(line.audio) == 320 * len(sent)
        assert line.ms(Origin.CONCEALED) == 40
        assert line.receiver.stats(line.now).packets_refused == 2

    def test_a_malformed_payload_as_the_first(self) -> None:
        line = Line().bring(rtp(0, 0, b"\x7b\xff"))
        assert line.ms(Origin.CONCEALED) == 20

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 2**32))
    def test_bits_turned_over(self, seed: int) -> None:
        chance = random.Random(seed)
        line = Line()
        for packet in packets(encode(speech(0.6))):
            data = bytearray(packet)
            for _ in range(chance.choice([0, 0, 1, 3, 20])):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            line.bring(bytes(data[: chance.choice([len(data), len(data), chance.randrange(len(data))])]))
            line.receiver.receive_rtcp(bytes(data), line.now)
        line.receiver.flush(line.now)
        assert len(line.heard) == 0 or len(line.audio) <= 16_000 * (0.6 * DRIFT + MEDIA_SLACK_S)

    def test_ssrcs_without_end(self) -> None:
        (payload, *_) = encode(speech(0.1))
        line = Line()
        for number in range(2_000):
            line.bring(rtp(number * 77, number * 12_345_678, payload, ssrc=number), step=0.001)
        assert len(line.audio) <= 16_000 * (2 * DRIFT + MEDIA_SLACK_S)
        assert line.receiver.stats(line.now).packets_received == 2_000


class TestSenders:
    def test_a_new_sender_goes_on_in_media_time(self) -> None:
        sent = encode(speech(1.0))
        line = Line().bring(*packets(sent))
        line.wait(2.0)
        line.bring(*packets(sent, first=9_000, ssrc=0x9999))
        assert len(line.audio) == pytest.approx(4 * 16_000, abs=960)
        assert line.ms(Origin.LOST) == 0

    def test_what_is_left_of_the_old_one_is_late(self) -> None:
        sent = encode(speech(1.0))
        old, new = packets(sent), packets(sent, first=9_000, ssrc=0x9999)
        line = Line().bring(*old[:10], new[0], old[10], new[1], old[11], *new[2:])
        assert line.receiver.stats(line.now).packets_late == 2
        assert len(line.audio) == pytest.approx((10 + len(new) + 2) * 320, abs=960)

    def test_another_codec_in_the_middle(self) -> None:
        said = speech(1.0)
        opus, pcmu = encode(said), encode(said[::2], codec="pcm_mulaw", rate=8_000)
        line = Line().bring(*packets(opus), *packets(pcmu, first=len(opus), ticks=160, payload_type=0))
        assert len(line.audio) == pytest.approx(2 * 16_000, abs=320)
        assert line.receiver.stats(line.now).codec == "PCMU"
        assert line.receiver.stats(line.now).packets_lost == 0

    def test_a_goodbye_plays_what_waits(self) -> None:
        sent = packets(encode(speech(1.0)))
        line = Line().bring(*sent[:10])
        line.receiver.receive_rtp(sent[11], line.now)
        assert len(line.audio) == 10 * 320
        line.receiver.receive_rtcp(bytes(RtcpByePacket(sources=[0x5555])), line.now)
        assert len(line.audio) == 10 * 320
        line.receiver.receive_rtcp(bytes(RtcpByePacket(sources=[0x1234])), line.now)
        assert len(line.audio) == 12 * 320

    def test_silence_may_be_taken_by_its_length(self) -> None:
        sent = packets(encode(speech(1.0)))
        told: list[tuple[int, Origin]] = []
        line = Line()
        line.receiver = AudioReceiver(
            CODECS,
            lambda samples, origin: line.heard.append(Heard(origin, samples)),
            silence=lambda count, origin: told.append((count, origin)),
            instrument=line.instrument,
            local_ssrc=7,
            now=line.now,
        )
        line.bring(*sent[:10])
        line.wait(600)
        later = [rtp(10 + n, 600 * 48_000 + (10 + n) * 960, b"\x48" + bytes(9)) for n in range(10)]
        line.bring(*later)
        assert sum(count for count, _ in told) == 600 * 16_000
        assert {origin for _, origin in told} == {Origin.RECEIVED}
        assert len(line.audio) == 20 * 320
        assert line.receiver.stats(line.now).audio_ms == 600_400

    def test_after_close_nothing_is_taken(self) -> None:
        sent = packets(encode(speech(1.0)))
        line = Line().bring(*sent[:10])
        line.receiver.close()
        line.bring(*sent[10:])
        assert len(line.audio) == 10 * 320
        assert line.receiver.report(line.now) is None
        assert line.receiver.next_deadline() is None


class TestGathering:
    """Of codecs whose payloads can be decoded together, what completes no window waits."""

    def line(self, wants: int = 512) -> Line:
        """Hears windows of so many samples."""
        line = Line()
        line.receiver = AudioReceiver(
            CODECS,
            lambda samples, origin: line.heard.append(Heard(origin, samples)),
            wants=lambda: wants - sum(len(heard.samples) for heard in line.heard) % wants,
            instrument=line.instrument,
            local_ssrc=7,
            now=line.now,
        )
        return line

    @staticmethod
    def telephone(seconds: float = 1.0) -> list[bytes]:
        sent = encode(speech(seconds)[::2], codec="pcm_mulaw", rate=8_000)
        return packets(sent, ticks=160, payload_type=0)

    def test_it_is_handed_over_when_a_window_is_whole(self) -> None:
        line = self.line()
        for number, packet in enumerate(self.telephone(), start=1):
            line.bring(packet)
            assert len(line.audio if line.heard else ()) // 512 == number * 320 // 512
        assert {len(heard.samples) for heard in line.heard} == {320, 640}

    @pytest.mark.parametrize("lost", [(), (7,), (7, 8), (3, 11, 12, 20), tuple(range(20, 40))])
    def test_what_is_heard_is_the_same(self, lost: tuple[int, ...]) -> None:
        sent: list[bytes | None] = [
            None if number in lost else packet for number, packet in enumerate(self.telephone())
        ]
        alone, gathered = Line().bring(*sent), self.line().bring(*sent)
        gathered.receiver.flush(gathered.now)
        alone.receiver.flush(alone.now)
        np.testing.assert_array_equal(gathered.audio, alone.audio)
        for origin in Origin:
            assert gathered.ms(origin) == alone.ms(origin)
        assert gathered.receiver.stats(gathered.now) == alone.receiver.stats(alone.now)

    def test_a_flush_hands_over_what_waits(self) -> None:
        line = self.line().bring(self.telephone()[0])
        assert line.heard == []
        line.receiver.flush(line.now)
        assert len(line.audio) == 320

    def test_another_sender_comes_behind_it(self) -> None:
        first, other = self.telephone()[:1], encode(speech(1.0)[::2], codec="pcm_mulaw", rate=8_000)
        line = self.line().bring(*first, *packets(other, first=9_000, ticks=160, payload_type=0, ssrc=0x99))
        line.receiver.flush(line.now)
        assert len(line.audio) == pytest.approx(16_000 + 320, abs=960)
        np.testing.assert_array_equal(line.audio[:320], Line().bring(*first).audio)

    def test_another_codec_comes_behind_it(self) -> None:
        opus = packets(encode(speech(1.0)), first=1)
        line, alone = self.line(), Line()
        for one in (line, alone):
            one.bring(self.telephone()[0], *opus)
        np.testing.assert_array_equal(line.audio, alone.audio)

    def test_a_closed_one_hands_over_nothing(self) -> None:
        line = self.line().bring(self.telephone()[0])
        line.receiver.close()
        line.receiver.flush(line.now)
        assert line.heard == []


class TestReports:
    def test_before_the_first_packet_there_is_none(self) -> None:
        line = Line()
        assert line.receiver.report(line.now) is None
        assert line.receiver.last_rtp_at is None
        assert line.receiver.stats(line.now).audio_ms == 0

    def test_what_is_reported(self) -> None:
        sent = packets(encode(speech()))
        line = Line().bring(*sent[:10], None, *sent[11:20])
        info = RtcpSenderInfo(
            ntp_timestamp=0x11112222_33334444, rtp_timestamp=0, packet_count=0, octet_count=0
        )
        line.receiver.receive_rtcp(bytes(RtcpSrPacket(ssrc=0x1234, sender_info=info)), line.now)
        report = line.receiver.report(line.now + 0.5)
        assert report is not None
        rr = RtcpPacket.parse(report)[0]
        assert isinstance(rr, RtcpRrPacket)
        (block,) = rr.reports
        assert (rr.ssrc, block.ssrc, block.packets_lost) == (7, 0x1234, 1)
        assert (block.lsr, block.dlsr) == (0x22223333, 32_768)

    def test_the_instrument_hears_sums_with_each_report(self) -> None:
        sent = packets(encode(speech()))
        line = Line().bring(*sent[:60], None, *sent[61:80])
        assert line.instrument.packets == {}
        line.receiver.report(line.now)
        first = dict(line.instrument.packets)
        assert first.pop("received") == 79
        assert first in ({"recovered": 1}, {"concealed": 1})
        line.receiver.report(line.now)
        assert line.instrument.packets["received"] == 79

    def test_the_stats_are_a_mapping(self) -> None:
        line = Line().bring(*packets(encode(speech())))
        stats = line.receiver.stats(line.now)
        mapping = stats.as_mapping()
        assert mapping["audio_ms"] == 3_000
        assert (mapping["codec"], mapping["packets_received"]) == ("opus", 150)
        assert 10 < stats.bit_rate_kbps < 40
        assert line.receiver.last_rtp_at == pytest.approx(line.now - STEP)


class TestTelephoneEvents:
    EVENT = b"\x05\x0a\x00\xa0"

    def line(self) -> Line:
        line = Line()
        line.receiver.renegotiate(CODECS, [101], line.now)
        return line

    def test_they_share_the_numbers_of_the_audio(self) -> None:
        """A press of 100 ms in place of five packets, and no audio is missing."""
        line = self.line()
        line.bring(*packets([bytes(160)] * 5, payload_type=0, ticks=160))
        events = [rtp(5 + n, 800, self.EVENT, payload_type=101) for n in range(7)]
        line.bring(*events, step=0.015)
        line.bring(*[rtp(12 + n, 1_600 + n * 160, bytes(160), payload_type=0) for n in range(5)])
        assert line.ms(Origin.RECEIVED) == 300
        stats = line.receiver.stats(line.now)
        assert (stats.packets_refused, stats.packets_lost, stats.concealed_ms) == (0, 0, 0)

    @pytest.mark.parametrize("first", [3, 30_000])
    def test_those_with_numbers_of_their_own_take_no_place(self, first: int) -> None:
        line = self.line()
        audio = packets([bytes(160)] * 10, payload_type=0, ticks=160)
        line.bring(*audio[:5])
        line.bring(*[rtp(first + n, 777_000, self.EVENT, payload_type=101) for n in range(7)], step=0.0)
        line.bring(*audio[5:])
        assert line.ms(Origin.RECEIVED) == 200
        stats = line.receiver.stats(line.now)
        assert (stats.packets_received, stats.packets_refused, stats.packets_duplicate) == (10, 0, 0)

    def test_they_are_no_jitter(self) -> None:
        """All packets of a press have one timestamp, however long it is held."""
        line = self.line()
        line.bring(*packets([bytes(160)] * 20, payload_type=0, ticks=160))
        line.bring(*[rtp(20 + n, 3_200, self.EVENT, payload_type=101) for n in range(15)])
        line.bring(*[rtp(35 + n, 5_600 + n * 160, bytes(160), payload_type=0) for n in range(5)])
        assert line.receiver.stats(line.now).jitter_ms < 1.0

    def test_before_any_audio_they_are_nothing(self) -> None:
        line = self.line().bring(rtp(1, 0, self.EVENT, payload_type=101))
        assert line.heard == []
        assert line.receiver.stats(line.now).packets_refused == 0


def test_other_codecs_are_agreed_on_and_what_waits_is_played_first() -> None:
    line = Line()
    sent = packets([bytes(160)] * 8, payload_type=0, ticks=160)
    line.bring(*sent[:3], sent[4], step=0.0)
    line.receiver.renegotiate({0: Codec("PCMA", 0, 8_000), 9: CODECS[9]}, [], line.now)
    assert len(line.audio) == 5 * 320
    line.bring(*sent[5:], step=0.02)
    assert len(line.audio) == 8 * 320
    line.bring(*[rtp(8 + n, 1_280 + n * 160, bytes(160), payload_type=8) for n in range(2)])
    assert len(line.audio) == 10 * 320, "what was agreed on before is still understood"
    assert line.receiver.stats(line.now).packets_refused == 0
