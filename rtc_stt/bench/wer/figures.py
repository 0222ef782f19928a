"""The result as JSON: rates, what was decoded again, the curves and what is recommended. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rtc_stt.bench.wer.heard import Cost, Heard, Piece
from rtc_stt.bench.wer.rates import Floats, interval, percent
from rtc_stt.bench.wer.sweep import Choice, Stability, Sweep, choose, stability, sweep
from rtc_stt.bench.words import char_errors, word_errors
from rtc_stt.config import Routing
from rtc_stt.config_keys import keys
from rtc_stt.hypothesis import Hypothesis, Tier
from rtc_stt.stabilizer import split_words

__all__ = ["figures", "rows"]

UNITS: Mapping[str, Callable[[Cost], float]] = {
    "cpu": lambda cost: cost.cpu_s,
    "cuda": lambda cost: cost.wall_s,
}
"""What a second of decoding is, by device."""

UNIT_NAMES = {"cpu": "CPU seconds", "cuda": "GPU seconds"}


@dataclass(frozen=True, slots=True)
class _System:
    """What one way of hearing came to, by recording: shape ``(n,)`` each."""

    texts: Sequence[str]
    wrong_words: Floats
    wrong_chars: Floats
    seconds: Floats


@dataclass(frozen=True, slots=True)
class _Table:
    """All ways, and what was to be heard."""

    systems: Mapping[str, _System]
    words: Floats
    chars: Floats
    audio_s: Floats


def figures(heards: Sequence[Heard], routing: Routing, device: str) -> dict[str, Any]:
    """Rates, what was re-decoded, the sweep and what is recommended.

    Args:
        heards: at least one, with a word in its transcript.
        device: ``cpu`` or ``cuda``; says which seconds count.
    """
    seconds = UNITS[device]
    table = _table(heards, routing, seconds)
    swept = sweep(
        heards,
        routing,
        words=table.words,
        errors=lambda transcript, text: word_errors(transcript, text)[0],
        seconds=seconds,
    )
    choice = choose(swept)
    sets = sorted({heard.recording.set for heard in heards})
    chosen = {name: np.array([heard.recording.set == name for heard in heards]) for name in sets}
    return {
        "recordings": len(heards),
        "audio_s": round(float(table.audio_s.sum()), 1),
        "words": int(table.words.sum()),
        "seconds": UNIT_NAMES[device],
        "routing": {keys(Routing)[name].name: getattr(routing, name) for name in _KEYS},
        "rates": {
            "all": _rates(table, np.ones(len(heards), bool)),
            "sets": {name: _rates(table, which) for name, which in chosen.items() if len(sets) > 1},
        },
        "redecoded": _redecoded(heards, routing),
        "decodes": _decodes(heards, device),
        "sweep": _sweep(swept, choice),
        "recommended": _recommended(swept, choice, stability(swept, choice), table),
    }


_KEYS = ("logprob_threshold", "langprob_threshold", "min_words")


def _table(heards: Sequence[Heard], routing: Routing, seconds: Callable[[Cost], float]) -> _Table:
    def spent(heard: Heard, which: str) -> float:
        of = [seconds(getattr(piece, f"{which}_cost")) for piece in heard.pieces]
        return sum(of)

    def routed_s(heard: Heard) -> float:
        again = (piece for piece in heard.pieces if piece.routed(routing).is_redecoded)
        return spent(heard, "fast") + sum(seconds(piece.accurate_cost) for piece in again)

    told = [heard.recording.text for heard in heards]

    def system(texts: Sequence[str], costs: Sequence[float]) -> _System:
        pairs = list(zip(told, texts, strict=True))
        return _System(
            texts,
            np.array([word_errors(*pair)[0] for pair in pairs], float),
            np.array([char_errors(*pair)[0] for pair in pairs], float),
            np.array(costs, float),
        )

    return _Table(
        {
            "fast": system([h.alone(Tier.FAST) for h in heards], [spent(h, "fast") for h in heards]),
            "accurate": system(
                [h.alone(Tier.ACCURATE) for h in heards], [spent(h, "accurate") for h in heards]
            ),
            "routed": system([h.routed(routing) for h in heards], [routed_s(h) for h in heards]),
        },
        np.array([word_errors(text, "")[1] for text in told], float),
        np.array([char_errors(text, "")[1] for text in told], float),
        np.array([heard.audio_s for heard in heards], float),
    )


def _rates(table: _Table, which: Any) -> dict[str, Any]:
    """Of some of the recordings: ``which`` is a mask."""
    words, chars, hours = table.words[which], table.chars[which], table.audio_s[which].sum() / 3600
    told: dict[str, Any] = {"recordings": int(which.sum()), "words": int(words.sum())}
    for name, system in table.systems.items():
        told[name] = {
            "wer": percent(system.wrong_words[which], words),
            "cer": percent(system.wrong_chars[which], chars),
            "seconds_per_audio_hour": round(float(system.seconds[which].sum()) / hours, 1),
        }
    for name in ("fast", "accurate"):
        less = table.systems["routed"].wrong_words - table.systems[name].wrong_words
        told[f"routed_less_{name}"] = {"wer": percent(less[which], words)}
    return told


def _redecoded(heards: Sequence[Heard], routing: Routing) -> dict[str, Any]:
    pieces = [piece for heard in heards for piece in heard.pieces]
    again = [routed for piece in pieces if (routed := piece.routed(routing)).is_redecoded]
    reasons = Counter(str(reason) for routed in again for reason in routed.reasons)
    return {
        "pieces": len(pieces),
        "redecoded": len(again),
        "percent": round(100 * len(again) / max(1, len(pieces)), 1),
        "by_reason": dict(reasons.most_common()),
    }


def _decodes(heards: Sequence[Heard], device: str) -> dict[str, Any]:
    """All seconds, and on a CPU the share of them in which decodes waited for a core."""
    pieces = [piece for heard in heards for piece in heard.pieces]
    fast = sum((piece.fast_cost for piece in pieces), Cost())
    accurate = sum((piece.accurate_cost for piece in pieces), Cost())
    both = fast + accurate
    told: dict[str, Any] = {
        name: {"wall_s": round(cost.wall_s, 2), "cpu_s": round(cost.cpu_s, 2)}
        for name, cost in (("fast", fast), ("accurate", accurate))
    }
    if device == "cpu" and both.wall_s:
        told["waited_percent"] = round(100 * max(0.0, 1 - both.cpu_s / both.wall_s), 1)
    return told


def _sweep(swept: Sweep, choice: Choice) -> dict[str, Any]:
    """Points by key, and which of them are the front."""
    best = {swept.points[index] for index in choice.front}
    curves: dict[str, Any] = {}
    for key in dict.fromkeys(point.key for point in swept.points):
        curves[key] = [
            {
                "from": point.low,
                "to": point.high,
                "wer_percent": round(point.wer_percent, 2),
                "seconds_per_audio_hour": round(point.cost, 1),
                "redecoded_percent": round(point.redecoded_percent, 1),
                "front": point in best,
            }
            for point in swept.curve(key)
        ]
    return curves


def _recommended(swept: Sweep, choice: Choice, settled: Stability, table: _Table) -> dict[str, Any]:
    index, point = swept.points.index(choice.point), choice.point
    less = swept.errors[index] - table.systems["routed"].wrong_words
    return {
        "set": f"{point.key}={point.value:g}",
        "key": point.key,
        "value": point.value,
        "from": point.low,
        "to": point.high,
        "is_knee": choice.has_bend,
        "wer": {
            "percent": round(point.wer_percent, 2),
            "interval_95": interval(swept.errors[index], swept.words),
        },
        "seconds_per_audio_hour": round(point.cost, 1),
        "redecoded_percent": round(point.redecoded_percent, 1),
        "less_configured": {"wer": percent(less, swept.words)},
        "stability": asdict(settled),
    }


def rows(heards: Sequence[Heard], routing: Routing) -> list[dict[str, Any]]:
    """A JSON object for each recording, with the texts: to see what was heard where."""
    return [
        {
            "id": heard.recording.id,
            "set": heard.recording.set,
            "audio_s": round(heard.audio_s, 2),
            "text": heard.recording.text,
            "fast": heard.alone(Tier.FAST),
            "accurate": heard.alone(Tier.ACCURATE),
            "routed": heard.routed(routing),
            "pieces": [_row(piece, routing) for piece in heard.pieces],
        }
        for heard in heards
    ]


def _row(piece: Piece, routing: Routing) -> dict[str, Any]:
    """What the router went by, and what it led to."""
    routed, told = piece.routed(routing), dict[str, Any]()
    if isinstance(piece.fast, Hypothesis):
        told = {
            "confidence": round(piece.fast.confidence, 4),
            "language": piece.fast.language,
            "language_probability": round(piece.fast.language_probability, 4),
            "words": len(split_words(piece.fast.text)),
        }
    costs = {"fast": piece.fast_cost, "accurate": piece.accurate_cost}
    return told | {
        "redecoded": routed.is_redecoded,
        "reasons": [str(reason) for reason in routed.reasons],
        "decode_s": {
            name: {"wall": round(cost.wall_s, 4), "cpu": round(cost.cpu_s, 4)} for name, cost in costs.items()
        },
    }
