"""G.711 as FFmpeg has it, and back again."""

from __future__ import annotations

import av
import numpy as np
import pytest

from rtc_stt.companding import Law, compress, expand

EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize(("law", "codec"), [("mulaw", "pcm_mulaw"), ("alaw", "pcm_alaw")])
def test_the_tables_are_those_of_ffmpeg_to_the_bit(law: Law, codec: str) -> None:
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8_000, "mono"  # type: ignore[attr-defined]
    (frame,) = decoder.decode(av.Packet(EVERY_BYTE))  # type: ignore[attr-defined]
    assert np.array_equal(expand(EVERY_BYTE, law) * 32768, frame.to_ndarray()[0])


@pytest.mark.parametrize(
    ("law", "bits", "levels"),
    [
        # ITU-T G.711, tables 2a and 2b: of each segment the first and the last level, of 14 bits.
        ("mulaw", 14, [0, 30, 33, 93, 99, 219, 231, 471, 495, 975, 1023, 1983, 2079, 3999, 4191, 8031]),
        # Tables 1a and 1b, of 13 bits; the first two segments are one line.
        ("alaw", 13, [1, 31, 33, 63, 66, 126, 132, 252, 264, 504, 528, 1008, 1056, 2016, 2112, 4032]),
    ],
)
def test_the_segments_are_those_of_the_recommendation(law: Law, bits: int, levels: list[int]) -> None:
    flip = 0xFF if law == "mulaw" else 0x55 | 0x80  # codes count up from silence; a positive sign is a 1
    codes = bytes((segment << 4 | step) ^ flip for segment in range(8) for step in (0, 15))
    positive = bytes(code | 0x80 for code in codes)
    assert (expand(positive, law) * 2 ** (bits - 1)).tolist() == levels
    negative = bytes(code & 0x7F for code in codes)
    assert (expand(negative, law) * 2 ** (bits - 1)).tolist() == [-level for level in levels]


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_a_level_comes_back_as_it_was(law: Law) -> None:
    levels = expand(EVERY_BYTE, law)
    assert np.array_equal(expand(compress(levels, law), law), levels)


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
def test_what_lies_between_goes_to_the_nearest_level(law: Law) -> None:
    samples = np.linspace(-1.5, 1.5, 10_001, dtype=np.float32)
    levels = expand(EVERY_BYTE, law)
    nearest = np.abs(samples[:, None] - levels[None]).min(axis=1)
    assert np.allclose(np.abs(samples - expand(compress(samples, law), law)), nearest, atol=1e-6)
