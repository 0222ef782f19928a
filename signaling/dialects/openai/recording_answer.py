"""A transcript as ``POST /v1/audio/transcriptions`` answers it, whole or piece by piece. Pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from rtc_stt.service.formats import Form, render
from rtc_stt.service.transcript import Segment, Transcript
from signaling.dialects.openai.items import logprob
from signaling.dialects.openai.languages import NAMES
from signaling.dialects.openai.recording_form import Asked

__all__ = ["Deltas", "render_answer", "render_done", "render_event"]


def render_answer(
    transcript: Transcript, asked: Asked, *, request_id: str, degraded: bool
) -> tuple[str, str]:
    """The body and its content type, without a charset: it is UTF-8.

    Args:
        degraded: whether fast text stands where the fallback was wanted and failed; an answer in JSON says
            so, beyond the protocol.
    """
    if asked.form not in (Form.JSON, Form.VERBOSE_JSON):
        return render(transcript, asked.form, request_id=request_id, degraded=degraded, words=False)
    body: dict[str, Any] = {"text": _nfc(transcript.text)}
    if asked.form is Form.VERBOSE_JSON:
        language = transcript.language or asked.options.language or ""
        body = {
            "task": "transcribe",
            "language": NAMES.get(language, language),
            "duration": transcript.duration_ms / 1000,
            **body,
        }
        if asked.segments:
            body["segments"] = [_segment(segment) for segment in transcript.segments]
        if asked.words:
            body["words"] = [word for segment in transcript.segments for word in _words(segment)]
    elif asked.logprobs:
        body["logprobs"] = _logprobs(transcript)
    body |= {"usage": _usage(transcript), "degraded": degraded}
    return _json(body), "application/json"


def render_done(transcript: Transcript, asked: Asked, *, degraded: bool) -> str:
    """The last event of a stream."""
    body: dict[str, Any] = {"type": "transcript.text.done", "text": _nfc(transcript.text)}
    if asked.logprobs:
        body["logprobs"] = _logprobs(transcript)
    return render_event(body | {"usage": _usage(transcript), "degraded": degraded})


def render_event(body: Mapping[str, object], name: str | None = None) -> str:
    """A server-sent event; one without a name is known by its ``type``."""
    kind = f"event: {name}\n" if name else ""
    return f"{kind}data: {_json(body)}\n\n"


class Deltas:
    """Segments as events: joined, their texts are that of the transcript."""

    def __init__(self) -> None:
        self._is_first = True

    def take(self, segment: Segment) -> str | None:
        """The event of the next segment; None where it says nothing."""
        text = _nfc(segment.text)
        if not text:
            return None
        space, self._is_first = "" if self._is_first else " ", False
        return render_event({"type": "transcript.text.delta", "delta": space + text})


def _segment(segment: Segment) -> dict[str, Any]:
    """``tokens`` are not told: who decoded it may be another server."""
    return {
        "id": segment.id,
        "seek": segment.start_ms // 10,  # in frames of the model
        "start": segment.start_ms / 1000,
        "end": segment.end_ms / 1000,
        "text": _nfc(segment.text),
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }


def _words(segment: Segment) -> list[dict[str, Any]]:
    return [
        {"word": _nfc(word.word).strip(), "start": word.start_ms / 1000, "end": word.end_ms / 1000}
        for word in segment.words
    ]


def _logprobs(transcript: Transcript) -> list[dict[str, Any]]:
    return [logprob(word) for segment in transcript.segments for word in segment.words]


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": transcript.duration_ms / 1000}


def _json(body: Mapping[str, object]) -> str:
    return json.dumps(body, ensure_ascii=False, allow_nan=False)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
