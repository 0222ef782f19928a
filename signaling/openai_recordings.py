"""``POST /v1/audio/transcriptions``: recordings as OpenAI's clients send them, whole or streamed answers."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from aiohttp import web

from rtc_stt.errors import ClientError, DecodeFailed, FallbackFailed, Gone, Unavailable, trace
from rtc_stt.service.transcript import Segment, Transcript
from signaling import upload
from signaling.dialects.openai.errors import error_body
from signaling.dialects.openai.recording_answer import Deltas, render_answer, render_done, render_event
from signaling.dialects.openai.recording_form import FIELDS, LISTS, RECORDING, Asked, read_form
from signaling.keys import GATE, TRANSCRIBER, UPLOADS
from signaling.recording_job import Job, take_on
from signaling.request import id_headers, id_of, identify_by_header, told
from signaling.transcribe import MANY_SEGMENTS, check_fallback, let_in_first
from signaling.upload import Upload

__all__ = ["PATH", "add_routes"]

log = logging.getLogger(__name__)

PATH = "/v1/audio/transcriptions"

LIST_NAMES = tuple(name + brackets for name in LISTS for brackets in ("[]", ""))


async def post_transcription(request: web.Request) -> web.StreamResponse:
    """``POST /v1/audio/transcriptions``; the reference is ``docs/guides/openai.md``."""
    shown = identify_by_header(request)
    stream = _Stream(request)
    try:
        async with (
            take_on(request, PATH, shown) as job,
            upload.receive(
                request, request.app[UPLOADS], recording=RECORDING, fields=FIELDS, lists=LIST_NAMES
            ) as received,
        ):
            asked = read_form(received.texts, received.lists)
            if asked.is_streamed:
                return await _answer_in_pieces(request, job, received, asked, stream)
            transcript = await request.app[TRANSCRIBER].transcribe(
                received.recording, asked.options, is_gone=lambda: request.transport is None
            )
            _note(request, job, asked, transcript)
        return await _answer(request, asked, transcript)
    except Exception as error:
        if stream.response is None:
            raise
        return await stream.fail(stream.response, error)


def _note(request: web.Request, job: Job, asked: Asked, transcript: Transcript) -> None:
    """What was heard is counted; whether it will do.

    Raises:
        FallbackFailed, Unavailable: something was said that nobody could make out.
    """
    job.note(asked.options, transcript)
    if transcript.fallback_failed:
        check_fallback(request, transcript, degrade=True)


async def _answer(request: web.Request, asked: Asked, transcript: Transcript) -> web.Response:
    degraded = transcript.fallback_failed
    write = partial(render_answer, transcript, asked, request_id=id_of(request), degraded=degraded)
    is_long = len(transcript.segments) > MANY_SEGMENTS
    body, content_type = await asyncio.to_thread(write) if is_long else write()
    return web.Response(text=body, content_type=content_type, charset="utf-8")


async def _answer_in_pieces(
    request: web.Request, job: Job, received: Upload, asked: Asked, stream: _Stream
) -> web.StreamResponse:
    """Tell each stretch of speech when it is known, then the whole."""
    news: asyncio.Queue[Segment | None] = asyncio.Queue()
    deltas = Deltas()
    work = asyncio.create_task(
        request.app[TRANSCRIBER].transcribe(
            received.recording,
            asked.options,
            is_gone=lambda: request.transport is None,
            tell=news.put_nowait,
        )
    )
    work.add_done_callback(lambda _: news.put_nowait(None))
    try:
        while (segment := await news.get()) is not None:
            if event := deltas.take(segment):
                await stream.write(event)
    finally:
        if not work.done():
            work.cancel()
        await asyncio.wait([work])
    transcript = work.result()
    _note(request, job, asked, transcript)
    await stream.write(render_done(transcript, asked, degraded=transcript.fallback_failed))
    assert stream.response
    await stream.response.write_eof()
    return stream.response


class _Stream:
    """Server-sent events; what goes wrong before the first one is told as of any other answer."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response: web.StreamResponse | None = None
        """Once it has begun."""

    async def write(self, event: str) -> None:
        """One more.

        Raises:
            Gone: the client has left.
        """
        try:
            if self.response is None:
                self.response = await self._begin()
            await self.response.write(event.encode())
        except ConnectionError as error:
            raise Gone from error

    async def _begin(self) -> web.StreamResponse:
        headers = {**id_headers(self._request), "Cache-Control": "no-store", **told(self._request)}
        response = web.StreamResponse(headers=headers)
        response.content_type, response.charset = "text/event-stream", "utf-8"
        await response.prepare(self._request)
        return response

    async def fail(self, response: web.StreamResponse, error: Exception) -> web.StreamResponse:
        """It breaks off: the last event says why."""
        status, kind, message = 500, "internal", "the server made a mistake; its log has the id"
        if isinstance(error, ClientError | Unavailable | DecodeFailed | FallbackFailed):
            status, kind, message = error.status, error.type, str(error)
        elif isinstance(error, Gone):
            status, kind, message = 499, "client_gone", "the client did not wait"
        else:
            log.error("request %s failed: %s", id_of(self._request), trace(error))
        self._request.app[GATE].instrument.request_failed(PATH, kind, status)
        if not isinstance(error, Gone):
            try:
                body = error_body(status, kind, message, id_of(self._request))
                await response.write(render_event(body, "error").encode())
                await response.write_eof()
            except ConnectionError:
                log.info("request %s: the client left before it was told of an error", id_of(self._request))
        return response


def add_routes(app: web.Application) -> None:
    """Add the endpoint; who transcribes, the application knows already."""
    app.router.add_post(PATH, post_transcription, expect_handler=let_in_first)
