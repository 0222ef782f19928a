"""What callers of the tests send is what telephones send."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.companding import expand
from signaling.rtp import RtpPacket, parse_rtp
from tools.telephony.packets import KEYS, Timed, length, press, speak, write_pcap

TONE = (0.4 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


def parsed(packets: list[Timed]) -> list[RtpPacket]:
    found = [parse_rtp(packet.data) for packet in packets]
    assert all(found)
    return [packet for packet in found if packet]


@pytest.mark.parametrize("frame_ms", [10, 20, 30])
def test_speech_is_a_stream_of_packets_whose_counters_wrap(frame_ms: int) -> None:
    packets = parsed(speak(TONE, frame_ms=frame_ms))
    size = 8 * frame_ms
    assert len(packets) == -(-8_000 // size)
    assert [packet.marker for packet in packets] == [True] + [False] * (len(packets) - 1)
    for before, after in itertools.pairwise(packets):
        assert after.sequence == (before.sequence + 1) % 2**16
        assert after.timestamp == (before.timestamp + size) % 2**32
    assert packets[0].sequence > packets[-1].sequence
    assert packets[0].timestamp > packets[-1].timestamp


@pytest.mark.parametrize(("law", "payload_type"), [("mulaw", 0), ("alaw", 8)])
def test_speech_sounds_as_it_was(law: str, payload_type: int) -> None:
    packets = parsed(speak(TONE, law))  # type: ignore[arg-type]
    assert {packet.payload_type for packet in packets} == {payload_type}
    heard = expand(b"".join(packet.payload for packet in packets), law)  # type: ignore[arg-type]
    assert np.abs(heard[400:-400] - TONE[::2][400:-400]).max() < 0.03


def test_each_key_is_one_event_whose_end_is_said_three_times() -> None:
    packets = press("1#", at_s=0.5, held_ms=100, pause_ms=100, frame_ms=20)
    events: dict[int, list[tuple[int, bool, int]]] = {}
    for packet in parsed(packets):
        code, flags, duration = struct.unpack("!BBH", packet.payload)
        events.setdefault(packet.timestamp, []).append((code, bool(flags & 0x80), duration))
    assert [event[0][0] for event in events.values()] == [KEYS.index("1"), KEYS.index("#")]
    for event in events.values():
        assert [end for _, end, _ in event] == [False] * 4 + [True] * 3
        assert [duration for _, _, duration in event] == [160, 320, 480, 640, 800, 800, 800]
    assert length(packets) == pytest.approx(0.5 + 0.2 + 0.1)


def test_a_capture_holds_the_packets_in_the_order_of_their_time(tmp_path: Path) -> None:
    packets = [Timed(1.5, b"second"), Timed(0.25, b"first")]
    data = write_pcap(tmp_path / "two.pcap", packets).read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert (magic, link) == (0xA1B2C3D4, 1)
    at, found = 24, []
    while at < len(data):
        seconds, micros, size, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 : at + 16 + size]
        assert frame[12:14] == b"\x08\x00"
        assert struct.unpack("!H", frame[16:18])[0] == size - 14
        assert struct.unpack("!H", frame[38:40])[0] == size - 34
        found.append((seconds - 1 + micros / 1e6, frame[42:]))
        at += 16 + size
    assert found == [(0.25, b"first"), (1.5, b"second")]
