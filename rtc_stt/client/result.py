"""What a recording became, and what was told of every attempt. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from rtc_stt.service.formats import read_verbose
from rtc_stt.service.transcript import Transcript

__all__ = ["Result", "Telemetry", "read_result"]


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to ``transcribe``."""

    transcript: Transcript
    request_id: str | None
    """``X-Req-Id``: what to look for in the server's log."""
    degraded: bool
    """Whether fast text stands where the fallback was wanted and failed (``on_fallback_failure``)."""
    queue_wait_ms: float | None
    """By the server's headers, as those that follow; None where it does not tell."""
    primary_infer_ms: float | None
    fallback_infer_ms: float | None
    total_ms: float | None
    fallback_used: bool
    """Whether the fallback has the last word on any of it."""
    final_model: str
    """Who has the last word; several are joined by ``+``."""
    round_trip_ms: float
    """Of the attempt that was answered, as seen from here: upload, work and answer."""
    attempts: int
    """How many there were, that one included."""

    @property
    def text(self) -> str:
        """All that was said."""
        return self.transcript.text

    @property
    def language(self) -> str | None:
        """In which most was said; None where nothing was."""
        return self.transcript.language


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What ``on_request`` is told after each attempt."""

    url: str
    """Of the server, as it was given."""
    path: str
    attempt: int
    """From 1."""
    status: int | None
    """None where there was no answer."""
    seconds: float
    """From the beginning of the attempt to its end."""
    error: str | None
    """The name of the error that it would raise; None where it went well."""
    request_id: str | None
    retry_in_s: float | None
    """When the next attempt begins; None where this was the last one."""


def read_result(body: bytes, headers: Mapping[str, str], *, round_trip_ms: float, attempts: int) -> Result:
    """The result in an answer with status 200.

    Raises:
        ValueError: that is no answer of an rtc-stt.
    """
    try:
        told = json.loads(body)
    except RecursionError as error:
        raise ValueError("JSON of no end of depth") from error
    if not isinstance(told, dict):
        raise ValueError("no JSON object")
    transcript = read_verbose(told)
    return Result(
        transcript=transcript,
        request_id=headers.get("X-Req-Id"),
        degraded=told.get("degraded") is True,
        queue_wait_ms=_number(headers.get("X-Queue-Wait-ms")),
        primary_infer_ms=_number(headers.get("X-Primary-Infer-ms")),
        fallback_infer_ms=_number(headers.get("X-Fallback-Infer-ms")),
        total_ms=_number(headers.get("X-Total-ms")),
        fallback_used=transcript.fallback_was_used,
        final_model=headers.get("X-Final-Model") or transcript.final_model,
        round_trip_ms=round_trip_ms,
        attempts=attempts,
    )


def _number(header: str | None) -> float | None:
    try:
        number = float(header or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
