"""What is not speech, made by arithmetic: noises, tones, and a little music.

Each takes a length in seconds and a seed, and gives float64 samples at 16 kHz, shape ``(n,)``, in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import SAMPLE_RATE, Samples

__all__ = ["NOT_SPEECH", "TEN_MINUTES_OF", "Wave", "stretches"]

Wave = npt.NDArray[np.float64]

STRETCH_S = 30


def _times(seconds: float) -> Wave:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def silence(seconds: float, _seed: int) -> Wave:
    """Zeros."""
    return np.zeros(round(seconds * SAMPLE_RATE))


def white(seconds: float, seed: int, level: float = 0.1) -> Wave:
    """Noise of a flat spectrum."""
    return np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE)) * level


def coloured(seconds: float, seed: int, power: float) -> Wave:
    """Noise whose power falls by ``1 / f ** power``: 1 is pink, 2 is brown."""
    n = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    hertz = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 20)
    noise = np.fft.irfft(spectrum / hertz ** (power / 2), n)
    return noise / np.std(noise) * 0.1


def tones(seconds: float, *hertz: float) -> Wave:
    """Sines of equal strength."""
    time, wave = _times(seconds), silence(seconds, 0)
    for f in hertz:
        wave += np.sin(2 * np.pi * f * time) / len(hertz) * 0.5
    return wave


def on_and_off(wave: Wave, on_s: float, off_s: float) -> Wave:
    """A sound that comes and goes."""
    return wave * (np.arange(len(wave)) / SAMPLE_RATE % (on_s + off_s) < on_s)


def alarm(seconds: float, _seed: int) -> Wave:
    """A tone that swings between 400 and 1,000 Hz twice a second."""
    hertz = 700 + 300 * np.sin(2 * np.pi * 2 * _times(seconds))
    return np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE) * 0.5


def dual_tones(seconds: float, seed: int) -> Wave:
    """A telephone dials (DTMF) again and again: 100 ms each, 100 ms between."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    time, step = _times(seconds), SAMPLE_RATE // 5
    keys = np.random.default_rng(seed).integers(12, size=len(time) // step + 1)
    wave = np.zeros(len(time))
    for position, key in enumerate(keys):
        span = slice(position * step, position * step + step // 2)
        low, high = rows[key // 3], columns[key % 3]
        wave[span] = (np.sin(2 * np.pi * low * time[span]) + np.sin(2 * np.pi * high * time[span])) / 2
    return wave * 0.5


def music(seconds: float, seed: int) -> Wave:
    """Chords and a melody of struck strings, 100 beats a minute."""
    chance, time, beat = np.random.default_rng(seed), _times(seconds), round(0.6 * SAMPLE_RATE)
    wave = np.zeros(len(time))
    chords = ((220, 262, 330), (175, 220, 262), (262, 330, 392), (196, 247, 294))
    for number, start in enumerate(range(0, len(time) - 4 * beat, beat)):
        notes = [2 * chance.choice(chords[number // 4 % 4])]
        if number % 4 == 0:
            notes += chords[number // 4 % 4]
        span = slice(start, start + 4 * beat)
        t = time[: 4 * beat]
        for note in notes:
            for harmonic in range(1, 6):
                strength = np.exp(-t * (1.5 + harmonic)) * np.minimum(1, t / 0.005) / harmonic
                wave[span] += strength * np.sin(2 * np.pi * note * harmonic * t)
    peak = max(1e-9, float(np.max(np.abs(wave))))
    return wave / peak * 0.5


def clicks(seconds: float, seed: int) -> Wave:
    """Someone types, six keys a second."""
    chance, wave = np.random.default_rng(seed), np.zeros(round(seconds * SAMPLE_RATE))
    for start in chance.integers(0, len(wave) - 400, round(seconds * 6)):
        wave[start : start + 400] += chance.standard_normal(400) * np.exp(-np.arange(400) / 60) * 0.4
    return np.clip(wave, -1, 1)


def speech_like(seconds: float, seed: int) -> Wave:
    """Noise in the band of speech that swells four times a second, as syllables do."""
    n = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    hertz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    spectrum[(hertz < 200) | (hertz > 3_400)] = 0
    noise = np.fft.irfft(spectrum, n)
    return noise / np.std(noise) * 0.1 * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * _times(seconds)))


NOT_SPEECH: Mapping[str, Callable[[float, int], Wave]] = {
    "silence": silence,
    "white noise": white,
    "quiet white noise": lambda seconds, seed: white(seconds, seed, 0.001),
    "pink noise": lambda seconds, seed: coloured(seconds, seed, 1),
    "brown noise": lambda seconds, seed: coloured(seconds, seed, 2),
    "mains hum": lambda seconds, _: tones(seconds, 50, 150, 250),
    "dial tone": lambda seconds, _: tones(seconds, 350, 440),
    "busy tone": lambda seconds, _: on_and_off(tones(seconds, 480, 620), 0.5, 0.5),
    "ringing tone": lambda seconds, _: on_and_off(tones(seconds, 440, 480), 2, 4),
    "hold beeps": lambda seconds, _: on_and_off(tones(seconds, 1_400), 0.2, 2.8),
    "alarm": alarm,
    "dialling": dual_tones,
    "music": music,
    "typing": clicks,
    "speech-shaped noise": speech_like,
}

TEN_MINUTES_OF = ("silence", "white noise", "pink noise", "mains hum", "dial tone", "dialling", "music")
"""What the benchmark listens to for long."""


def stretches(kind: str, seconds: float, seed: int = 1) -> Iterator[Samples]:
    """So much of one kind as float32, in stretches of at most 30 s, each with a seed of its own."""
    count = 0
    while seconds > 0:
        length = min(STRETCH_S, seconds)
        yield NOT_SPEECH[kind](length, seed + count).astype(np.float32)
        count, seconds = count + 1, seconds - length
