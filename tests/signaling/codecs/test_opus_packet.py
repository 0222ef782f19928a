"""What an Opus packet says of itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.clips import load
from signaling.codecs import libopus, opus_packet
from tests.rtp import encode


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_the_duration_is_what_was_encoded(frame_ms: int) -> None:
    (clip,) = load("clean", limit=1)
    for payload in encode(clip.audio()[:16_000], frame_ms=frame_ms):
        assert opus_packet.duration(payload) == frame_ms * 48


@pytest.mark.parametrize(
    ("payload", "ticks"),
    [
        (b"", 0),
        (bytes([16 << 3]), 120),  # CELT, 2.5 ms
        (bytes([3 << 3 | 1]) + bytes(2), 2 * 2880),
        (bytes([3 << 3 | 1]) + bytes(3), 0),  # two frames of equal size, and an odd byte
        (bytes([3 << 3 | 3]), 0),  # the count is missing
        (bytes([3 << 3 | 3, 2]), 5760),
        (bytes([3 << 3 | 3, 3]), 0),  # 180 ms
        (bytes([3 << 3 | 3, 0]), 0),
        (bytes([16 << 3 | 3, 48]), 5760),
    ],
)
def test_durations_at_the_edges(payload: bytes, ticks: int) -> None:
    assert opus_packet.duration(payload) == ticks


def test_error_correction_is_seen_where_it_was_asked_for() -> None:
    (clip,) = load("clean", limit=1)
    audio = clip.audio()
    with_it = [opus_packet.recoverable(payload) for payload in encode(audio)]
    without = [opus_packet.recoverable(payload) for payload in encode(audio, fec="0")]
    assert set(without) == {0}
    assert set(with_it) == {0, 960}
    assert np.mean([ticks > 0 for ticks in with_it]) > 0.4  # an encoder leaves silence uncorrected


@given(st.binary(max_size=12))
def test_the_library_agrees_on_what_is_malformed(payload: bytes) -> None:
    library = libopus.load()
    assert library is not None
    decoder = libopus.OpusDecoder(library)
    samples = decoder.decode(payload)
    ticks = opus_packet.duration(payload)
    assert opus_packet.recoverable(payload) in (0, *opus_packet._FRAME)
    if samples is not None:
        assert len(samples) * 3 == ticks
