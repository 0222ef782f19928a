"""The messages of an OpenAI Realtime transcription session. Pure.

Written from https://developers.openai.com/api/docs/guides/realtime-transcription and the reference of client
and server events beside it. There are two forms of the session message: ``ga`` nests what ``beta`` (the one
that asks for the header ``OpenAI-Beta: realtime=v1``) has flat. What the server says is the same in both.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, Literal

from rtc_stt.bench.turns.targets.reading import (
    MAX_TEXT,
    Unreadable,
    code_of,
    identifier,
    read_object,
    text,
)
from rtc_stt.bench.turns.told import Dropped, Endpoint, Final, Partial, Told

__all__ = ["RATE", "Form", "OpenAIReader", "append", "is_updated", "session_message"]

Form = Literal["ga", "beta"]

RATE = 24_000
"""Samples per second: the one rate of PCM that the API takes."""

MAX_OPEN = 100
"""Items with text and without an end. Whoever has so many ends none."""

TRANSCRIPTION = "conversation.item.input_audio_transcription."


def session_message(form: Form, *, model: str, hangover_ms: int, language: str | None) -> str:
    """What the session shall be: transcripts alone, and turns that end after so much silence."""
    transcription = {"model": model} | ({"language": language} if language else {})
    detection = {"type": "server_vad", "silence_duration_ms": hangover_ms}
    if form == "ga":
        audio = {
            "format": {"type": "audio/pcm", "rate": RATE},
            "transcription": transcription,
            "turn_detection": detection,
        }
        session: dict[str, Any] = {"type": "transcription", "audio": {"input": audio}}
        return json.dumps({"type": "session.update", "session": session})
    session = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": transcription,
        "turn_detection": detection,
    }
    return json.dumps({"type": "transcription_session.update", "session": session})


def append(pcm: bytes) -> str:
    """More sound: s16le at :data:`RATE`."""
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode("ascii")})


def is_updated(message: str) -> bool:
    """Whether this says that the session is now as was asked. Others come before it.

    Raises:
        Unreadable: it says that this was refused, or nothing that can be read.
    """
    told = read_object(message)
    if told.get("type") == "error":
        raise Unreadable(f"the session was refused ({_code(told)})")
    return told.get("type") in ("session.updated", "transcription_session.updated")


class OpenAIReader:
    """One session. An *item* is what lies between two ends of speech; its text grows by deltas."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}  # by item, what its deltas make up so far

    def read(self, message: str) -> Sequence[Told]:
        """What a message of the server tells.

        Raises:
            Unreadable: it cannot be read, or tells an error after which nothing can be expected.
        """
        told = read_object(message)
        kind = told.get("type")
        if kind == "input_audio_buffer.speech_stopped":
            return (Endpoint(identifier(told, "item_id")),)
        if kind == TRANSCRIPTION + "delta":
            return (self._grow(identifier(told, "item_id"), text(told, "delta")),)
        if kind == TRANSCRIPTION + "completed":
            item = identifier(told, "item_id")
            self._shown.pop(item, None)
            return (Final(text(told, "transcript"), item),)
        if kind == TRANSCRIPTION + "failed":
            item = identifier(told, "item_id")
            self._shown.pop(item, None)
            return (Dropped(f"not transcribed ({_code(told)})", item),)
        if kind == "error":
            raise Unreadable(f"the server told an error ({_code(told)})")
        return ()

    def _grow(self, item: str, delta: str) -> Partial:
        shown = self._shown.get(item, "") + delta
        if len(shown) > MAX_TEXT or (item not in self._shown and len(self._shown) >= MAX_OPEN):
            raise Unreadable("more text without an end than anybody can say")
        self._shown[item] = shown
        return Partial(shown, utterance=item)


def _code(message: dict[str, Any]) -> str:
    error = message.get("error")
    if not isinstance(error, dict):
        return code_of(None)
    return code_of(error.get("code") or error.get("type"))
