"""The clips of the demo page's "play a sample", chosen by listening with the models themselves.

Each sample is drawn again and again from a fixed seed until the models do with it what the page
wants to show: all right, or, for the noisy one, the fast model wrong and unsure and the accurate
one right.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rtc_stt.bench.words import normalise, word_errors
from rtc_stt.demo_models import ACCURATE, FAST
from tools.demo_models import fsdd
from tools.demo_models.audio import SAMPLE_RATE, Samples, rms, silence, speech_bounds, write_wav
from tools.demo_models.augment import add_noise, noise
from tools.demo_models.decode import Decoder
from tools.demo_models.grammar import DIGITS, held_out_with_slots
from tools.demo_models.voices import FliteVoice, Speech, held_out_voice, never_heard_voice

_LEAD_SECONDS, _TAIL_SECONDS = 0.4, 0.7
_SPEECH_LEVEL_DBFS = -24.0
_PAUSE_SECONDS = 0.35
_NOISE_SNR_DB = 8.0
_TRIES = 400
_TEST_SPEAKER = "yweweler"
# What the templates make and nobody says.
_AWKWARD = re.compile(r"\bon (this|next|today|tomorrow|tonight)\b|\bto (\w+) on \1\b")
_PAUSE_BEFORE = frozenset({"at", "on", "for", "to", "in", "from", "that"})


@dataclass(frozen=True)
class Draw:
    """A candidate: what it says and its samples, without lead and tail."""

    text: str
    samples: Samples


@dataclass(frozen=True)
class Kind:
    """One sample of the page. `shows_routing`: wanted is a fast model that errs and knows it."""

    id: str
    title: str
    language: str
    seed: int
    draw: Callable[[random.Random], Draw | None]
    shows_routing: bool = False


def _sentence(language: str, rng: random.Random, opening: str, fewest_words: int = 0) -> str:
    fitting = [
        text
        for text in held_out_with_slots(language)
        if text.startswith(tuple(opening.split("|")))
        and len(text.split()) >= fewest_words
        and not _AWKWARD.search(text)
    ]
    return rng.choice(fitting)


def _trimmed(samples: Samples) -> Samples:
    start, end = speech_bounds(samples)
    margin = 0.02
    first = max(0, int((start - margin) * SAMPLE_RATE))
    return samples[first : int((end + margin) * SAMPLE_RATE)]


def _booking(rng: random.Random) -> Draw:
    text = _sentence("en", rng, "I'd like to book|Book a table|Can I book|I want to book", 8)
    voice = FliteVoice("slt", rng.uniform(0.95, 1.1), None)
    return Draw(text, _trimmed(voice.say(text).samples))


def _with_pause(rng: random.Random) -> Draw | None:
    """A pause before a preposition, where speakers think, at the quietest moment around there."""
    text = _sentence("en", rng, "I |Can |Set |Please |Remind |Change |Send |Book ", 8)
    speech: Speech = never_heard_voice(rng).say(text)
    assert speech.words is not None
    places = [word for word in speech.words[3:] if word.text in _PAUSE_BEFORE]
    if not places:
        return None
    boundary = rng.choice(places).start
    around = range(int((boundary - 0.04) * SAMPLE_RATE), int((boundary + 0.04) * SAMPLE_RATE), 40)
    quietest = min(around, key=lambda at: rms(speech.samples[at - 80 : at + 80]))
    if rms(speech.samples[quietest - 80 : quietest + 80]) > 0.05 * rms(speech.samples):
        return None  # the words run into each other: a pause there would be a cut
    before, after = speech.samples[:quietest], speech.samples[quietest:]
    return Draw(text, _trimmed(np.concatenate([before, silence(_PAUSE_SECONDS), after])))


def _noisy(rng: random.Random) -> Draw:
    text = _sentence("en", rng, "I |What |Turn |Send |Book |Remind |Set |Call |Please ", 6)
    speech = _trimmed(FliteVoice("rms", rng.uniform(0.95, 1.1), None).say(text).samples)
    return Draw(text, speech)


def _spanish(rng: random.Random) -> Draw:
    text = _sentence("es", rng, "Quiero|Necesito|Enciende", 5)
    return Draw(text, _trimmed(held_out_voice("es", rng).say(text).samples))


def _human_digits(recordings: list[fsdd.Recording]) -> Callable[[random.Random], Draw]:
    """Seven digits in groups of three and four, as a telephone number is said."""
    pool = sorted(
        (recording for recording in recordings if recording.speaker == _TEST_SPEAKER),
        key=lambda recording: recording.path.name,
    )

    def draw(rng: random.Random) -> Draw:
        parts: list[Samples] = []
        chosen = rng.sample(pool, 7)
        for index, recording in enumerate(chosen):
            gap = rng.uniform(0.2, 0.25) if index == 2 else rng.uniform(0.04, 0.1)
            parts += [recording.samples(), silence(gap)]
        text = " ".join(DIGITS[recording.digit] for recording in chosen).capitalize() + "."
        return Draw(text, np.concatenate(parts[:-1]))

    return draw


def kinds(recordings: list[fsdd.Recording]) -> list[Kind]:
    return [
        Kind("booking", "A table, clearly spoken", "en", 1, _booking),
        Kind("digits", "Seven digits, a human voice", "en", 2, _human_digits(recordings)),
        Kind("pause", "A pause inside the sentence", "en", 3, _with_pause),
        Kind("noisy", "In noise (8 dB)", "en", 4, _noisy, shows_routing=True),
        Kind("spanish", "Spanish", "es", 5, _spanish),
    ]


def _finish(kind: Kind, draw: Draw, rng: random.Random) -> Samples:
    """Level, lead, tail and, for the noisy one, noise all through."""
    level = 10 ** (_SPEECH_LEVEL_DBFS / 20)
    speech = (draw.samples * (level / rms(draw.samples))).astype(np.float32)
    samples = np.concatenate([silence(_LEAD_SECONDS), speech, silence(_TAIL_SECONDS)])
    generator = np.random.default_rng(rng.randrange(1 << 30))
    if not kind.shows_routing:
        return (samples + 2e-5 * generator.standard_normal(len(samples))).astype(np.float32)
    # Over the pauses within the speech too, so the ratio is that of speech and noise while somebody
    # speaks.
    return add_noise(samples, noise(len(samples), rng, generator, "pink"), _NOISE_SNR_DB, level)


def _fits(kind: Kind, draw: Draw, samples: Samples, fast: Decoder, accurate: Decoder) -> bool:
    """Do both models do with this clip what the page shows?"""
    best = accurate.decode(samples, kind.language)
    first = fast.decode(samples, kind.language)
    if word_errors(draw.text, best.text)[0] or accurate.decode(samples, None).language != kind.language:
        return False
    errors = word_errors(draw.text, first.text)[0]
    sure = np.exp(first.avg_logprob)
    if kind.shows_routing:
        # A word taken for another shows more than a sentence that fell apart.
        as_long = len(normalise(first.text)) == len(normalise(draw.text))
        return as_long and 0 < errors <= 2 and sure < FAST.logprob_threshold - 0.05
    return errors == 0 and sure > FAST.logprob_threshold + 0.02


def write_samples(folder: Path, recordings: list[fsdd.Recording]) -> list[dict[str, str]]:
    """Write the WAV files and `samples.json`; returns the listing.

    Raises RuntimeError where no candidate fits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fast, accurate = Decoder(FAST.path), Decoder(ACCURATE.path)
    listing = []
    for kind in kinds(recordings):
        rng = random.Random(kind.seed)
        for _ in range(_TRIES):
            draw = kind.draw(rng)
            if draw is None:
                continue
            samples = _finish(kind, draw, rng)
            if _fits(kind, draw, samples, fast, accurate):
                break
        else:
            raise RuntimeError(f"no candidate for the sample {kind.id!r} in {_TRIES} tries")
        write_wav(folder / f"{kind.id}.wav", samples)
        entry = Entry(kind.id, f"{kind.id}.wav", kind.title, kind.language, draw.text)
        listing.append(asdict(entry))
        print(f"{kind.id:8s} {len(samples) / SAMPLE_RATE:.1f} s  {draw.text}")
        print(f"         fast: {fast.decode(samples, kind.language).text}")
    text = json.dumps(listing, ensure_ascii=False, indent=2)
    (folder / "samples.json").write_text(text + "\n", "utf-8")
    return listing


@dataclass(frozen=True)
class Entry:
    """One entry of `samples.json`."""

    id: str
    file: str
    title: str
    language: str
    text: str
