"""A bad line for a while: time stays true, the wait is short, and when the line is good again it is gone.

Virtual time: packets of 20 ms leave on a clock of their own and arrive when the pattern says; the receiver is
asked at its deadlines. Nothing here is left to chance.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE, Origin, Samples
from rtc_stt.bench.clips import load
from rtc_stt.companding import compress
from rtc_stt.instrument import Instrument
from signaling.codecs import Codec
from signaling.receiver import AudioReceiver
from tests.rtp import encode, rtp

PACKET_S = 0.02
PACKET = round(PACKET_S * SAMPLE_RATE)
SECONDS = 24.0
BAD = (6.0, 14.0)
"""From when until when the line is bad."""

SETTLED_S = 2.0
"""After so long without trouble nothing is to be left of it."""

CODECS = {
    "PCMU": (Codec("PCMU", 0, 8_000), 160),
    "PCMA": (Codec("PCMA", 8, 8_000), 160),
    "opus": (Codec("opus", 111, 48_000), 960),
}

Arrivals = list[tuple[float, int]]
"""When a packet arrives, and its number."""


@dataclass
class Heard:
    """What a receiver made of a line."""

    pieces: list[tuple[float, int, Samples, Origin]] = field(default_factory=list)
    """When it came out, where it begins, what, and whence."""
    position: int = 0

    def take(self, now: float, samples: Samples, origin: Origin) -> None:
        self.pieces.append((now, self.position, samples, origin))
        self.position += len(samples)

    @property
    def audio(self) -> Samples:
        return np.concatenate([samples for _, _, samples, _ in self.pieces])

    def delays(self, begin_s: float, end_s: float, arrivals: Arrivals) -> list[float]:
        """How long after its packet left audio came out, in seconds, of packets that left in that time.

        What was recovered from the packet behind it is left out: its own has never arrived.
        """
        came = {number for _, number in arrivals}
        packets = [
            (now, (at + len(samples)) / SAMPLE_RATE)
            for now, at, samples, origin in self.pieces
            if origin is Origin.RECEIVED and at // PACKET in came
        ]
        return [now - sent for now, sent in packets if begin_s <= sent < end_s]

    def share(self, origin: Origin) -> float:
        return sum(len(s) for _, _, s, o in self.pieces if o is origin) / self.position


def speech() -> Samples:
    """Spoken without end."""
    voices = np.concatenate([clip.audio() for clip in load("clean", "digits", limit=8)])
    return np.resize(voices, round(SECONDS * SAMPLE_RATE))


def payloads(name: str, audio: Samples) -> list[bytes]:
    if name == "opus":
        return encode(audio)
    data = compress(audio[::2], "mulaw" if name == "PCMU" else "alaw")
    return [data[at : at + 160] for at in range(0, len(data), 160)]


def bad_line(*, loss: float = 0.05, jitter_s: float = 0.03) -> Arrivals:
    """While it is bad every packet has a delay of its own, and of twenty one is lost."""
    chance = np.random.default_rng(7)
    arrivals = []
    for number in range(round(SECONDS / PACKET_S)):
        sent = (number + 1) * PACKET_S
        if BAD[0] <= sent < BAD[1]:
            if chance.random() < loss:
                continue
            sent += chance.uniform(0, jitter_s)
        arrivals.append((sent, number))
    return arrivals


def listen(
    name: str, audio: Samples, arrivals: Arrivals, *, first: int = 65_500
) -> tuple[Heard, AudioReceiver]:
    """A receiver on that line; sequence numbers and timestamps overflow on the way."""
    codec, ticks = CODECS[name]
    sent, heard, now = payloads(name, audio), Heard(), 0.0

    def deliver(samples: Samples, origin: Origin) -> None:
        heard.take(now, samples, origin)

    receiver = AudioReceiver(
        {codec.payload_type: codec}, deliver, instrument=Instrument(), local_ssrc=1, now=0.0
    )
    waiting = list(arrivals)
    heapq.heapify(waiting)
    while waiting:
        deadline = receiver.next_deadline()
        if deadline is not None and deadline <= waiting[0][0]:
            now = max(now, deadline)
            receiver.handle_timer(now)
            continue
        now, number = heapq.heappop(waiting)
        stamp = 2**32 - 10 * ticks + number * ticks
        receiver.receive_rtp(rtp(first + number, stamp, sent[number], payload_type=codec.payload_type), now)
    receiver.flush(now)
    return heard, receiver


@pytest.mark.parametrize("name", CODECS)
def test_five_percent_loss_with_thirty_milliseconds_of_jitter(name: str) -> None:
    arrivals = bad_line()
    heard, receiver = listen(name, speech(), arrivals)
    assert abs(heard.position / SAMPLE_RATE - SECONDS) <= 0.02
    assert max(heard.delays(0, BAD[0], arrivals)) <= 0.001
    assert max(heard.delays(*BAD, arrivals)) <= 0.06
    assert max(heard.delays(BAD[1] + SETTLED_S, SECONDS, arrivals)) <= 0.001
    lost = round(SECONDS / PACKET_S) - len(arrivals)
    stats = receiver.stats(SECONDS)
    assert stats.packets_lost == lost > 10
    assert stats.packets_late == 0
    assert stats.recovered * 20 + stats.concealed_ms + stats.lost_ms == lost * 20


def test_what_arrives_is_where_it_belongs_whatever_is_lost_around_it() -> None:
    audio, arrivals = speech(), bad_line(loss=0.2)
    clean, _ = listen("PCMU", audio, bad_line(loss=0, jitter_s=0))
    heard, _ = listen("PCMU", audio, arrivals)
    compared = 0
    for _, at, samples, origin in heard.pieces:
        if origin is Origin.RECEIVED:
            settled = PACKET // 2  # before it flows into what was made up
            assert np.array_equal(samples[settled:], clean.audio[at + settled : at + PACKET])
            compared += 1
    assert compared == len(arrivals)


@pytest.mark.parametrize("name", CODECS)
def test_packets_out_of_order_and_twice_come_out_in_order_and_once(name: str) -> None:
    audio = speech()[: 4 * SAMPLE_RATE]
    straight = [((number + 1) * PACKET_S, number) for number in range(200)]
    late_ms = (0, 0, 25, 0, 41, 0, 0, 27, 3)
    crooked = [(at + late_ms[number % len(late_ms)] / 1000, number) for at, number in straight[:-2]]
    crooked += [(at + 0.007, number) for at, number in crooked if number % 5 == 0]
    # From the first that is out of order the receiver learns how late one may be.
    kept = [(at, number) for at, number in crooked if number != 2] + [(3 * PACKET_S + 0.015, 2)]
    expected, _ = listen(name, audio, straight)
    heard, receiver = listen(name, audio, kept + straight[-2:])
    stats = receiver.stats(4.0)
    assert np.array_equal(heard.audio, expected.audio)
    assert (stats.concealed_ms, stats.lost_ms, stats.packets_late) == (0, 0, 0)
    assert stats.packets_duplicate == 40


@pytest.mark.parametrize(
    ("missing", "concealed_ms", "lost_ms"), [(1, 20, 0), (3, 60, 0), (10, 200, 0), (25, 200, 300)]
)
def test_a_hole_is_made_up_for_a_while_and_then_silent(missing: int, concealed_ms: int, lost_ms: int) -> None:
    arrivals = [((n + 1) * PACKET_S, n) for n in range(200) if not 100 <= n < 100 + missing]
    tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE)
    heard, receiver = listen("PCMU", tone.astype(np.float32), arrivals)
    stats = receiver.stats(4.0)
    assert (stats.concealed_ms, stats.lost_ms, stats.audio_ms) == (concealed_ms, lost_ms, 4_000)
    hole = heard.audio[100 * PACKET : (100 + missing) * PACKET]
    loud, soft = hole[: PACKET // 2], hole[-PACKET // 2 :]
    assert np.abs(loud).max() > 0.2
    if missing > 4:  # it has faded out in 60 ms, and does not hum
        assert not soft.any()


@settings(max_examples=40, deadline=None)
@given(
    lost=st.sets(st.integers(1, 98), max_size=60),
    late=st.lists(st.integers(0, 200), min_size=100, max_size=100),
    twice=st.sets(st.integers(0, 99), max_size=20),
)
def test_time_is_true_whatever_the_line_does(lost: set[int], late: list[int], twice: set[int]) -> None:
    audio = np.zeros(2 * SAMPLE_RATE, np.float32)
    late[0] = 0  # time begins with the first packet that comes
    arrivals = [((n + 1) * PACKET_S + late[n] / 1000, n) for n in range(99) if n not in lost]
    arrivals += [(at + 0.01, n) for at, n in arrivals if n in twice] + [(2.3, 99)]
    heard, _ = listen("PCMU", audio, arrivals)
    assert abs(heard.position / SAMPLE_RATE - 2.0) <= 0.02
