"""A recording while it comes in, in a form or alone: nothing of it is believed, and all of it is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from rtc_stt.errors import BadRequest, Gone, RequestTimeout, TooLarge, Unavailable, UnsupportedMedia
from signaling.multipart import Began, Event, FormReader, read_boundary

__all__ = ["MAX_OVERHEAD_BYTES", "STALL_S", "Limits", "Upload", "receive", "receive_whole"]

log = logging.getLogger(__name__)

STALL_S = 10.0
"""Without a byte. By the limit on the whole upload alone who sends nothing could stay for a minute."""

MEMORY_BYTES = 1024 * 1024
"""Of a recording that are kept in memory: half a minute of WAV, minutes of anything else. The rest of those
that are longer goes to a temporary file."""

MAX_OVERHEAD_BYTES = 64 * 1024
"""Of a body beyond its recording: fields, boundaries, heads of parts."""

CHUNK_BYTES = 64 * 1024

FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken."""

    recording_bytes: int
    seconds: float
    """For all of it."""
    field_bytes: int
    """Of any field of text."""
    stall_s: float = STALL_S


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that has come in whole."""

    recording: BinaryIO
    """At its beginning; seekable."""
    size: int
    """In bytes."""
    texts: dict[str, str] = field(default_factory=dict)
    """The other fields of a form."""
    lists: dict[str, list[str]] = field(default_factory=dict)
    """Those that may be there more than once, if they are there."""


@contextlib.asynccontextmanager
async def receive(
    request: web.Request,
    limits: Limits,
    *,
    recording: str,
    fields: Collection[str],
    lists: Collection[str] = (),
) -> AsyncIterator[Upload]:
    """Read a form. What is kept of it is gone at the end of the block.

    Args:
        recording: the name of the field with the recording, which has to be there.
        fields: names of the fields of text that may be there. What a client calls its file is not looked at.
        lists: names of those that may be there more than once.

    Raises:
        UnsupportedMedia: it is no form, or compressed.
        TooLarge: by its ``Content-Length``, before a byte is read, or by what really came.
        RequestTimeout: it took too long, or stood still.
        BadRequest: the form is broken; a field is missing, unknown, there twice, too long or not UTF-8.
        Gone: the client went.
        Unavailable: there is no room for it.
    """
    if request.content_type != FORM:
        raise UnsupportedMedia(f"send {FORM} with the recording in the field {recording}")
    _check_head(request, limits)

    def read(file: BinaryIO) -> Awaitable[Upload]:
        return _read_form(request, limits, _Form(file, limits, recording, fields, lists))

    async with _keeping(request, limits, read) as received:
        yield received


@contextlib.asynccontextmanager
async def receive_whole(request: web.Request, limits: Limits) -> AsyncIterator[Upload]:
    """Read a body that is nothing but the recording. What is kept of it is gone at the end of the block.

    Raises:
        UnsupportedMedia: it is a form, or compressed.
        BadRequest: there is none.
        TooLarge, RequestTimeout, Gone, Unavailable: see :func:`receive`.
    """
    if request.content_type.startswith("multipart/"):
        raise UnsupportedMedia("send the recording itself as the body, not a form")
    _check_head(request, limits)
    async with _keeping(request, limits, partial(_read_whole, request, limits)) as received:
        yield received


@contextlib.asynccontextmanager
async def _keeping(
    request: web.Request, limits: Limits, read: Callable[[BinaryIO], Awaitable[Upload]]
) -> AsyncIterator[Upload]:
    """What ``read`` makes of the body, given a file to keep it in."""
    # In memory up to a size, and beyond it in a file that has no name.
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES))  # noqa: SIM115 - closed below
    try:
        yield await _receive(request, limits, partial(read, file))
    finally:
        await asyncio.to_thread(file.close)  # to let go of a large file takes its time


async def _receive(request: web.Request, limits: Limits, read: Callable[[], Awaitable[Upload]]) -> Upload:
    """The body within its time, with what others raise translated."""
    try:
        async with asyncio.timeout(limits.seconds):
            await _invite(request)
            return await read()
    except TimeoutError:
        raise RequestTimeout(f"the upload took more than {limits.seconds:g} s") from None
    except (HttpProcessingError, web.RequestPayloadError) as error:
        raise BadRequest("the body is broken: it is not sent as its head says") from error
    except ConnectionError as error:
        raise Gone from error
    except OSError as error:
        log.error("an upload cannot be kept: %s", error.strerror)
        raise Unavailable("there is no room for uploads at the moment") from None


def _check_head(request: web.Request, limits: Limits) -> None:
    """All that can be said before the body is read."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("send the body as it is, without Content-Encoding")
    if (request.content_length or 0) > limits.recording_bytes + MAX_OVERHEAD_BYTES:
        raise _too_large(limits)


async def _invite(request: web.Request) -> None:
    """Who asked whether to send the body at all (``Expect: 100-continue``, RFC 9110 §10.1.1) may send it."""
    asks = request.headers.get("Expect", "").lower() == "100-continue"
    if asks and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun


async def _read_form(request: web.Request, limits: Limits, form: _Form) -> Upload:
    reader = FormReader(read_boundary(request.headers["Content-Type"]))
    left = limits.recording_bytes + MAX_OVERHEAD_BYTES
    while data := await _next(request, limits.stall_s):
        left -= len(data)
        if left < 0:
            raise _too_large(limits)
        for event in reader.feed(data):
            await form.receive(event)
    reader.feed_end()
    return form.finish()


async def _read_whole(request: web.Request, limits: Limits, file: BinaryIO) -> Upload:
    kept = _Kept(file, limits)
    while data := await _next(request, limits.stall_s):
        await kept.add(data)
    if not kept.size:
        raise BadRequest("the body is empty: it has to be the recording")
    return Upload(kept.rewound(), kept.size)


async def _next(request: web.Request, stall_s: float) -> bytes:
    try:
        async with asyncio.timeout(stall_s):
            return await request.content.read(CHUNK_BYTES)
    except TimeoutError:
        raise RequestTimeout(f"no byte of the upload came for {stall_s:g} s") from None


class _Kept:
    """The recording, as far as it has come in."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self.size = 0
        self._file = file
        self._limits = limits

    async def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self._limits.recording_bytes:
            raise _too_large(self._limits)
        if self.size > MEMORY_BYTES:
            await asyncio.to_thread(self._file.write, data)
        else:
            self._file.write(data)

    def rewound(self) -> BinaryIO:
        self._file.seek(0)
        return self._file


class _Form:
    """What of a form has come in so far."""

    def __init__(
        self,
        file: BinaryIO,
        limits: Limits,
        recording: str,
        fields: Collection[str],
        lists: Collection[str],
    ) -> None:
        self._kept = _Kept(file, limits)
        self._limits = limits
        self._recording = recording
        self._fields = fields
        self._lists: dict[str, list[bytearray]] = {name: [] for name in lists}
        self._has_recording = False
        self._texts: dict[str, bytearray] = {}
        self._text = bytearray()  # of the field that has begun
        self._name = ""

    async def receive(self, event: Event) -> None:
        match event:
            case Began(name):
                self._begin(name)
            case bytes() if self._name == self._recording:
                await self._kept.add(event)
            case bytes():
                self._text += event
                if len(self._text) > self._limits.field_bytes:
                    raise BadRequest(
                        f"the field {self._name} is longer than {self._limits.field_bytes} bytes"
                    )

    def finish(self) -> Upload:
        if not self._has_recording:
            raise BadRequest(f"the field {self._recording} is missing: the recording, as a file")
        texts = {name: _decode(name, text) for name, text in self._texts.items()}
        lists = {name: [_decode(name, one) for one in several] for name, several in self._lists.items()}
        found = {name: several for name, several in lists.items() if several}
        return Upload(self._kept.rewound(), self._kept.size, texts, found)

    def _begin(self, name: str) -> None:
        if name in self._texts or (name == self._recording and self._has_recording):
            raise BadRequest(f"the field {name} is there twice")
        if name == self._recording:
            self._has_recording = True
        elif name in self._lists:
            self._text = bytearray()
            self._lists[name].append(self._text)
        elif name in self._fields:
            self._text = self._texts[name] = bytearray()
        else:
            known = ", ".join((self._recording, *self._fields, *self._lists))
            raise BadRequest(f"there is no field {name[:40]!r}; there are {known}")
        self._name = name


def _decode(name: str, text: bytearray) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"the field {name} is not UTF-8") from None


def _too_large(limits: Limits) -> TooLarge:
    mebibytes = limits.recording_bytes / 2**20
    return TooLarge(f"the recording is larger than {mebibytes:g} MiB; compress it, or send parts of it")
