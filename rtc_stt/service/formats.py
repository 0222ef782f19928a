"""Transcripts as what was asked for: JSON, text, subtitles; and back again. Pure."""

from __future__ import annotations

import enum
import json
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from rtc_stt.service.transcript import Segment, Transcript
from rtc_stt.subtitles import cues, render_cue
from rtc_stt.wire import from_plain, to_plain

__all__ = ["Form", "read_verbose", "render"]


ROUNDING = 1e-3
"""By so much a probability may be over 1."""


class Form(enum.StrEnum):
    """``response_format``, in the words of OpenAI's endpoint."""

    JSON = "json"
    VERBOSE_JSON = "verbose_json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"


def render(
    transcript: Transcript, form: Form, *, request_id: str, degraded: bool, words: bool
) -> tuple[str, str]:
    """The body and its content type, without a charset: it is UTF-8.

    Args:
        degraded: whether fast text stands where the fallback was wanted and failed.
        words: whether ``verbose_json`` tells words. Subtitles use their times wherever there are any.
    """
    match form:
        case Form.TEXT:
            return _nfc(transcript.text) + "\n", "text/plain"
        case Form.SRT:
            return "\n".join(_cues(transcript, "srt")), "application/x-subrip"
        case Form.VTT:
            return "\n".join(["WEBVTT\n", *_cues(transcript, "vtt")]), "text/vtt"
    body: dict[str, Any] = {
        "text": _nfc(transcript.text),
        "language": transcript.language,
        "duration_ms": transcript.duration_ms,
        "model": transcript.final_model,
        "degraded": degraded,
        "request_id": request_id,
    }
    if form is Form.VERBOSE_JSON:
        body["segments"] = [_segment(segment, words) for segment in transcript.segments]
        body["dropped"] = to_plain(transcript.dropped)
        body["spent"] = to_plain(transcript.spent)
    return json.dumps(body, ensure_ascii=False, allow_nan=False), "application/json"


def read_verbose(body: Mapping[str, object]) -> Transcript:
    """What :func:`render` wrote as ``verbose_json``. Fields that this version does not know are skipped.

    ``model`` is then who has the last word, which ``verbose_json`` tells.

    Raises:
        ValueError: a field is missing, of another type, or a number that is not possible.
    """
    transcript = from_plain(Transcript, body)
    assert isinstance(transcript, Transcript)
    for segment in transcript.segments:
        probabilities = [segment.language_probability, segment.no_speech_prob]
        probabilities += [word.probability for word in segment.words]
        if not (
            all(0 <= probability <= 1 + ROUNDING for probability in probabilities)
            and -math.inf < segment.avg_logprob <= ROUNDING
            and 0 <= segment.compression_ratio < math.inf
        ):
            raise ValueError("a figure of a segment is not possible")
    return transcript


def _segment(segment: Segment, words: bool) -> dict[str, Any]:
    body: dict[str, Any] = to_plain(segment)
    body["confidence"] = round(segment.confidence, 4)
    if not words:
        del body["words"]
    return body


def _cues(transcript: Transcript, form: str) -> list[str]:
    shown = [
        cue
        for segment in transcript.segments
        for cue in cues(_nfc(segment.text), segment.start_ms, segment.end_ms, segment.words)
    ]
    return [render_cue(cue, form, number) for number, cue in enumerate(shown, 1)]


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
