"""Samples to bytes."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.client.encoding import encode
from rtc_stt.companding import expand


def test_pcm_is_little_endian_and_clipped():
    assert encode([0.0, 1.0, -1.0, 7.0, -7.0], "pcm_s16le", 1) == np.array(
        [0, 32767, -32767, 32767, -32768], "<i2"
    ).tobytes()  # fmt: skip


def test_what_is_no_number_is_silence():
    assert (
        encode(np.array([np.nan, np.inf], np.float32), "pcm_s16le", 1)
        == np.array([0, 32767], "<i2").tobytes()
    )


def test_channels_go_by_turns():
    assert encode([[1.0, 0.0], [0.0, 1.0]], "pcm_s16le", 2) == np.array([32767, 0, 0, 32767], "<i2").tobytes()
    assert encode(np.zeros((3, 1)), "pcm_s16le", 1) == bytes(6)


def test_telephony_is_companded():
    assert np.allclose(expand(encode([0.5, -0.1], "alaw", 1), "alaw"), [0.5, -0.1], atol=0.02)


@pytest.mark.parametrize(
    ("shape", "channels"), [((4, 2), 1), ((4,), 2), ((4, 3), 2), ((2, 2, 2), 2), ((), 1)]
)
def test_another_shape_is_refused(shape, channels):
    with pytest.raises(ValueError, match="shape"):
        encode(np.zeros(shape), "pcm_s16le", channels)
