"""``POST /v1/transcribe``: a recording comes in, its transcript goes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial

from aiohttp import web

from rtc_stt.config import Recordings
from rtc_stt.errors import FallbackFailed, Unavailable
from rtc_stt.events import Decision, DropReason, Reason
from rtc_stt.service.formats import render
from rtc_stt.service.transcriber import Transcriber
from rtc_stt.service.transcript import Transcript
from signaling import upload
from signaling.form import AUDIO, FIELDS, MAX_FIELD_BYTES, Asked, read_form
from signaling.in_flight import InFlight
from signaling.keys import GATE, IN_FLIGHT, TRANSCRIBER, UPLOADS
from signaling.reception import caller_of
from signaling.request import header_safe, id_of, told

__all__ = ["PATH", "add_routes", "drain"]

PATH = "/v1/transcribe"

MANY_SEGMENTS = 20
"""From there on the answer is written in a thread: it may take longer than the loop can spare."""

UNSURE = (Reason.LOW_LOGPROB, Reason.FEW_WORDS)
"""What ``X-Conf-Below`` tells; the check of the language has a header of its own."""


async def post_transcribe(request: web.Request) -> web.Response:
    """``POST /v1/transcribe``; the reference is ``docs/reference/http.md``."""
    gate, began = request.app[GATE], time.monotonic()
    headers = told(request)
    try:
        shown = gate.authority.identify(request.headers.get("Authorization"))
        gate.door.count(caller_of(request, shown), asyncio.get_running_loop().time())
        gate.usage.check(shown.key_id, time.time())
        async with request.app[IN_FLIGHT].admit():
            asked, transcript = await _receive(request)
            gate.usage.add(shown.key_id, time.time(), audio_s=transcript.duration_ms / 1000, requests=1)
            headers.update(_figures(asked, transcript))
            response = await _answer(request, asked, transcript)
        gate.instrument.request_done(PATH, _stages(transcript, time.monotonic() - began))
        return response
    finally:
        headers["X-Total-ms"] = str(round((time.monotonic() - began) * 1000))
        headers.setdefault("X-Fallback-Used", "false")


async def _receive(request: web.Request) -> tuple[Asked, Transcript]:
    """What was asked for, and what was heard."""
    app = request.app
    async with upload.receive(request, app[UPLOADS], recording=AUDIO, fields=FIELDS) as received:
        asked = read_form(received.texts)
        transcript = await app[TRANSCRIBER].transcribe(
            received.recording, asked.options, is_gone=lambda: request.transport is None
        )
    return asked, transcript


async def _answer(request: web.Request, asked: Asked, transcript: Transcript) -> web.Response:
    """The transcript in the form that was asked for.

    Raises:
        FallbackFailed, Unavailable: see :func:`_check_fallback`.
    """
    request.app[GATE].instrument.fallback_decided(_fallback_result(transcript))
    if transcript.fallback_failed:
        _check_fallback(request, asked, transcript)
    write = partial(
        render,
        transcript,
        asked.form,
        request_id=id_of(request),
        degraded=transcript.fallback_failed,
        words=asked.options.word_timestamps,
    )
    is_long = len(transcript.segments) > MANY_SEGMENTS
    body, content_type = await asyncio.to_thread(write) if is_long else write()
    return web.Response(text=body, content_type=content_type, charset="utf-8")


def _check_fallback(request: web.Request, asked: Asked, transcript: Transcript) -> None:
    """The fallback was wanted and failed: whether the transcript will do all the same.

    Raises:
        FallbackFailed: it will not.
        Unavailable: likewise; the fallback was not asked, since the server has too much to do.
    """
    was_asked = any(d in (Decision.REDECODE_FAILED, Decision.REDECODE_TIMEOUT) for d in transcript.decisions)
    error = transcript.fallback_error or ("its text loops" if was_asked else "no capacity")
    told(request)["X-Fallback-Error"] = header_safe(error)
    is_lost = _is_lost(transcript)
    if asked.degrade and not is_lost:
        return
    what = "the primary could not decode it" if is_lost else "the primary is unsure"
    way_out = "" if is_lost else ". Send on_fallback_failure=degrade if the primary's text will do"
    if was_asked:
        raise FallbackFailed(f"{what}, and the fallback failed: {error}{way_out}")
    raise Unavailable(f"{what}, and the server is too busy to ask the fallback{way_out}")


def _is_lost(transcript: Transcript) -> bool:
    """Whether something was said that neither could make out, so that no text can stand in."""
    return any(
        dropped.reason in (DropReason.DECODE_FAILED, DropReason.REPETITION)
        and dropped.decision is not Decision.NO_ACCURATE_TIER
        for dropped in transcript.dropped
    )


def _figures(asked: Asked, transcript: Transcript) -> Mapping[str, str]:
    spent = transcript.spent
    return {
        "X-Queue-Wait-ms": str(spent.queue_ms),
        "X-Primary-Infer-ms": str(spent.primary_infer_ms),
        "X-Fallback-Infer-ms": str(spent.fallback_infer_ms),
        "X-Fallback-Used": _boolean(transcript.fallback_was_used),
        "X-Final-Model": header_safe(transcript.final_model),
        "X-Conf-Below": _boolean(any(r in UNSURE for s in transcript.segments for r in s.route.reasons)),
        "X-Lang-Check-Applicable": _boolean(asked.options.language is None),
    }


def _stages(transcript: Transcript, total_s: float) -> Mapping[str, float]:
    spent = transcript.spent
    stages = {"total": total_s, "queue_wait": spent.queue_ms / 1000}
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


def add_routes(app: web.Application, transcriber: Transcriber, recordings: Recordings) -> None:
    """Add the endpoint."""
    app[TRANSCRIBER] = transcriber
    app[UPLOADS] = upload.Limits(
        recording_bytes=round(recordings.max_upload_mb * 2**20),
        seconds=recordings.upload_seconds,
        field_bytes=MAX_FIELD_BYTES,
    )
    app[GATE].connections.make_room(recordings.max_requests)
    app[IN_FLIGHT] = InFlight(recordings.max_requests, app[GATE].instrument.session_refused)
    app.router.add_post(PATH, post_transcribe, expect_handler=_let_in_first)


async def drain(app: web.Application, seconds: float) -> None:
    """Admit no more recordings, and see out those that were, within so many seconds."""
    if IN_FLIGHT in app:
        await app[IN_FLIGHT].drain(seconds)
        await app[TRANSCRIBER].drain(0)


async def _let_in_first(_request: web.Request) -> None:
    """``Expect: 100-continue`` is answered when the body is wanted, not before it is known who asks."""
