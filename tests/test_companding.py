"""G.711 as FFmpeg has it, and back again."""

from __future__ import annotations

import av
import numpy as np
import pytest

from rtc_stt.companding import Law, compress, expand

EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize(("law", "codec"), [("mulaw", "pcm_mulaw"), ("alaw", "pcm_alaw")])
def test_the_tables_are_those_of_ffmpeg(law: Law, codec: str) -> None:
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8_000, "mono"  # type: ignore[attr-defined]
    (frame,) = decoder.decode(av.Packet(EVERY_BYTE))  # type: ignore[attr-defined]
    assert np.allclose(expand(EVERY_BYTE, law), frame.to_ndarray()[0] / 32768, atol=2e-5)


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
