"""Sample arithmetic of the whole recipe: float32 in -1..1, mono, 16 kHz."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtc_stt.bench.telephone import resample

SAMPLE_RATE = 16_000
Samples = NDArray[np.float32]


def warp(samples: Samples, factor: float) -> Samples:
    """Play `factor` times as long, formants and pitch moving along: a cheap new speaker."""
    return resample(samples, SAMPLE_RATE, SAMPLE_RATE * factor)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def rms(samples: Samples) -> float:
    return float(np.sqrt((samples.astype(np.float64) ** 2).mean())) if len(samples) else 0.0


def with_peak(samples: Samples, peak: float) -> Samples:
    scaled: Samples = (samples / (np.abs(samples).max() + 1e-6) * peak).astype(np.float32)
    return scaled


def to_pcm16(samples: Samples) -> NDArray[np.int16]:
    return np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def from_pcm16(samples: NDArray[Any]) -> Samples:
    return samples.astype(np.float32) / np.float32(32768)


def quantise(samples: Samples) -> Samples:
    """What 16-bit PCM leaves of the samples: training must not see what no microphone delivers."""
    return from_pcm16(to_pcm16(samples))


def read_wav(path: Path | str) -> Samples:
    """A mono 16-bit WAV file, brought to 16 kHz."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        samples = from_pcm16(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    return samples if rate == SAMPLE_RATE else resample(samples, rate, SAMPLE_RATE)


def write_wav(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(to_pcm16(samples).astype("<i2").tobytes())


def write_flac(path: Path, samples: Samples) -> None:
    """16-bit mono FLAC through PyAV, which the project needs anyway."""
    import av

    # libavformat leaves 8 kB of padding for tags, as much as some of these clips take.
    unpadded = {"metadata_header_padding": "0"}
    with av.open(str(path), "w", format="flac", container_options=unpadded) as container:
        best = {"compression_level": "12"}
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono", options=best)
        frame = av.AudioFrame.from_ndarray(to_pcm16(samples)[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def read_flac(path: Path) -> Samples:
    import av

    with av.open(str(path)) as container:
        blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return from_pcm16(np.concatenate(blocks))


def window_power(samples: Samples) -> NDArray[np.float64]:
    """Mean square of each whole window of 5 ms."""
    window = SAMPLE_RATE // 200
    count = len(samples) // window
    power: NDArray[np.float64] = (
        samples[: count * window].reshape(count, window).astype(np.float64) ** 2
    ).mean(axis=1)
    return power


def speech_bounds(
    samples: Samples, below_peak_db: float = 40.0, peak: float | None = None
) -> tuple[float, float]:
    """Start and end of the sound in seconds, by energy.

    That is where 5 ms windows come within `below_peak_db` of the loudest, or of a window of power `peak`.
    Meant for clean signals (the synthesiser's, before noise), where it is exact to the window; plain energy
    on purpose, so that no detector under test has a part in its own ground truth.
    """
    window = SAMPLE_RATE // 200
    power = window_power(samples)
    loud = np.flatnonzero(power > (power.max() if peak is None else peak) * 10 ** (-below_peak_db / 10))
    return float(loud[0] * window / SAMPLE_RATE), float((loud[-1] + 1) * window / SAMPLE_RATE)
