"""``/v1/listen``: clients of Deepgram, live over a WebSocket and with recordings over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import time
from functools import partial
from typing import BinaryIO

from aiohttp import web

from rtc_stt.errors import BadRequest, Unauthorized
from rtc_stt.service.transcript import Options, Transcript
from signaling import upload
from signaling.attempt import STREAMS
from signaling.dialect_socket import speak
from signaling.dialects.deepgram.conversation import Deepgram
from signaling.dialects.deepgram.query import Recorded, read_live, read_recorded
from signaling.dialects.deepgram.recorded import write_transcript
from signaling.dialects.dialect import Beginning
from signaling.keys import TRANSCRIBER, UPLOADS
from signaling.reception import identify, identify_caller
from signaling.recording_job import take_on
from signaling.request import id_of
from signaling.transcribe import MANY_SEGMENTS, check_fallback, let_in_first

__all__ = ["PATH", "add_live_routes", "add_recorded_routes"]

PATH = "/v1/listen"

SCHEMES = ("token", "bearer")
"""How a key is shown: in the header ``Authorization``, or as a subprotocol before it."""

BLOCK_BYTES = 256 * 1024
"""Of a recording, read at a time."""


def _credentials(request: web.Request) -> tuple[str | None, tuple[str, ...]]:
    """What stands for the header ``Authorization``, and the subprotocols of which one is to be chosen.

    A page cannot set headers of a WebSocket, so it offers the subprotocols ``token`` and its key, or
    ``bearer`` and a token.
    """
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in SCHEMES:
        return f"Bearer {given}", ()
    offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if len(offered) == 2 and offered[0].lower() in SCHEMES:
        return f"Bearer {offered[1]}", (offered[0],)
    return None, ()


async def get_listen(request: web.Request) -> web.StreamResponse:
    """``GET /v1/listen``: a WebSocket."""
    authorization, protocols = _credentials(request)
    shown = identify_caller(request, authorization=authorization)
    live = read_live(request.query.items(), request.app[STREAMS].pool.languages)
    dialect = Deepgram(live, Beginning(id_of(request), time.time()))
    return await speak(request, shown, dialect, protocols=protocols)


async def post_listen(request: web.Request) -> web.Response:
    """``POST /v1/listen``: the body is a recording, in any format that FFmpeg reads."""
    shown = identify(request, _credentials(request)[0])
    if shown.token:
        raise Unauthorized("a recording needs a key; a token begins a session, no more")
    began = time.time()
    async with take_on(request, PATH, shown) as job:
        asked = read_recorded(request.query.items())
        if request.content_type == "application/json":
            raise BadRequest(
                "url is not offered: this server fetches nothing; send the recording as the body"
            )
        options = Options(language=asked.language, hotwords=asked.hotwords, word_timestamps=True)
        async with upload.receive_whole(request, request.app[UPLOADS]) as received:
            sha256 = await asyncio.to_thread(_digest, received.recording)
            transcript = await request.app[TRANSCRIBER].transcribe(
                received.recording, options, is_gone=lambda: request.transport is None
            )
        job.note(options, transcript)
        if transcript.fallback_failed:
            check_fallback(request, transcript, degrade=True)
        return await _answer(request, transcript, asked, sha256, began)


async def _answer(
    request: web.Request, transcript: Transcript, asked: Recorded, sha256: str, began: float
) -> web.Response:
    write = partial(write_transcript, transcript, asked, request_id=id_of(request), sha256=sha256, now=began)
    is_long = len(transcript.segments) > MANY_SEGMENTS
    text = await asyncio.to_thread(write) if is_long else write()
    return web.Response(text=text, content_type="application/json")


def _digest(recording: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := recording.read(BLOCK_BYTES):
        digest.update(block)
    recording.seek(0)
    return digest.hexdigest()


def add_live_routes(app: web.Application) -> None:
    """Add the WebSocket; whose sessions are carried, the application knows already."""
    app.router.add_get(PATH, get_listen, allow_head=False)


def add_recorded_routes(app: web.Application) -> None:
    """Add the endpoint for recordings; who transcribes them, the application knows already."""
    app.router.add_post(PATH, post_listen, expect_handler=let_in_first)
