"""Whole recordings to transcripts: what ``POST /v1/transcribe`` does, without the HTTP."""

from __future__ import annotations

from rtc_stt.service.transcript import Dropped, Options, Segment, Spent, Transcript

__all__ = ["Dropped", "Options", "Segment", "Spent", "Transcript"]
