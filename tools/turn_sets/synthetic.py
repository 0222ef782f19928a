"""The scenes of synthetic voices. Each is a function of its number and its own random numbers."""

from __future__ import annotations

import random

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.turns.scene import Turn
from tools.demo_models.voices import (
    NEVER_HEARD_ACCENT,
    EspeakVoice,
    Speech,
    espeak_voice,
    held_out_voice,
    never_heard_voice,
)
from tools.turn_sets import scripts
from tools.turn_sets.sound import GRID_MS, Spoken, lay, spoken

Laid = tuple[Samples, list[Turn]]
"""The sound of a scene before the room's floor is added, and what is said in it."""

_LEVEL_DBFS, _WHISPER_DBFS = (-30.0, -26.0), (-36.0, -33.0)
_LEAD_MS, _TAIL_MS = (300, 600), (300, 500)
_BETWEEN_TURNS_MS = (900, 1500)
_BETWEEN_SENTENCES_MS = (120, 250)
_SHORTEST_MONOLOGUE_MS = 32_000
_WHISPERS = ("whisper", "whisperf")
_ALONE_MS = (1_500, 3_000)
"""How long the agent speaks before the user does."""
_STILL_MS = 500
"""How long it goes on after the user has ended: it takes a while to understand that it is spoken to."""
_FAR_END_DB = (18, 18, 12, 12)
"""How far it is under the user, by scene: what a good echo canceller leaves, and a poor one."""


def single(number: int, identifier: str, rng: random.Random) -> Laid:
    text = scripts.SINGLE[number]
    return _scene(identifier, rng, [(_say(text, never_heard_voice(rng)), "en")])


def pause(length_ms: int, number: int, identifier: str, rng: random.Random) -> Laid:
    """Both parts are said by themselves, the first with the voice held up as before a comma."""
    first, second = scripts.PAUSES[length_ms][number].split(" | ")
    voice = never_heard_voice(rng)
    turn = spoken([(first, voice.say(first + ",")), (second, voice.say(second))], [length_ms])
    return _scene(identifier, rng, [(turn, "en")])


def back_to_back(number: int, identifier: str, rng: random.Random) -> Laid:
    """One who answers questions that are not heard here; in every other scene, two who take turns."""
    voices = [never_heard_voice(rng)] * (1 if number % 2 == 0 else 2)
    if number % 2:
        voices[1] = never_heard_voice(rng)
    texts = scripts.BACK_TO_BACK[number]
    turns = [(_say(text, voices[i % len(voices)]), "en") for i, text in enumerate(texts)]
    return _scene(identifier, rng, turns)


def barge_in(number: int, identifier: str, rng: random.Random) -> Laid:
    """The agent's voice is under all of the user's turn, and is nobody's turn."""
    user = _say(scripts.BARGE_IN[number], never_heard_voice(rng)).at_level(_LEVEL_DBFS[1])
    voice = never_heard_voice(rng)
    begins, alone = _drawn(_LEAD_MS, rng), _drawn(_ALONE_MS, rng)
    samples, [shift] = lay([user], begins + alone, [], _STILL_MS + _drawn(_TAIL_MS, rng))
    [turn] = [user.turn(f"{identifier}.1", "en", shift)]
    lasts = turn.end_ms + _STILL_MS - begins
    texts = [scripts.FAR_END[(number + i) % len(scripts.FAR_END)] for i in range(8)]
    agent = _until(texts, voice, rng, lasts).at_level(_LEVEL_DBFS[1] - _FAR_END_DB[number])
    first, count = begins * SAMPLE_RATE // 1000, lasts * SAMPLE_RATE // 1000
    far = agent.samples[:count].copy()
    fade = SAMPLE_RATE // 50
    far[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    samples[first : first + count] += far
    return samples, [turn]


def whisper(number: int, identifier: str, rng: random.Random) -> Laid:
    voice = espeak_voice([NEVER_HEARD_ACCENT], [_WHISPERS[number % 2]], rng)
    return _scene(identifier, rng, [(_say(scripts.WHISPER[number], voice), "en")], _WHISPER_DBFS)


def monologue(number: int, identifier: str, rng: random.Random) -> Laid:
    turn = _until(scripts.MONOLOGUE[number], never_heard_voice(rng), rng, _SHORTEST_MONOLOGUE_MS)
    return _scene(identifier, rng, [(turn, "en")])


def languages(number: int, identifier: str, rng: random.Random) -> Laid:
    turns = []
    for language, text in scripts.LANGUAGES[number]:
        voice = never_heard_voice(rng) if language == "en" else held_out_voice(language, rng)
        turns.append((_say(text, voice), language))
    return _scene(identifier, rng, turns)


def _say(text: str, voice: EspeakVoice) -> Spoken:
    return spoken([(text, voice.say(text))])


def _until(
    texts: tuple[str, ...] | list[str], voice: EspeakVoice, rng: random.Random, lasts_ms: int
) -> Spoken:
    """Sentences of one voice without a real pause, until it has spoken so long."""
    parts: list[tuple[str, Speech]] = []
    gaps: list[int] = []
    for text in texts:
        parts.append((text, voice.say(text)))
        turn = spoken(parts, gaps)
        if turn.end_ms - turn.start_ms >= lasts_ms:
            return turn
        gaps.append(_drawn(_BETWEEN_SENTENCES_MS, rng))
    raise RuntimeError(f"{len(texts)} sentences do not last {lasts_ms} ms: write more of them")


def _scene(
    identifier: str,
    rng: random.Random,
    turns: list[tuple[Spoken, str]],
    level_dbfs: tuple[float, float] = _LEVEL_DBFS,
) -> Laid:
    levelled = [turn.at_level(rng.uniform(*level_dbfs)) for turn, _ in turns]
    gaps = [_drawn(_BETWEEN_TURNS_MS, rng) for _ in turns[1:]]
    samples, shifts = lay(levelled, _drawn(_LEAD_MS, rng), gaps, _drawn(_TAIL_MS, rng))
    numbered = enumerate(zip(levelled, turns, shifts, strict=True), 1)
    return samples, [
        turn.turn(f"{identifier}.{number}", language, shift)
        for number, (turn, (_, language), shift) in numbered
    ]


def _drawn(span_ms: tuple[int, int], rng: random.Random) -> int:
    """A whole number of windows within the span, in ms."""
    return rng.randrange(span_ms[0], span_ms[1] + 1, GRID_MS)
