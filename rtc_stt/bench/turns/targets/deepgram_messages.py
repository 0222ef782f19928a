"""The messages of Deepgram's live transcription. Pure.

Written from https://developers.deepgram.com/reference/streaming and the guides to endpointing, interim
results, utterance end and errors beside it.

A turn comes in segments. A segment whose ``is_final`` is true does not change any more, but is not the end of
the turn: that is ``speech_final``, or ``UtteranceEnd`` where noise hides the silence; the text of the turn is
that of its segments in order. So a final segment is a partial that stands, and the end of the turn makes the
final. Servers that never say ``speech_final`` are read by segment: each is then a final.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rtc_stt.bench.turns.targets.reading import (
    MAX_TEXT,
    Unreadable,
    code_of,
    flag,
    number,
    read_object,
    text,
)
from rtc_stt.bench.turns.told import Endpoint, Final, Partial, Told

__all__ = ["CLOSE_STREAM", "KEEP_ALIVE", "DeepgramReader", "query"]

KEEP_ALIVE = json.dumps({"type": "KeepAlive"})
"""Without sound for ten seconds the server closes the connection (NET-0001)."""

CLOSE_STREAM = json.dumps({"type": "CloseStream"})
"""Asks for what is left and ends the session: said when all has been measured."""

MIN_UTTERANCE_END_MS = 1_000
"""Less is not taken: interim results come once a second."""

MAX_S = 100 * 3600


def query(*, hangover_ms: int, model: str | None, language: str | None) -> dict[str, str]:
    """How the stream is asked for. Without a language: the one model that finds it out itself (``multi``)."""
    asked = {
        "encoding": "linear16",
        "sample_rate": "16000",
        "channels": "1",
        "interim_results": "true",
        "endpointing": str(hangover_ms),
        "vad_events": "true",
        "utterance_end_ms": str(max(MIN_UTTERANCE_END_MS, hangover_ms)),
        "language": language or "multi",
    }
    return asked | ({"model": model} if model else {})


class DeepgramReader:
    """One stream.

    Args:
        by_segment: whether each final segment is a final.
    """

    def __init__(self, *, by_segment: bool = False) -> None:
        self._by_segment = by_segment
        self._said = ""  # final segments of the turn so far
        self._is_showing = False  # whether a partial is on show after them

    def read(self, message: str) -> Sequence[Told]:
        """What a message of the server tells.

        Raises:
            Unreadable: it cannot be read, or tells an error.
        """
        told = read_object(message)
        kind = told.get("type")
        if kind == "Results":
            return self._results(told)
        if kind == "UtteranceEnd":
            return self._end() if self._said else ()
        if kind in ("Error", "error") or "err_code" in told:
            raise Unreadable(f"the server told an error ({_code(told)})")
        return ()

    def _results(self, told: dict[str, Any]) -> Sequence[Told]:
        words = _transcript(told).strip()
        heard_to = _end_ms(told)
        if not flag(told, "is_final"):
            return self._show(words, heard_to)
        self._said = _joined(self._said, words)
        if flag(told, "speech_final"):
            return self._end()
        if self._by_segment and words:
            return self._end()[1:]
        return self._show("", heard_to)

    def _show(self, words: str, heard_to: int | None) -> Sequence[Told]:
        """What is understood of the turn so far: its final segments stand, ``words`` may change."""
        shown = _joined(self._said, words)
        if not shown and not self._is_showing:
            return ()  # nothing is said, and nothing is taken back
        self._is_showing = bool(shown)
        return (Partial(shown, stable_chars=len(self._said), audio_end_ms=heard_to),)

    def _end(self) -> Sequence[Told]:
        said, self._said, self._is_showing = self._said, "", False
        return (Endpoint(), Final(said)) if said else (Endpoint(),)


def _joined(said: str, words: str) -> str:
    joined = f"{said} {words}".strip()
    if len(joined) > MAX_TEXT:
        raise Unreadable("more text without an end than anybody can say")
    return joined


def _transcript(told: Mapping[str, Any]) -> str:
    """Of the likeliest alternative."""
    match told.get("channel"):
        case {"alternatives": [dict() as likeliest, *_]}:
            return text(likeliest, "transcript")
        case {"alternatives": []}:
            return ""
    raise Unreadable("Results without a transcript")


def _end_ms(told: dict[str, Any]) -> int | None:
    start, duration = number(told, "start", MAX_S), number(told, "duration", MAX_S)
    return None if start is None or duration is None else round((start + duration) * 1000)


def _code(told: dict[str, Any]) -> str:
    return code_of(told.get("err_code") or told.get("variant") or told.get("code"))
