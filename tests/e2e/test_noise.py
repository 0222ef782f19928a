"""What is not speech never becomes a transcript, with the real detector and the demo models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.session import Speech
from tests.e2e import support

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

SECONDS = 30
N = SECONDS * SAMPLE_RATE
TIME: npt.NDArray[np.float64] = np.arange(N) / SAMPLE_RATE
Wave = npt.NDArray[np.float64]


def tones(*hertz: float) -> Wave:
    return sum((np.sin(2 * np.pi * f * TIME) for f in hertz), np.zeros(N)) / max(1, len(hertz))


def white() -> Wave:
    return np.random.default_rng(1).standard_normal(N) * 0.1


def coloured(power: float) -> Wave:
    """Noise whose spectrum falls by ``1 / f ** power``."""
    spectrum = np.fft.rfft(np.random.default_rng(2).standard_normal(N))
    hertz = np.maximum(np.fft.rfftfreq(N, 1 / SAMPLE_RATE), 20)
    noise = np.fft.irfft(spectrum / hertz ** (power / 2), N)
    return noise / np.std(noise) * 0.1


def on_and_off(wave: Wave, on_s: float, off_s: float) -> Wave:
    return wave * (TIME % (on_s + off_s) < on_s)


def siren() -> Wave:
    hertz = 700 + 300 * np.sin(2 * np.pi * 2 * TIME)
    return np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE) * 0.5


def dual_tones() -> Wave:
    """A telephone number dialled again and again: 100 ms each, 100 ms between."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    keys = np.random.default_rng(3).integers(12, size=N // (SAMPLE_RATE // 5) + 1)
    wave = np.zeros(N)
    for position, key in enumerate(keys):
        span = slice(position * SAMPLE_RATE // 5, position * SAMPLE_RATE // 5 + SAMPLE_RATE // 10)
        low, high = rows[key // 3], columns[key % 3]
        wave[span] = (np.sin(2 * np.pi * low * TIME[span]) + np.sin(2 * np.pi * high * TIME[span])) / 2
    return wave * 0.5


def music() -> Wave:
    """Chords and a melody of struck strings, 100 beats a minute."""
    chance, wave, beat = np.random.default_rng(4), np.zeros(N), round(0.6 * SAMPLE_RATE)
    chords = ((220, 262, 330), (175, 220, 262), (262, 330, 392), (196, 247, 294))
    for number, start in enumerate(range(0, N - 4 * beat, beat)):
        notes = [2 * chance.choice(chords[number // 4 % 4])]
        if number % 4 == 0:
            notes += chords[number // 4 % 4]
        span = slice(start, start + 4 * beat)
        t = TIME[: 4 * beat]
        for note in notes:
            for harmonic in range(1, 6):
                strength = np.exp(-t * (1.5 + harmonic)) * np.minimum(1, t / 0.005) / harmonic
                wave[span] += strength * np.sin(2 * np.pi * note * harmonic * t)
    return wave / np.max(np.abs(wave)) * 0.5


def clicks() -> Wave:
    """Someone types."""
    chance, wave = np.random.default_rng(5), np.zeros(N)
    for start in chance.integers(0, N - 400, SECONDS * 6):
        wave[start : start + 400] += chance.standard_normal(400) * np.exp(-np.arange(400) / 60) * 0.4
    return wave


def speech_like_noise() -> Wave:
    """Noise in the band of speech that swells four times a second, as syllables do."""
    spectrum = np.fft.rfft(np.random.default_rng(6).standard_normal(N))
    hertz = np.fft.rfftfreq(N, 1 / SAMPLE_RATE)
    spectrum[(hertz < 200) | (hertz > 3_400)] = 0
    noise = np.fft.irfft(spectrum, N)
    return noise / np.std(noise) * 0.1 * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * TIME))


NOT_SPEECH: dict[str, Callable[[], Wave]] = {
    "silence": lambda: np.zeros(N),
    "white noise": white,
    "quiet white noise": lambda: white() * 0.01,
    "pink noise": lambda: coloured(1),
    "brown noise": lambda: coloured(2),
    "mains hum": lambda: tones(50, 150, 250) * 0.5,
    "dial tone": lambda: tones(350, 440) * 0.5,
    "busy tone": lambda: on_and_off(tones(480, 620), 0.5, 0.5) * 0.5,
    "ringing tone": lambda: on_and_off(tones(440, 480), 2, 4) * 0.5,
    "hold beeps": lambda: on_and_off(tones(1_400), 0.2, 2.8) * 0.5,
    "alarm": lambda: (
        np.sin(2 * np.pi * np.cumsum(700 + 300 * np.sin(2 * np.pi * 2 * TIME)) / SAMPLE_RATE) * 0.5
    ),
    "dialling": dual_tones,
    "music": music,
    "typing": clicks,
    "speech-shaped noise": speech_like_noise,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech() -> AsyncIterator[Speech]:
    speech = support.demo_speech()
    yield speech
    await speech.aclose()


@pytest.mark.parametrize("kind", NOT_SPEECH)
async def test_what_is_not_speech_gets_no_final(speech: Speech, kind: str) -> None:
    wave: Samples = NOT_SPEECH[kind]().astype(np.float32)
    told = await support.hear(speech, wave)
    assert [final.text for final in support.finals(told)] == []
    assert told[-1].type == "session.ended"
    assert not [event for event in told if event.type in ("warning", "error")]
