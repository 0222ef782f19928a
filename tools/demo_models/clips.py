"""The committed test clips (`tests/clips`): known text, known times, the same for everybody.

Times come from the synthesiser's word events and from the energy of the clean signal before any
noise is added, never from a voice activity detector. Sentences and voices are none that training
has ever used.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tools.demo_models import fsdd
from tools.demo_models.audio import (
    SAMPLE_RATE,
    Samples,
    rms,
    speech_bounds,
    write_flac,
)
from tools.demo_models.augment import NOISES, add_noise, noise, telephone
from tools.demo_models.grammar import DIGITS, held_out_with_slots
from tools.demo_models.voices import Speech, Word, never_heard_voice

CLEAN_CLIPS, NOISY_CLIPS, DIGIT_CLIPS = 60, 80, 40
DIGITS_PER_CLIP = 4
# One seed a set, so that a change to one leaves the others alone.
_SEEDS = {"clean": 20_260_101, "noisy": 20_260_202, "digits": 20_260_303}
_LEAD_SECONDS, _TAIL_SECONDS = (0.32, 0.6), (0.32, 0.6)
_LONGEST_SECONDS = {"clean": 3.8, "noisy": 3.4}  # the whole folder has to stay under 6 MB
_SNR_DB = (5.0, 12.0)
_SPEECH_LEVEL_DBFS = {"clean": (-30.0, -26.0), "noisy": (-40.0, -35.0), "digits": (-30.0, -26.0)}
_ROOM_FLOOR = 2e-5  # under one step of 16 bits: no microphone gives digital silence
# Human recordings have a noise floor of their own: what is 30 dB under the loudest 5 ms is no
# speech.
_DIGIT_BELOW_PEAK_DB = 30.0
_TEST_SPEAKER = "yweweler"


@dataclass(frozen=True)
class TestClip:
    """One entry of `manifest.json`.

    `file` is relative to it; times are integer ms from the start of the file.
    """

    id: str
    file: str
    set: str
    text: str
    language: str
    speech_start_ms: int
    speech_end_ms: int
    words: list[dict[str, str | int]]


@dataclass(frozen=True)
class _Laid:
    """Clean speech in its clip: true bounds and words in seconds of the clip."""

    samples: Samples
    start: float
    end: float
    words: list[Word]


def _lay(speech: Speech, rng: random.Random, below_peak_db: float = 40.0) -> _Laid:
    """Put speech between lead and tail, measured from where its energy really begins and ends."""
    assert speech.words is not None
    start, end = speech_bounds(speech.samples, below_peak_db)
    first, last = int(start * SAMPLE_RATE), int(end * SAMPLE_RATE)
    # Keep 20 ms around the bounds: what is under the threshold there still belongs to the sound.
    margin = SAMPLE_RATE // 50
    cut = max(0, first - margin)
    body = speech.samples[cut : last + margin]
    lead = int(rng.uniform(*_LEAD_SECONDS) * SAMPLE_RATE)
    tail = int(rng.uniform(*_TAIL_SECONDS) * SAMPLE_RATE)
    samples = np.concatenate([np.zeros(lead, np.float32), body, np.zeros(tail, np.float32)])
    shift = (lead - cut) / SAMPLE_RATE
    start, end = start + shift, end + shift
    words = []
    for index, word in enumerate(speech.words):
        begins = start if index == 0 else min(max(word.start + shift, start), end)
        ends = end if index == len(speech.words) - 1 else min(word.end + shift, end)
        words.append(Word(word.text.strip(".,?!¿"), begins, ends))
    return _Laid(samples, start, end, words)


def _at_level(laid: _Laid, dbfs: float) -> Samples:
    """The clip with its speech (not its silence) at an RMS of `dbfs`."""
    speech = laid.samples[int(laid.start * SAMPLE_RATE) : int(laid.end * SAMPLE_RATE)]
    return (laid.samples * 10 ** (dbfs / 20) / rms(speech)).astype(np.float32)


def _entry(name: str, index: int, text: str, laid: _Laid) -> TestClip:
    identifier = f"{name}-{index:03d}"
    return TestClip(
        id=identifier,
        file=f"{name}/{identifier}.flac",
        set=name,
        text=text,
        language="en",
        speech_start_ms=round(laid.start * 1000),
        speech_end_ms=round(laid.end * 1000),
        words=[
            {"word": w.text, "start_ms": round(w.start * 1000), "end_ms": round(w.end * 1000)}
            for w in laid.words
        ],
    )


def _sentences(name: str) -> list[str]:
    """Held-out sentences, other ones for each set."""
    pool = list(held_out_with_slots("en"))
    random.Random(20_260_000).shuffle(pool)
    middle = len(pool) * CLEAN_CLIPS // (CLEAN_CLIPS + NOISY_CLIPS)
    return pool[:middle] if name == "clean" else pool[middle:]


def _spoken(name: str, count: int, rng: random.Random) -> Iterator[tuple[str, _Laid]]:
    """`count` held-out sentences by never-heard voices; those that come out too long are left."""
    made = 0
    for text in _sentences(name):
        laid = _lay(never_heard_voice(rng).say(text), rng)
        if len(laid.samples) <= _LONGEST_SECONDS[name] * SAMPLE_RATE:
            yield text, laid
            made += 1
        if made == count:
            return
    raise RuntimeError(f"only {made} of {count} sentences of the set {name} are short enough")


def clean_clips() -> Iterator[tuple[TestClip, Samples]]:
    rng = random.Random(_SEEDS["clean"])
    generator = np.random.default_rng(_SEEDS["clean"])
    for index, (text, laid) in enumerate(_spoken("clean", CLEAN_CLIPS, rng)):
        samples = _at_level(laid, rng.uniform(*_SPEECH_LEVEL_DBFS["clean"]))
        floor = generator.standard_normal(len(samples)) * _ROOM_FLOOR
        yield _entry("clean", index, text, laid), (samples + floor).astype(np.float32)


def noisy_clips() -> Iterator[tuple[TestClip, Samples]]:
    """Noise 5 to 12 dB under the speech, lead and tail included; half are telephone band."""
    rng = random.Random(_SEEDS["noisy"])
    generator = np.random.default_rng(_SEEDS["noisy"])
    for index, (text, laid) in enumerate(_spoken("noisy", NOISY_CLIPS, rng)):
        level = rng.uniform(*_SPEECH_LEVEL_DBFS["noisy"])
        sound = noise(len(laid.samples), rng, generator, NOISES[index // 2 % len(NOISES)])
        mixed = add_noise(_at_level(laid, level), sound, rng.uniform(*_SNR_DB), 10 ** (level / 20))
        if index % 2:
            mixed = _through_telephone(mixed)
        yield _entry("noisy", index, text, laid), mixed.astype(np.float32)


def _through_telephone(samples: Samples) -> Samples:
    """mu-law is made for full levels: up, through, and down again."""
    gain = np.float32(0.7 / np.abs(samples).max())
    return (telephone(samples * gain) / gain).astype(np.float32)


def digit_clips(recordings: Iterable[fsdd.Recording]) -> Iterator[tuple[TestClip, Samples]]:
    """Strings of four human digits of the speaker kept for testing. No recording is used twice."""
    rng = random.Random(_SEEDS["digits"])
    generator = np.random.default_rng(_SEEDS["digits"])
    pool = _of_test_speaker(recordings, rng)
    for index in range(DIGIT_CLIPS):
        chosen = pool[index * DIGITS_PER_CLIP : (index + 1) * DIGITS_PER_CLIP]
        speech = join_digits(chosen, rng)
        assert speech.words is not None
        laid = _lay(speech, rng, _DIGIT_BELOW_PEAK_DB + 5)
        text = " ".join(word.text for word in speech.words).capitalize() + "."
        samples = _at_level(laid, rng.uniform(*_SPEECH_LEVEL_DBFS["digits"]))
        floor = generator.standard_normal(len(samples)) * _ROOM_FLOOR
        yield _entry("digits", index, text, laid), (samples + floor).astype(np.float32)


def _of_test_speaker(recordings: Iterable[fsdd.Recording], rng: random.Random) -> list[fsdd.Recording]:
    pool = [recording for recording in recordings if recording.speaker == _TEST_SPEAKER]
    if len(pool) < DIGIT_CLIPS * DIGITS_PER_CLIP:
        raise ValueError(f"there are too few recordings of the test speaker {_TEST_SPEAKER}")
    return rng.sample(sorted(pool, key=lambda recording: recording.path.name), len(pool))


def digits_left_over(recordings: Iterable[fsdd.Recording]) -> list[fsdd.Recording]:
    """Recordings of the test speaker that no clip uses, shuffled."""
    pool = _of_test_speaker(recordings, random.Random(_SEEDS["digits"]))
    return pool[DIGIT_CLIPS * DIGITS_PER_CLIP :]


def join_digits(chosen: list[fsdd.Recording], rng: random.Random) -> Speech:
    """Recordings after each other, each trimmed to its sound, with gaps of 80 to 300 ms."""
    fade = np.linspace(0, 1, SAMPLE_RATE // 200, dtype=np.float32)
    parts: list[Samples] = []
    words: list[Word] = []
    now = 0.0
    for recording in chosen:
        samples = recording.samples()
        start, end = speech_bounds(samples, _DIGIT_BELOW_PEAK_DB)
        first = max(0, int(start * SAMPLE_RATE) - len(fade))
        piece = samples[first : int(end * SAMPLE_RATE) + len(fade)].copy()
        piece[: len(fade)] *= fade
        piece[-len(fade) :] *= fade[::-1]
        begins = now + start - first / SAMPLE_RATE
        words.append(Word(DIGITS[recording.digit], begins, begins + end - start))
        gap = np.zeros(int(rng.uniform(0.08, 0.3) * SAMPLE_RATE), np.float32)
        parts += [piece, gap]
        now += (len(piece) + len(gap)) / SAMPLE_RATE
    return Speech(np.concatenate(parts[:-1]), tuple(words))


def write_test_clips(folder: Path, recordings: Iterable[fsdd.Recording]) -> int:
    """Write all sets and the manifest. Returns the bytes written."""
    entries = []
    for clips in (clean_clips(), noisy_clips(), digit_clips(recordings)):
        for entry, samples in clips:
            path = folder / entry.file
            path.parent.mkdir(parents=True, exist_ok=True)
            write_flac(path, samples)
            entries.append(entry)
    # One clip a line: a change of the set reads as a diff.
    lines = ",\n".join(json.dumps(asdict(entry), ensure_ascii=False) for entry in entries)
    (folder / "manifest.json").write_text(f"[\n{lines}\n]\n", "utf-8")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
