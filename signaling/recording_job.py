"""One request about a recording, whichever endpoint it came to: its place, its time, what is told of it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from rtc_stt.events import Reason
from rtc_stt.service.transcript import Options, Transcript
from signaling import entrance
from signaling.access_log import LOGS
from signaling.auth import Pass
from signaling.keys import GATE, IN_FLIGHT
from signaling.reception import caller_of
from signaling.request import header_safe, told
from signaling.settings import Logs

__all__ = ["Job", "take_on"]

log = logging.getLogger(__name__)

UNSURE = (Reason.LOW_LOGPROB, Reason.FEW_WORDS)
"""What ``X-Conf-Below`` tells; the check of the language has a header of its own."""


class Job:
    """What is to be told of one request."""

    def __init__(self, request: web.Request, shown: Pass) -> None:
        self._request = request
        self._shown = shown
        self.stages: Mapping[str, float] = {}
        """Seconds, by stage, once something was heard."""

    def note(self, options: Options, transcript: Transcript) -> None:
        """The recording has been heard: its audio is counted, and the answer will carry the figures.

        An answer that has begun carries what was known then.
        """
        gate = self._request.app[GATE]
        gate.usage.add(self._shown.key_id, time.time(), audio_s=transcript.duration_ms / 1000, requests=1)
        told(self._request).update(_figures(options, transcript))
        gate.instrument.fallback_decided(_fallback_result(transcript))
        self.stages = _stages(transcript)
        if self._request.app.get(LOGS, Logs()).transcripts:
            log.info("recording: %s", transcript.text)


@contextlib.asynccontextmanager
async def take_on(request: web.Request, endpoint: str, shown: Pass) -> AsyncIterator[Job]:
    """A place among the recordings that are worked on, for the block.

    Args:
        endpoint: its name in the metrics.
        shown: who asks.

    Raises:
        TooMany, QuotaExceeded, Unavailable: there is none.
    """
    gate, began = request.app[GATE], time.monotonic()
    job = Job(request, shown)
    try:
        await entrance.count(gate, caller_of(request, shown))
        await entrance.check_quota(gate, shown.key_id)
        async with request.app[IN_FLIGHT].admit():
            yield job
        gate.instrument.request_done(endpoint, {"total": time.monotonic() - began, **job.stages})
    finally:
        headers = told(request)
        headers["X-Total-ms"] = str(round((time.monotonic() - began) * 1000))
        headers.setdefault("X-Fallback-Used", "false")


def _figures(options: Options, transcript: Transcript) -> Mapping[str, str]:
    spent = transcript.spent
    return {
        "X-Queue-Wait-ms": str(spent.queue_ms),
        "X-Primary-Infer-ms": str(spent.primary_infer_ms),
        "X-Fallback-Infer-ms": str(spent.fallback_infer_ms),
        "X-Fallback-Used": _boolean(transcript.fallback_was_used),
        "X-Final-Model": header_safe(transcript.final_model),
        "X-Conf-Below": _boolean(any(r in UNSURE for s in transcript.segments for r in s.route.reasons)),
        "X-Lang-Check-Applicable": _boolean(options.language is None),
    }


def _stages(transcript: Transcript) -> Mapping[str, float]:
    spent = transcript.spent
    stages = {"queue_wait": spent.queue_ms / 1000}
    if spent.primary_infer_ms:
        stages["primary_infer"] = spent.primary_infer_ms / 1000
    if spent.fallback_infer_ms:
        stages["fallback_infer"] = spent.fallback_infer_ms / 1000
    return stages


def _fallback_result(transcript: Transcript) -> str:
    if transcript.fallback_failed:
        return "failed"
    return "used" if transcript.fallback_was_used else "skipped"


def _boolean(value: bool) -> str:
    return "true" if value else "false"
