"""What a turn of the loop decodes in one go: the same audio, and nobody harmed by another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rtc_stt.audio import Origin, Samples
from rtc_stt.instrument import Instrument
from signaling.codecs import Codec
from signaling.media_turn import PACE_S, MediaTurn
from signaling.receiver import AudioReceiver
from tests.rtp import rtp

CODECS = {
    0: Codec("PCMU", 0, 8_000),
    8: Codec("PCMA", 8, 8_000),
    9: Codec("G722", 9, 8_000),
}
NOISE = np.random.default_rng(1)


class Stream:
    """A receiver, what it hands over, and what it is told of failures."""

    def __init__(self, turn: MediaTurn | None, payload_type: int, *, wants: int = 512) -> None:
        self.heard: list[tuple[Origin, Samples]] = []
        self.failed: list[Exception] = []
        self.during: Callable[[], None] = lambda: None
        self._payload_type = payload_type
        self._number = 0
        self._wants = wants
        self.receiver = AudioReceiver(
            CODECS,
            self._hear,
            wants=lambda: self._wants - sum(len(samples) for _, samples in self.heard) % self._wants,
            due=(lambda: turn.add(self.receiver, self.failed.append)) if turn else None,
            instrument=Instrument(),
            local_ssrc=1,
            now=0.0,
        )

    def _hear(self, samples: Samples, origin: Origin) -> None:
        self.during()
        self.heard.append((origin, samples))

    def bring(self, payload: bytes | None) -> None:
        """None: it does not come, and is waited for until it is given up."""
        if payload is not None:
            at, number = self._number / 50, self._number
            packet = rtp(number, number * 160, payload, payload_type=self._payload_type)
            self.receiver.receive_rtp(packet, at)
        self._number += 1

    @property
    def audio(self) -> Samples:
        return np.concatenate([np.zeros(0, np.float32), *[samples for _, samples in self.heard]])


class Loop:
    """Its turns end when it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[Callable[[], None]] = []
        self.delays: list[float] = []
        self.turn = MediaTurn(lambda: self.now, self._schedule)

    def _schedule(self, delay_s: float, call: Callable[[], None]) -> None:
        self.delays.append(delay_s)
        self.calls.append(call)

    def end_turn(self) -> None:
        self.now += 0.02
        calls, self.calls[:] = list(self.calls), []
        for call in calls:
            call()


@pytest.fixture
def loop() -> Loop:
    return Loop()


def payload(size: int = 160) -> bytes:
    return NOISE.integers(0, 256, size, np.uint8).tobytes()


@pytest.mark.parametrize("packets_a_turn", [1, 2, 5])
def test_each_stream_hears_what_it_would_alone(loop: Loop, packets_a_turn: int) -> None:
    kinds = (0, 8, 9, 0, 8)
    together = [Stream(loop.turn, kind) for kind in kinds]
    alone = [Stream(None, kind) for kind in kinds]
    for number in range(60):
        for stream, other in zip(together, alone, strict=True):
            sent = None if number in (7, 20, 21) else payload()
            stream.bring(sent)
            other.bring(sent)
        if number % packets_a_turn == 0:
            loop.end_turn()
    for stream, other in zip(together, alone, strict=True):
        stream.receiver.flush(2.0)
        other.receiver.flush(2.0)
        np.testing.assert_array_equal(stream.audio, other.audio)
        assert len(stream.audio) >= 57 * 320
        assert not stream.failed


def test_nothing_is_decoded_before_the_end_of_the_turn_and_all_of_it_then(loop: Loop) -> None:
    streams = [Stream(loop.turn, 0) for _ in range(3)]
    for _ in range(2):
        for stream in streams:
            stream.bring(payload())
    assert len(loop.calls) == 1
    assert not any(stream.heard for stream in streams)
    loop.end_turn()
    assert [len(stream.audio) for stream in streams] == [640] * 3
    loop.end_turn()
    assert [len(stream.audio) for stream in streams] == [640] * 3


def test_what_fails_is_told_to_its_owner_and_the_others_hear(loop: Loop) -> None:
    streams = [Stream(loop.turn, 0) for _ in range(3)]

    def fail() -> None:
        raise RuntimeError("the leg is broken")

    streams[0].during = fail
    for stream in streams:
        stream.bring(payload(320))
    loop.end_turn()
    assert [len(stream.failed) for stream in streams] == [1, 0, 0]
    assert [len(stream.audio) for stream in streams] == [0, 640, 640]


def test_where_nothing_can_be_decoded_each_owner_is_told(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("signaling.media_turn.decode_together", fail)
    streams = [Stream(loop.turn, kind) for kind in (0, 9)]
    for stream in streams:
        stream.bring(payload(320))
    loop.end_turn()
    assert [[type(error) for error in stream.failed] for stream in streams] == [[MemoryError]] * 2


def test_who_hears_one_may_end_another_which_loses_no_word(loop: Loop) -> None:
    first, second, third = (Stream(loop.turn, 0) for _ in range(3))
    third.bring(payload(320))
    loop.end_turn()
    first.during = lambda: (second.receiver.flush(1.0), third.receiver.close())[0]
    for stream in (first, second, third):
        stream.bring(payload(320))
    loop.end_turn()
    assert [len(stream.audio) for stream in (first, second, third)] == [640, 640, 640]
    assert not [stream for stream in (first, second, third) if stream.failed]


def test_a_stream_that_has_ended_before_the_end_of_the_turn_is_not_heard_again(loop: Loop) -> None:
    flushed, closed = Stream(loop.turn, 0), Stream(loop.turn, 8)
    for stream in (flushed, closed):
        stream.bring(payload(320))
    flushed.receiver.flush(1.0)
    closed.receiver.close()
    loop.end_turn()
    assert (len(flushed.audio), len(closed.audio)) == (640, 0)


def test_one_call_never_waits_and_many_wait_for_each_other_a_few_milliseconds(loop: Loop) -> None:
    streams = [Stream(loop.turn, 0) for _ in range(3)]
    streams[0].bring(payload(320))
    loop.end_turn()
    loop.now += 0.032
    streams[0].bring(payload(320))
    loop.end_turn()
    assert loop.delays == [0, 0]
    loop.now += PACE_S / 4
    streams[1].bring(payload(320))
    loop.now += PACE_S / 4
    streams[2].bring(payload(320))
    assert loop.delays[2:] == [pytest.approx(PACE_S * 3 / 4)]
    loop.end_turn()
    assert [len(stream.audio) for stream in streams] == [1280, 640, 640]


def test_a_burst_is_one_piece(loop: Loop) -> None:
    stream = Stream(loop.turn, 0)
    for _ in range(16):
        stream.bring(payload())
    loop.end_turn()
    assert [len(samples) for _, samples in stream.heard] == [16 * 320]
