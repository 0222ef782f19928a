"""``POST /v1/transcribe``: a recording comes in, its transcript goes out."""

from __future__ import annotations

import asyncio
from functools import partial

from aiohttp import web

from rtc_stt.config import Recordings
from rtc_stt.errors import FallbackFailed, Unavailable
from rtc_stt.events import Decision, DropReason
from rtc_stt.service.formats import render
from rtc_stt.service.transcriber import Transcriber
from rtc_stt.service.transcript import Transcript
from signaling import upload
from signaling.form import AUDIO, FIELDS, MAX_FIELD_BYTES, Asked, read_form
from signaling.in_flight import InFlight
from signaling.keys import GATE, IN_FLIGHT, TRANSCRIBER, UPLOADS
from signaling.recording_job import take_on
from signaling.request import header_safe, id_of, identify_by_header, told

__all__ = ["MANY_SEGMENTS", "PATH", "add_routes", "check_fallback", "drain", "let_in_first"]

PATH = "/v1/transcribe"

MANY_SEGMENTS = 20
"""From there on the answer is written in a thread: it may take longer than the loop can spare."""


async def post_transcribe(request: web.Request) -> web.Response:
    """``POST /v1/transcribe``; the reference is ``docs/reference/http.md``."""
    shown = identify_by_header(request)
    async with take_on(request, PATH, shown) as job:
        asked, transcript = await _receive(request)
        job.note(asked.options, transcript)
        return await _answer(request, asked, transcript)


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
        FallbackFailed, Unavailable: see :func:`check_fallback`.
    """
    if transcript.fallback_failed:
        check_fallback(request, transcript, degrade=asked.degrade)
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


def check_fallback(request: web.Request, transcript: Transcript, *, degrade: bool) -> None:
    """The fallback was wanted and failed: whether the transcript will do all the same.

    Args:
        degrade: whether the fast tier's text will do.

    Raises:
        FallbackFailed: it will not.
        Unavailable: likewise; the fallback was not asked, since the server has too much to do.
    """
    was_asked = any(d in (Decision.REDECODE_FAILED, Decision.REDECODE_TIMEOUT) for d in transcript.decisions)
    error = transcript.fallback_error or ("its text loops" if was_asked else "no capacity")
    told(request)["X-Fallback-Error"] = header_safe(error)
    is_lost = _is_lost(transcript)
    if degrade and not is_lost:
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
    app.router.add_post(PATH, post_transcribe, expect_handler=let_in_first)


async def drain(app: web.Application, seconds: float) -> None:
    """Admit no more recordings, and see out those that were, within so many seconds."""
    if IN_FLIGHT in app:
        await app[IN_FLIGHT].drain(seconds)
        await app[TRANSCRIBER].drain(0)


async def let_in_first(_request: web.Request) -> None:
    """``Expect: 100-continue`` is answered when the body is wanted, not before it is known who asks."""
