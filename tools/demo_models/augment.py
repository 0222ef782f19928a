"""From the mouth to the server: room, noise, telephone line, gain; and sounds that are no speech."""

from __future__ import annotations

import random

import numpy as np

from rtc_stt.bench.telephone import filter_length, telephone
from tools.demo_models.audio import (
    SAMPLE_RATE,
    Samples,
    quantise,
    rms,
    silence,
)

Generator = np.random.Generator

_COLOURED = ("white", "pink", "brown", "band")
NOISES = (*_COLOURED, "hum", "clicks")
TONES = ("tone", "dial", "dtmf", "music")
# ITU-T Q.23: rows and columns of the key pad, in Hz.
_DTMF_ROWS, _DTMF_COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
# Dial, ringback, busy and special information tones: (frequencies in Hz, seconds on, seconds off).
_CALL_PROGRESS = (
    ((350, 440), 9.0, 0.0),
    ((440, 480), 2.0, 4.0),
    ((480, 620), 0.5, 0.5),
    ((425,), 1.0, 4.0),
    ((425,), 0.25, 0.25),
    ((950,), 0.33, 0.03),
)


def _unit(samples: Samples) -> Samples:
    return (samples / (rms(samples) + 1e-9)).astype(np.float32)


def _coloured(kind: str, count: int, rng: random.Random, generator: Generator) -> Samples:
    length = filter_length(count)
    spectrum = np.fft.rfft(generator.standard_normal(length).astype(np.float32))
    frequency = np.maximum(np.arange(len(spectrum)) * SAMPLE_RATE / length, 20)
    if kind == "pink":
        spectrum = spectrum / np.sqrt(frequency)
    elif kind == "brown":
        spectrum = spectrum / frequency
    elif kind == "band":
        centre = rng.uniform(200, 4000)
        width = centre * rng.uniform(0.2, 0.8)
        spectrum = spectrum * np.exp(-(((frequency - centre) / width) ** 2))
    samples = np.fft.irfft(spectrum, length)[:count]
    if rng.random() < 0.3:  # some noises swell and fade
        time = np.arange(count) / SAMPLE_RATE
        samples = samples * (1 + 0.8 * np.sin(2 * np.pi * rng.uniform(0.2, 3) * time))
    return samples.astype(np.float32)


def _hum(count: int, rng: random.Random, generator: Generator) -> Samples:
    time = np.arange(count) / SAMPLE_RATE
    base = rng.choice([50, 60, 100, 120, rng.uniform(80, 400)])
    samples = 0.05 * generator.standard_normal(count)
    for harmonic in range(1, 8):
        phase = rng.random() * 6
        samples += rng.random() * np.sin(2 * np.pi * base * harmonic * time + phase)
    return samples.astype(np.float32)


def _clicks(count: int, rng: random.Random, generator: Generator) -> Samples:
    samples = 0.02 * generator.standard_normal(count)
    for _ in range(rng.randint(1, 12)):
        at = rng.randrange(count)
        length = min(count - at, rng.randint(20, 1200))
        decay = np.exp(-np.arange(length) / rng.uniform(20, 300))
        samples[at : at + length] += generator.standard_normal(length) * decay * rng.uniform(0.3, 2)
    return samples.astype(np.float32)


def _tone(count: int, rng: random.Random) -> Samples:
    time = np.arange(count) / SAMPLE_RATE
    samples = np.sin(2 * np.pi * rng.uniform(300, 2000) * time)
    samples += np.sin(2 * np.pi * rng.uniform(300, 2000) * time)
    if rng.random() < 0.6:
        samples *= np.sin(2 * np.pi * rng.uniform(0.5, 4) * time) > 0
    return samples.astype(np.float32)


def _dial(count: int, rng: random.Random) -> Samples:
    """Call progress: dial, ringback, busy, engaged and error tones."""
    time = np.arange(count) / SAMPLE_RATE + rng.uniform(0, 3)
    frequencies, on, off = rng.choice(_CALL_PROGRESS)
    samples = sum(np.sin(2 * np.pi * frequency * time) for frequency in frequencies)
    sounding = np.mod(time, on + off) < on
    return (samples * sounding + 1e-4).astype(np.float32)


def _dtmf(count: int, rng: random.Random) -> Samples:
    """Somebody typing on the key pad."""
    samples = np.full(count, 1e-4, np.float32)
    at = 0
    while at < count:
        length = min(count - at, int(SAMPLE_RATE * rng.uniform(0.06, 0.4)))
        time = np.arange(length) / SAMPLE_RATE
        for frequency in (rng.choice(_DTMF_ROWS), rng.choice(_DTMF_COLUMNS)):
            samples[at : at + length] += np.sin(2 * np.pi * frequency * time).astype(np.float32)
        at += length + int(SAMPLE_RATE * rng.uniform(0.05, 0.5))
    return samples


def _music(count: int, rng: random.Random) -> Samples:
    """Hold music, roughly: plucked or held chords of a scale, one beat after the other."""
    samples = np.full(count, 1e-4, np.float32)
    tonic = rng.uniform(110, 330)
    beat = rng.uniform(0.18, 0.7)
    decay = rng.choice([0.15, 0.4, 5.0])
    brightness = rng.uniform(0.8, 2.2)
    scale = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16) if rng.random() < 0.6 else (0, 2, 3, 5, 7, 8, 10, 12)
    for start in range(0, count, int(beat * SAMPLE_RATE)):
        length = min(count - start, int(beat * SAMPLE_RATE * rng.choice([1, 1, 2])))
        time = np.arange(length) / SAMPLE_RATE
        envelope = np.exp(-time / decay) * np.minimum(1, time / 0.01)
        for _ in range(rng.randint(1, 3)):
            pitch = tonic * 2 ** (rng.choice(scale) / 12)
            for harmonic in range(1, 7):
                if pitch * harmonic < 7500:
                    wave = np.sin(2 * np.pi * pitch * harmonic * time) / harmonic**brightness
                    samples[start : start + length] += (wave * envelope).astype(np.float32)
    return samples


def noise(count: int, rng: random.Random, generator: Generator, kind: str | None = None) -> Samples:
    """`count` samples of noise or tones with an RMS of 1; without `kind`, any noise."""
    kind = kind or rng.choice(NOISES)
    if kind in _COLOURED:
        return _unit(_coloured(kind, count, rng, generator))
    if kind == "hum":
        return _unit(_hum(count, rng, generator))
    if kind == "clicks":
        return _unit(_clicks(count, rng, generator))
    tones = {"tone": _tone, "dial": _dial, "dtmf": _dtmf, "music": _music}
    return _unit(tones[kind](count, rng))


def reverb(samples: Samples, rng: random.Random, generator: Generator) -> Samples:
    """A room: the direct sound and an exponentially dying tail of 50 to 350 ms."""
    tail = int(SAMPLE_RATE * rng.uniform(0.05, 0.35))
    decay = np.exp(-6.9 * np.arange(tail) / tail)
    response = generator.standard_normal(tail) * decay * rng.uniform(0.05, 0.3)
    response[: int(0.004 * SAMPLE_RATE)] = 0
    response[0] = 1
    length = filter_length(len(samples) + tail)
    product = np.fft.rfft(samples, length) * np.fft.rfft(response, length)
    return np.fft.irfft(product, length)[: len(samples)].astype(np.float32)


def add_noise(samples: Samples, sound: Samples, snr_db: float, speech_rms: float) -> Samples:
    """`sound` (RMS 1) under the speech: `snr_db` below the speech itself, not below its pauses."""
    return (samples + sound * speech_rms * 10 ** (-snr_db / 20)).astype(np.float32)


class Channel:
    """The random way from a mouth to the server, with babble of clips it has carried before."""

    _KEPT_CLIPS = 200

    def __init__(self, rng: random.Random, generator: Generator) -> None:
        self._rng, self._generator = rng, generator
        self._earlier: list[Samples] = []

    def carry(self, samples: Samples) -> Samples:
        rng, generator = self._rng, self._generator
        level = rms(samples) + 1e-6
        out = reverb(samples, rng, generator) if rng.random() < 0.33 else samples
        kind = rng.random()
        if kind < 0.62:
            sound = noise(len(out), rng, generator)
            snr_db = rng.uniform(2, 13) if rng.random() < 0.4 else rng.uniform(2, 30)
            out = add_noise(out, sound, snr_db, level)
        elif kind < 0.68:
            sound = noise(len(out), rng, generator, rng.choice(TONES))
            out = add_noise(out, sound, rng.uniform(10, 30), level)
        elif kind < 0.76 and len(self._earlier) > 20:
            out = add_noise(out, self._babble(len(out)), rng.uniform(8, 25), level)
        out = out / (np.abs(out).max() + 1e-6) * 0.9
        if rng.random() < 0.4:
            out = telephone(out, narrow=rng.random() < 0.8)
        if rng.random() < 0.1:
            out = np.clip(out * rng.uniform(1, 3), -0.9, 0.9)
        self._remember(samples)
        return quantise((out * 10 ** (rng.uniform(-30, 0) / 20)).astype(np.float32))

    def _babble(self, count: int) -> Samples:
        voices = [np.resize(self._rng.choice(self._earlier), count) for _ in range(4)]
        return _unit(np.sum(voices, axis=0))

    def _remember(self, samples: Samples) -> None:
        self._earlier.append(samples[: 3 * SAMPLE_RATE])
        if len(self._earlier) > self._KEPT_CLIPS:
            self._earlier.pop(self._rng.randrange(self._KEPT_CLIPS))


def nonspeech(rng: random.Random, generator: Generator) -> Samples:
    """0.4 to 10 s of silence, noise, telephone tones or music at any level: no text is right."""
    seconds = rng.uniform(0.4, 6) if rng.random() < 0.7 else rng.uniform(3, 10)
    count = int(SAMPLE_RATE * seconds)
    kind = rng.random()
    if kind < 0.12:
        return silence(seconds)
    samples = noise(count, rng, generator, rng.choice((*NOISES, *TONES)))
    if kind < 0.3:
        samples = samples + noise(count, rng, generator) * 0.5
    samples = samples / np.abs(samples).max() * 10 ** (rng.uniform(-75, 0) / 20)
    if rng.random() < 0.3:
        samples = telephone(samples)
    return quantise(samples.astype(np.float32))
