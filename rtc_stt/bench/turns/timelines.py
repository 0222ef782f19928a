"""The few scenes that a page draws: speech, what was told of it, and when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.pacing import FRAME
from rtc_stt.bench.turns.observation import Observation
from rtc_stt.bench.turns.rows import TurnRow
from rtc_stt.bench.turns.told import Dropped, Eager, Endpoint, Failed, Final, Partial, Resumed, Told
from rtc_stt.errors import BadResult

__all__ = ["MAX_TIMELINES", "Timeline", "TimelineEvent", "TimelineTurn", "choose", "timeline"]

MAX_TIMELINES = 8
"""More than anybody looks at."""


class TimelineTurn(TypedDict):
    """What was spoken. Times in ms from the start of the scene, here as everywhere below."""

    start_ms: float
    end_ms: float
    text: str
    words: list[tuple[str, float, float]]
    """Word, start, end."""


class TimelineEvent(TypedDict):
    """What was told, and when the client had it."""

    at_ms: float
    type: str
    text: NotRequired[str]


class Timeline(TypedDict):
    """A scene as a page draws it."""

    scene: str
    set: str
    speaker: int
    audio_ms: int
    envelope: list[float]
    """The loudness of each 20 ms: its root mean square over that of the loudest, 0 to 1."""
    turns: list[TimelineTurn]
    events: list[TimelineEvent]


_TYPES: dict[type[Told], str] = {
    Partial: "partial",
    Eager: "eager",
    Resumed: "resumed",
    Endpoint: "endpoint",
    Final: "final",
    Dropped: "dropped",
    Failed: "failed",
}


def choose(observations: Sequence[Observation], rows: Sequence[TurnRow]) -> list[Observation]:
    """Which scenes are worth a look: the slowest, one that was cut off, and the first of each set.

    At most :data:`MAX_TIMELINES`, in the order in which they were played. Scenes without a row are left out.
    """
    first: dict[tuple[str, int], Observation] = {}
    for seen in observations:
        first.setdefault((seen.scene.id, seen.speaker), seen)
    told = [row for row in rows if (row.scene, row.speaker) in first and row.round == 0]
    slowest = max(told, key=lambda row: row.ttfs_ms, default=None)
    cut_off = next((row for row in told if row.is_cut_off), None)
    openers: dict[str, TurnRow] = {}
    for row in told:
        openers.setdefault(row.set, row)
    wanted = dict.fromkeys(
        (row.scene, row.speaker) for row in (slowest, cut_off, *openers.values()) if row is not None
    )
    chosen = list(wanted)[:MAX_TIMELINES]
    return [seen for key, seen in first.items() if key in chosen]


def timeline(seen: Observation, audio: Samples) -> Timeline:
    """A scene and what was told of it.

    Args:
        audio: as it was played, without the tail; 16 kHz mono, shape ``(n,)``.
    """
    events: list[TimelineEvent] = []
    for heard in seen.heard:
        event: TimelineEvent = {
            "at_ms": round((heard.at - seen.begun) * 1000, 1),
            "type": _TYPES[type(heard.told)],
        }
        if isinstance(heard.told, Partial | Eager | Final):
            event["text"] = heard.told.text
        events.append(event)
    return {
        "scene": seen.scene.id,
        "set": seen.scene.set,
        "speaker": seen.speaker,
        "audio_ms": len(audio) * 1000 // SAMPLE_RATE,
        "envelope": _envelope(audio),
        "turns": [
            {
                "start_ms": turn.start_ms,
                "end_ms": turn.end_ms,
                "text": turn.text,
                "words": [(word.word, word.start_ms, word.end_ms) for word in turn.words],
            }
            for turn in seen.scene.turns
        ],
        "events": events,
    }


def _envelope(audio: Samples) -> list[float]:
    whole = np.pad(audio, (0, -len(audio) % FRAME)).reshape(-1, FRAME)
    loudness = np.sqrt(np.mean(np.square(whole, dtype=np.float64), axis=1))
    top = float(loudness.max(initial=0.0))
    return [round(float(value) / top, 3) if top else 0.0 for value in loudness]


def timeline_from_json(value: object, where: str) -> Timeline:
    """What :func:`timeline` made, read back.

    Raises:
        BadResult: it is no such thing.
    """
    body = _of(value, {"scene": str, "set": str, "speaker": int, "audio_ms": int}, where)
    envelope = _list(body, "envelope", where)
    if not all(isinstance(item, int | float) and 0 <= item <= 1 for item in envelope):
        raise BadResult(f"{where}.envelope holds what is not between 0 and 1")
    turns: list[TimelineTurn] = []
    for item in _list(body, "turns", where):
        turn = _of(item, {"start_ms": float, "end_ms": float, "text": str}, f"{where}.turns")
        words = [_word(word, where) for word in _list(turn, "words", f"{where}.turns")]
        turns.append({**_only(turn, "start_ms", "end_ms", "text"), "words": words})  # type: ignore[typeddict-item]
    events: list[TimelineEvent] = []
    for item in _list(body, "events", where):
        event = _of(item, {"at_ms": float, "type": str}, f"{where}.events")
        if event["type"] not in _TYPES.values() or not isinstance(event.get("text", ""), str):
            raise BadResult(f"{where}.events holds what no target tells")
        events.append(_only(event, "at_ms", "type", "text"))  # type: ignore[arg-type]
    return {
        "scene": body["scene"],
        "set": body["set"],
        "speaker": body["speaker"],
        "audio_ms": body["audio_ms"],
        "envelope": envelope,
        "turns": turns,
        "events": events,
    }


def _of(value: object, kinds: Mapping[str, type], where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadResult(f"{where} is no object")
    for name, kind in kinds.items():
        given = value.get(name)
        if type(given) is not kind and not (kind is float and type(given) is int):
            raise BadResult(f"{where}.{name} is missing, or not of type {kind.__name__}")
    return value


def _only(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value[name] for name in names if name in value}


def _list(value: Mapping[str, Any], name: str, where: str) -> list[Any]:
    if not isinstance(value.get(name), list):
        raise BadResult(f"{where}.{name} is missing, or no list")
    items: list[Any] = value[name]
    return items


def _word(value: object, where: str) -> tuple[str, float, float]:
    match value:
        case [str(word), int() | float() as start, int() | float() as end]:
            return word, start, end
    raise BadResult(f"{where}.turns.words holds what is no word with its start and end")
