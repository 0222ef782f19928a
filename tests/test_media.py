"""Foreign audio to 16 kHz mono: nothing is lost, and the sound stays the same."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.errors import BadAudio
from rtc_stt.media import MonoResampler, read_audio

AMPLITUDE, PITCH = 0.5, 440.0


def sine(seconds: float, rate: int) -> np.ndarray:
    return AMPLITUDE * np.sin(2 * np.pi * PITCH * np.arange(round(seconds * rate)) / rate)


def frames(signal: np.ndarray, rate: int, channels: int, size: int, form: str = "s16") -> list[av.AudioFrame]:
    """The signal on all channels, in frames of ``size`` samples."""
    layout = "mono" if channels == 1 else "stereo"
    out = []
    for start in range(0, len(signal), size):
        piece = signal[start : start + size]
        if form == "s16":
            data = np.repeat(np.round(piece * 32_767).astype(np.int16), channels).reshape(1, -1)
        else:
            data = np.repeat(piece.astype(np.float32), channels).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format=form, layout=layout)
        frame.sample_rate = rate
        out.append(frame)
    return out


def run(resampler: MonoResampler, *batches: list[av.AudioFrame]) -> np.ndarray:
    out = [resampler.push(frame) for batch in batches for frame in batch]
    return np.concatenate([*out, resampler.flush()])


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_length_and_loudness_are_kept(rate, channels):
    out = run(MonoResampler(), frames(sine(1.0, rate), rate, channels, rate // 50))
    assert out.dtype == np.float32
    assert abs(len(out) - SAMPLE_RATE) <= 3
    middle = out[2_000:-2_000]
    assert np.abs(middle).max() == pytest.approx(AMPLITUDE, rel=0.01)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(AMPLITUDE / np.sqrt(2), rel=0.01)


def test_frame_borders_leave_no_trace():
    signal = sine(0.5, 44_100)
    whole = run(MonoResampler(), frames(signal, 44_100, 2, len(signal)))
    pieces = run(MonoResampler(), frames(signal, 44_100, 2, 441))
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


def test_a_format_may_change_in_the_middle():
    out = run(
        MonoResampler(),
        frames(sine(0.5, 48_000), 48_000, 2, 960),
        frames(sine(0.5, 8_000), 8_000, 1, 160),
    )
    assert abs(len(out) - SAMPLE_RATE) <= 6
    middle = out[9_000:-1_000]
    assert np.abs(middle).max() == pytest.approx(AMPLITUDE, rel=0.02)


def test_channels_are_mixed():
    left = np.round(sine(0.2, 16_000) * 32_767).astype(np.int16)
    data = np.stack([left, -left], axis=1).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(data, format="s16", layout="stereo")
    frame.sample_rate = 16_000
    assert np.abs(run(MonoResampler(), [frame])).max() < 1e-3


def test_audio_that_is_ours_already_passes_and_ends():
    out = run(MonoResampler(), frames(sine(0.2, 16_000), 16_000, 1, 320, "flt"))
    np.testing.assert_allclose(out, sine(0.2, 16_000), atol=1e-6)


def test_stamps_of_the_sender_do_not_matter():
    batch = frames(sine(0.5, 48_000), 48_000, 1, 960)
    for i, frame in enumerate(batch):
        frame.pts = 10**9 if i % 2 else 0
    assert abs(len(run(MonoResampler(), batch)) - SAMPLE_RATE // 2) <= 3


def test_flushing_nothing_gives_nothing():
    resampler = MonoResampler()
    assert len(resampler.flush()) == 0
    run(resampler, frames(sine(0.1, 8_000), 8_000, 1, 160))
    assert len(resampler.flush()) == 0


# ── Files ──


def write_wav(path: Path, rate: int = 44_100, seconds: float = 0.5) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(np.round(sine(seconds, rate) * 32_767).astype("<i2"), 2).tobytes())
    return path


def test_a_file_is_read_in_chunks(tmp_path):
    chunks = list(read_audio(write_wav(tmp_path / "tone.wav")))
    assert abs(sum(map(len, chunks)) - SAMPLE_RATE // 2) <= 3


@pytest.mark.parametrize(
    "content", [None, b"", b"these are words, not sounds" * 50], ids=["missing", "empty", "text"]
)
def test_what_is_no_audio_is_named(tmp_path, content):
    path = tmp_path / "file.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadAudio, match=r"file\.wav"):
        list(read_audio(path))


def test_a_folder_is_no_audio(tmp_path):
    with pytest.raises(BadAudio):
        list(read_audio(tmp_path))
