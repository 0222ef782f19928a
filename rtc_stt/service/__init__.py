"""Whole recordings to transcripts: what ``POST /v1/transcribe`` does, without the HTTP."""

from __future__ import annotations

from rtc_stt.service.formats import Form, read_verbose, render
from rtc_stt.service.transcriber import Transcriber
from rtc_stt.service.transcript import Dropped, Options, Segment, Spent, Transcript

__all__ = [
    "Dropped",
    "Form",
    "Options",
    "Segment",
    "Spent",
    "Transcriber",
    "Transcript",
    "read_verbose",
    "render",
]
