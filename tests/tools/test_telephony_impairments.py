"""The bad line of ``tools/telephony/impairments``: what it does to packets, and what is left of time."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.audio import Origin
from tools.telephony.impairments import BAD, GOOD, Line, Piece, arrivals, receive
from tools.telephony.packets import Timed, speak

PACKETS = 1_000


@pytest.fixture(scope="module")
def packets() -> list[Timed]:
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(PACKETS * 320) / 16_000)
    return speak(tone.astype(np.float32))


def length(pieces: list[Piece]) -> int:
    return sum(what if isinstance(what, int) else len(what) for what, _ in pieces)


def test_over_a_good_line_every_packet_arrives_when_it_leaves(packets: list[Timed]) -> None:
    assert arrivals(packets, GOOD, 1) == packets
    pieces = receive(packets)
    assert {origin for _, origin in pieces} == {Origin.RECEIVED}
    assert length(pieces) == PACKETS * 320


def test_a_bad_line_loses_a_twentieth_and_delays_the_rest(packets: list[Timed]) -> None:
    came = arrivals(packets, BAD, 1)
    assert arrivals(packets, BAD, 1) == came
    assert arrivals(packets, BAD, 2) != came
    assert len(came) / PACKETS == pytest.approx(0.95, abs=0.02)
    left = {packet.data: packet.at_s for packet in packets}
    delays = [packet.at_s - left[packet.data] for packet in came]
    assert 0 <= min(delays) < 0.001
    assert 0.029 < max(delays) <= 0.03
    assert [packet.data for packet in came] != sorted((p.data for p in came), key=lambda data: left[data])


def test_time_is_true_behind_it(packets: list[Timed]) -> None:
    pieces = receive([*arrivals(packets[:-1], BAD, 3), packets[-1]])
    assert length(pieces) == PACKETS * 320
    made_up = length([piece for piece in pieces if piece[1] is not Origin.RECEIVED])
    assert 0.03 < made_up / (PACKETS * 320) < 0.07


def test_the_first_packet_always_comes(packets: list[Timed]) -> None:
    assert arrivals(packets, Line(loss=1.0), 1) == packets[:1]
