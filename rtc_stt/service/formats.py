"""Transcripts as what was asked for: JSON, text, subtitles; and back again. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from rtc_stt.service.transcript import Transcript

__all__ = ["Form", "read_verbose", "render"]


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
    raise NotImplementedError


def read_verbose(body: Mapping[str, object]) -> Transcript:
    """What :func:`render` wrote as ``verbose_json``. Fields that this version does not know are skipped.

    Raises:
        ValueError: a field is missing, of another type, or no finite number.
    """
    raise NotImplementedError
