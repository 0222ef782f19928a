"""Results of the benchmark of turns as they might have been: made, not measured."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from rtc_stt.bench.turns.result import Result
from rtc_stt.bench.turns.rows import TurnRow

SENTENCES = (
    "book a table for two at seven tonight",
    "please turn the heating up in the kitchen",
    "what time does the last train leave",
    "send a message to my sister that I am late",
    "how much is left on my account",
    "play something quiet for the evening",
    "cancel the meeting on Thursday afternoon",
)
SETS = {"single": 0, "pauses-300": 300, "pauses-600": 600, "back-to-back": 0, "whisper": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a recogniser is."""

    name: str = "rtc-stt"
    hangover_ms: int = 500
    decode_ms: float = 45.0
    spread: float = 0.3
    """Of the logarithm of its times."""
    first_ms: float = 300.0
    """From the first word's end to its partial."""
    has_partials: bool = True
    has_endpoints: bool = True
    unsteady: float = 0.05
    """How likely a partial has a word wrong at its end."""
    wrong: float = 0.03
    """How likely a word of a final is."""
    cut_off: float = 0.02
    lost: float = 0.0


def made(
    kind: Kind | None = None,
    *,
    seed: int = 1,
    turns: int = 24,
    rounds: int = 1,
    factor: float = 1.0,
    **own: Any,
) -> Result:
    """A result.

    Args:
        turns: of each set.
        factor: by which all times but the hangover are longer.
    """
    kind = kind or Kind()
    chance = random.Random(seed)
    rows, timelines = [], []
    for name, pause_ms in SETS.items():
        for number in range(turns):
            for round_ in range(rounds):
                row, timeline = _turn(kind, chance, name, pause_ms, number, round_, factor)
                rows.append(row)
                if round_ == 0 and (number == 0 or (row.is_cut_off and len(timelines) < 8)):
                    timelines.append(timeline)
    told: dict[str, Any] = {
        "target": {
            "name": kind.name,
            "kind": "webrtc",
            "models": {"fast": "demo-fast", "accurate": "demo-accurate"},
        },
        "hangover_ms": kind.hangover_ms,
        "rounds": rounds,
        "cold": {"start_ms": 2140.0, "connect_ms": {"p50": 61.0, "n": 1}, "first_turn_ttfs_ms": 590.0},
        "send_lag_ms": {"p50": 0.2, "p95": 0.6, "p99": 1.1, "n": 40_000},
        "timelines": timelines,
        "data": {"folder": "tests/turns", "sha256": "5f1c22ab90de1188", "scenes": turns * len(SETS)},
        "provenance": {
            "date": "2026-01-31",
            "machine": {"cpu": "A processor at 2.60GHz", "cores": 2, "python": "3.11.9"},
            "packages": {"ctranslate2": "4.8.5", "numpy": "2.1.0"},
            "models": {"demo-fast": "0123456789abcdef"},
            "commit": "1a2b3c4",
        },
    }
    return Result(rows=rows, **(told | own))


def _turn(
    kind: Kind, chance: random.Random, name: str, pause_ms: int, number: int, round_: int, factor: float
) -> tuple[TurnRow, Any]:
    said = SENTENCES[number % len(SENTENCES)].split()
    words = _spoken(said, pause_ms, chance)
    start, end = words[0][1], words[-1][2]
    took = factor * kind.decode_ms * math.exp(chance.gauss(0, kind.spread))
    endpoint = end + kind.hangover_ms + 30 + 12 * abs(chance.gauss(0, 1))
    final = endpoint + took
    heard = [w if chance.random() > kind.wrong else w + "s" for w in said]
    is_lost = chance.random() < kind.lost
    cut_off = chance.random() < kind.cut_off + (0.25 if pause_ms >= kind.hangover_ms else 0.0)
    events, erased, revised, lags = _partials(kind, chance, words, heard, factor)
    ttfp = next((e["at_ms"] for e in events if e["text"].split()[0] == said[0]), None)
    if cut_off and kind.has_endpoints:
        events.append({"at_ms": words[len(words) // 2][2] + kind.hangover_ms + 40.0, "type": "endpoint"})
    if kind.has_partials and pause_ms == 0:
        events.append({"at_ms": end + 240.0, "type": "eager", "text": " ".join(heard)})
    if kind.has_endpoints:
        events.append({"at_ms": round(endpoint, 1), "type": "endpoint"})
    if not is_lost:
        events.append({"at_ms": round(final, 1), "type": "final", "text": " ".join(heard)})
    errors = sum(a != b for a, b in zip(said, heard, strict=True))
    row = TurnRow(
        scene=f"{name}-{number}",
        turn=f"{name}-{number}-1",
        set=name,
        speaker=0,
        round=round_,
        language="en",
        said=" ".join(said),
        heard="" if is_lost else " ".join(heard),
        finals=0 if is_lost else 1,
        is_timed_out=is_lost,
        ttfs_ms=10_000.0 if is_lost else final - end,
        eou_ms=endpoint - end if kind.has_endpoints else None,
        endpoint_to_final_ms=None if is_lost or not kind.has_endpoints else final - endpoint,
        is_cut_off=cut_off,
        pause_ms=pause_ms,
        ttfp_ms=None if ttfp is None else ttfp - start,
        has_partials=kind.has_partials,
        wel_ms=tuple(120 + 400 * chance.random() for _ in said) if kind.has_partials else (),
        partial_lag_ms=tuple(lags),
        erased_words=erased,
        shown_words=0 if is_lost else len(heard),
        revised_words=revised,
        retractions=0,
        word_errors=len(said) if is_lost else errors,
        words=len(said),
        char_errors=sum(map(len, said)) if is_lost else errors,
        chars=sum(map(len, said)),
    )
    return row, {
        "scene": row.scene,
        "set": name,
        "speaker": 0,
        "audio_ms": int(end + 400),
        "envelope": _envelope(words, end + 400, chance),
        "turns": [{"start_ms": start, "end_ms": end, "text": row.said, "words": words}],
        "events": sorted(events, key=lambda event: event["at_ms"]),
    }


def _spoken(said: list[str], pause_ms: int, chance: random.Random) -> list[tuple[str, float, float]]:
    at, words = 320.0, []
    for place, word in enumerate(said):
        if place == len(said) // 2:
            at += pause_ms
        length = 90.0 + 48 * len(word) + chance.randrange(60)
        words.append((word, round(at), round(at + length)))
        at += length + 25
    return words


def _partials(
    kind: Kind, chance: random.Random, words: list[tuple[str, float, float]], heard: list[str], factor: float
) -> tuple[list[dict[str, Any]], int, int, list[float]]:
    events: list[dict[str, Any]] = []
    erased = revised = 0
    lags: list[float] = []
    for count in range(1, len(words) + 1) if kind.has_partials else ():
        lag = factor * kind.first_ms * math.exp(chance.gauss(0, kind.spread)) * (1.0 if count == 1 else 0.5)
        shown = heard[:count]
        if chance.random() < kind.unsteady:
            shown = [*shown[:-1], "the" if shown[-1] != "the" else "a"]
            erased, revised = erased + 1, revised + 1
        at_ms = max(words[count - 1][2] + lag, events[-1]["at_ms"] + 20 if events else 0.0)
        if at_ms > words[-1][2] + 380:
            break
        stable = " ".join(heard[: max(0, count - 2)])
        events.append(
            {
                "at_ms": round(at_ms, 1),
                "type": "partial",
                "text": " ".join(shown),
                "stable_chars": len(stable),
            }
        )
        lags.append(lag)
    return events, erased, revised, lags


def _envelope(words: list[tuple[str, float, float]], length_ms: float, chance: random.Random) -> list[float]:
    levels = [0.01 + 0.01 * chance.random() for _ in range(int(length_ms / 20))]
    for _, start, end in words:
        for frame in range(int(start / 20), min(len(levels), int(end / 20))):
            share = (frame * 20 - start) / (end - start)
            levels[frame] = round(
                0.15 + 0.8 * math.sin(math.pi * min(1, max(0, share))) * (0.55 + 0.45 * chance.random()), 3
            )
    return [min(1.0, level) for level in levels]
