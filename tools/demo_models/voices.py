"""Synthetic voices: espeak-ng through its library, with word and phoneme times, and flite.

Which voices are trained on and which are held out is decided here and nowhere else.
"""

from __future__ import annotations

import ctypes
import random
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from tools.demo_models.audio import SAMPLE_RATE, Samples, from_pcm16, read_wav, resample, warp


def _each(words: str) -> list[str]:
    """The words as a list: longer lists read better without quotes."""
    return words.split()


# espeak-ng variants that no training clip ever uses: the first eight since the first training
# round, the other six and the accent en-us-nyc since the second. The test clips use only the six
# and the accent.
HELD_OUT_VARIANTS = _each("f4 m7 Annie Michael edward linda robert klatt4")
NEVER_HEARD_VARIANTS = _each("gustave marcelo steph3 grandma klatt6 iven4")
NEVER_HEARD_ACCENT = "en-us-nyc"

_FEMALE = _each("f1 f2 f3 f5 Alicia Andrea anika belinda aunty shelby steph steph2")
_VARIANTS = [
    *_each("f1 f2 f3 f5 m1 m2 m3 m4 m5 m6 m8 klatt klatt2 klatt3 Alex Alicia Andrea Andy Denis"),
    *_each("Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Mike anika antonio aunty"),
    *_each("belinda benjamin boris caleb david ed iven john max michel miguel norbert pablo paul"),
    *_each("pedro quincy rob sandro shelby steph travis victor zac adam"),
    *_each("announcer AnxiousAndy grandpa iven2 iven3 kaukovalta Nguyen RicishayMax"),
    *_each("RicishayMax3 Storm Tweaky steph2 klatt5 fast whisper whisperf"),
]
# Most variants are male: the female ones count twice. The empty name is the plain voice.
TRAINING_VARIANTS = [*_VARIANTS, *_FEMALE, "", "", "", ""]
ACCENTS = {
    "en": [
        *("en-us", "en-us", "en-us", "en", "en", "en-gb-scotland", "en-gb-x-rp"),
        *("en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029"),
    ],
    "es": ["es", "es-419"],
    "de": ["de"],
    "fr": ["fr"],
}
FLITE_VOICES = [*["slt"] * 9, *["rms"] * 4, *["awb"] * 3, "kal16", "kal16", "kal", "kal"]
_FLITE_PITCH_HZ = {
    "slt": (125, 260),
    "rms": (75, 180),
    "awb": (85, 200),
    "kal": (75, 200),
    "kal16": (75, 200),
}
FLITE_SHARE = 0.36  # of English sentences; flite speaks no other language here

assert not set(TRAINING_VARIANTS) & {*HELD_OUT_VARIANTS, *NEVER_HEARD_VARIANTS}


class Word(NamedTuple):
    """A word of the label with its times in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """What a voice said. `words` and `phones` are None where the engine does not report times.

    `phones` are (phoneme, start in seconds); the last one marks the end.
    """

    samples: Samples
    words: tuple[Word, ...] | None = None
    phones: tuple[tuple[str, float], ...] | None = None

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    def warped(self, factor: float) -> Speech:
        """Slower and deeper (factor > 1) or faster and higher (< 1), times moved along."""
        samples = warp(self.samples, factor)
        exact = len(samples) / len(self.samples)
        words = self.words and tuple(Word(w, a * exact, b * exact) for w, a, b in self.words)
        phones = self.phones and tuple((p, t * exact) for p, t in self.phones)
        return Speech(samples, words, phones)


@dataclass(frozen=True)
class EspeakVoice:
    """espeak-ng voice name (accent+variant) and its parameters, in espeak's own units."""

    name: str
    rate_wpm: int
    pitch: int
    pitch_range: int
    word_gap: int

    def say(self, text: str) -> Speech:
        return _espeak().say(text, self)


@dataclass(frozen=True)
class FliteVoice:
    name: str
    stretch: float
    pitch_hz: int | None

    def say(self, text: str) -> Speech:
        settings = ["--setf", f"duration_stretch={self.stretch}"]
        if self.pitch_hz:
            settings += ["--setf", f"int_f0_target_mean={self.pitch_hz}"]
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = ["flite", "-voice", self.name, *settings, "-t", text, "-o", file.name]
            subprocess.run(command, check=True, capture_output=True)
            return Speech(read_wav(file.name))


Voice = EspeakVoice | FliteVoice


def espeak_voice(accents: Sequence[str], variants: Sequence[str], rng: random.Random) -> EspeakVoice:
    """A random espeak-ng voice of natural speed and pitch."""
    accent, variant = rng.choice(accents), rng.choice(variants)
    return EspeakVoice(
        name=accent + ("+" + variant if variant else ""),
        rate_wpm=rng.randint(112, 220),
        pitch=rng.randint(12, 88),
        pitch_range=rng.randint(12, 88),
        word_gap=rng.choice([0, 0, 0, 1, 3]),
    )


def training_voice(language: str, rng: random.Random) -> Voice:
    if language == "en" and rng.random() < FLITE_SHARE:
        name = rng.choice(FLITE_VOICES)
        pitch = rng.choice([None, rng.randint(*_FLITE_PITCH_HZ[name])])
        return FliteVoice(name, rng.uniform(0.75, 1.3), pitch)
    return espeak_voice(ACCENTS[language], TRAINING_VARIANTS, rng)


def never_heard_voice(rng: random.Random) -> EspeakVoice:
    """An English voice that no model was ever trained on, every third with a new accent too."""
    accents = [*ACCENTS["en"], *[NEVER_HEARD_ACCENT] * 6]
    return espeak_voice(accents, NEVER_HEARD_VARIANTS, rng)


def held_out_voice(language: str, rng: random.Random) -> EspeakVoice:
    return espeak_voice(ACCENTS[language], HELD_OUT_VARIANTS, rng)


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; the union is read as the eight bytes of a phoneme's name."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
# speak_lib.h: espeak_EVENT_TYPE, espeak_PARAMETER, and arguments of Initialize and Synth.
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_RATE, _PITCH, _RANGE, _WORDGAP = 1, 3, 4, 7
_SYNCHRONOUS, _PHONEME_EVENTS, _CHARS_UTF8, _BY_CHARACTER = 2, 1, 1, 1


class Espeak:
    """libespeak-ng, which is one global synthesiser per process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS)
        self._blocks: list[Samples] = []
        self._words: list[tuple[int, float]] = []
        self._phones: list[tuple[str, float]] = []
        self._callback = _CALLBACK(self._receive)  # kept: ctypes does not keep it alive
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if count > 0:
            self._blocks.append(from_pcm16(np.ctypeslib.as_array(samples, (count,))))
        index = 0
        while (event := events[index]).type != _EVENT_END:
            seconds = event.audio_position / 1000
            if event.type == _EVENT_WORD:
                self._words.append((event.text_position, seconds))
            elif event.type == _EVENT_PHONEME:
                self._phones.append((event.id.decode("utf8", "ignore").strip() or "_", seconds))
            index += 1
        return 0

    def say(self, text: str, voice: EspeakVoice) -> Speech:
        """Synthesise. Raises ValueError for a voice that espeak-ng does not have."""
        if self._library.espeak_SetVoiceByName(voice.name.encode()):
            raise ValueError(f"espeak-ng has no voice {voice.name!r}")
        for parameter, value in (
            (_RATE, voice.rate_wpm),
            (_PITCH, voice.pitch),
            (_RANGE, voice.pitch_range),
            (_WORDGAP, voice.word_gap),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._blocks, self._words, self._phones = [], [], []
        raw = text.encode() + b"\0"
        self._library.espeak_Synth(raw, len(raw), 0, _BY_CHARACTER, 0, _CHARS_UTF8, None, None)
        samples = resample(np.concatenate(self._blocks), self._rate, SAMPLE_RATE)
        audible = np.flatnonzero(np.abs(samples) > 1e-3)
        end = (audible[-1] + 1 if len(audible) else len(samples)) / SAMPLE_RATE
        words = _align(text, self._words, end)
        return Speech(samples, words, (*self._phones, ("_", end)))


def _align(text: str, events: list[tuple[int, float]], end: float) -> tuple[Word, ...]:
    """Word events (1-based text position, seconds) onto the words of the label.

    espeak-ng reports none for the first word, and one for merged function words ('for a'): those
    get their share of the time between their neighbours.
    """
    words = text.split()
    starts: list[float | None] = []
    position = 0
    for word in words:
        position = text.index(word, position)
        inside = [t for p, t in events if position <= p - 1 < position + len(word)]
        starts.append(inside[0] if inside else None)
        position += len(word)
    known = [0.0]
    for i in range(1, len(words)):
        start = starts[i]
        if start is None:
            later = [(j, t) for j in range(i, len(words)) if (t := starts[j]) is not None]
            j, bound = later[0] if later else (len(words), end)
            start = known[-1] + (bound - known[-1]) / (j - i + 1)
        known.append(start)
    return tuple(Word(w, a, b) for w, a, b in zip(words, known, [*known[1:], end], strict=True))


@cache
def _espeak() -> Espeak:
    return Espeak()
