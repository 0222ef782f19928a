"""A form with a recording in it, while it comes in: nothing of it is believed, and all of it is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from rtc_stt.errors import BadRequest, Gone, RequestTimeout, TooLarge, Unavailable, UnsupportedMedia

__all__ = ["MAX_OVERHEAD_BYTES", "STALL_S", "Limits", "Upload", "receive"]

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
    """A form that has come in whole."""

    recording: BinaryIO
    """At its beginning; seekable."""
    size: int
    """In bytes."""
    texts: dict[str, str]
    """The other fields."""


@contextlib.asynccontextmanager
async def receive(
    request: web.Request, limits: Limits, *, recording: str, fields: Collection[str]
) -> AsyncIterator[Upload]:
    """Read the body of a request. What is kept of it is gone at the end of the block.

    Args:
        recording: the name of the field with the recording, which has to be there.
        fields: names of the fields of text that may be there. What a client calls its file is not looked at.

    Raises:
        UnsupportedMedia: it is no form, or compressed.
        TooLarge: by its ``Content-Length``, before a byte is read, or by what really came.
        RequestTimeout: it took too long, or stood still.
        BadRequest: the form is broken; a field is missing, unknown, there twice, too long or not UTF-8.
        Gone: the client went.
        Unavailable: there is no room for it.
    """
    _check_head(request, limits)
    # In memory up to a size, and beyond it in a file that has no name.
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES))  # noqa: SIM115 - closed below
    try:
        yield await _receive(request, file, limits, recording, fields)
    finally:
        await asyncio.to_thread(file.close)  # to let go of a large file takes its time


async def _receive(
    request: web.Request, file: BinaryIO, limits: Limits, recording: str, fields: Collection[str]
) -> Upload:
    """:func:`_read` within its time, with what others raise translated."""
    try:
        async with asyncio.timeout(limits.seconds):
            await _invite(request)
            form = MultipartReader(request.headers, cast(Any, _Body(request.content, limits)))
            return await _read(form, file, limits, recording, fields)
    except TimeoutError:
        raise RequestTimeout(f"the upload took more than {limits.seconds:g} s") from None
    except (ValueError, RuntimeError, AssertionError, HttpProcessingError, web.RequestPayloadError) as error:
        # What aiohttp says of a form that is none, and of one whose sender is gone. Its assertion is on a
        # long boundary behind a first field called _charset_, which it reads by itself.
        if request.transport is None:
            raise Gone from error
        raise BadRequest(
            "the form is broken: its boundary is missing or wrong, or it ends in the middle"
        ) from error
    except ConnectionError as error:
        raise Gone from error
    except OSError as error:
        log.error("an upload cannot be kept: %s", error.strerror)
        raise Unavailable("there is no room for uploads at the moment") from None


def _check_head(request: web.Request, limits: Limits) -> None:
    """All that can be said before the body is read."""
    if request.content_type != FORM:
        raise UnsupportedMedia(f"send {FORM} with the recording in the field audio")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("send the form as it is, without Content-Encoding")
    if (request.content_length or 0) > limits.recording_bytes + MAX_OVERHEAD_BYTES:
        raise _too_large(limits)


async def _invite(request: web.Request) -> None:
    """Who asked whether to send the body at all (``Expect: 100-continue``, RFC 9110 §10.1.1) may send it."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun


async def _read(
    form: MultipartReader, file: BinaryIO, limits: Limits, recording: str, fields: Collection[str]
) -> Upload:
    texts: dict[str, str] = {}
    size: int | None = None
    while (part := await form.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise BadRequest("every part of the form needs a name: Content-Disposition: form-data; name=…")
        if part.headers.get("Content-Transfer-Encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
            raise BadRequest("parts of the form are sent as they are, without Content-Transfer-Encoding")
        name = part.name
        if name in texts or (name == recording and size is not None):
            raise BadRequest(f"the field {name} is there twice")
        if name == recording:
            size = await _keep(part, file, limits)
        elif name in fields:
            texts[name] = await _read_text(part, name, limits.field_bytes)
        else:
            known = ", ".join((recording, *fields))
            raise BadRequest(f"there is no field {name[:40]!r}; there are {known}")
    if size is None:
        raise BadRequest(f"the field {recording} is missing: the recording, as a file")
    file.seek(0)
    return Upload(file, size, texts)


async def _keep(part: BodyPartReader, file: BinaryIO, limits: Limits) -> int:
    size = 0
    while chunk := await part.read_chunk(CHUNK_BYTES):
        size += len(chunk)
        if size > limits.recording_bytes:
            raise _too_large(limits)
        if size > MEMORY_BYTES:
            await asyncio.to_thread(file.write, chunk)
        else:
            file.write(chunk)
    return size


async def _read_text(part: BodyPartReader, name: str, limit: int) -> str:
    data = bytearray()
    while chunk := await part.read_chunk(CHUNK_BYTES):
        data += chunk
        if len(data) > limit:
            raise BadRequest(f"the field {name} is longer than {limit} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"the field {name} is not UTF-8") from None


class _Body:
    """The body as the reader of forms wants it, with an eye on how much comes and how fast."""

    def __init__(self, content: Any, limits: Limits) -> None:
        self._content = content
        self._limits = limits
        self._left = limits.recording_bytes + MAX_OVERHEAD_BYTES

    async def read(self, size: int = -1) -> bytes:
        return await self._count(self._content.read(size))

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        return await self._count(self._content.readline(max_line_length=max_line_length))

    def unread_data(self, data: bytes) -> None:
        self._left += len(data)
        self._content.unread_data(data)

    def at_eof(self) -> bool:
        return bool(self._content.at_eof())

    async def _count(self, reading: Any) -> bytes:
        try:
            async with asyncio.timeout(self._limits.stall_s):
                data: bytes = await reading
        except TimeoutError:
            raise RequestTimeout(f"no byte of the upload came for {self._limits.stall_s:g} s") from None
        self._left -= len(data)
        if self._left < 0:
            raise _too_large(self._limits)
        return data


def _too_large(limits: Limits) -> TooLarge:
    mebibytes = limits.recording_bytes / 2**20
    return TooLarge(f"the recording is larger than {mebibytes:g} MiB; compress it, or send parts of it")
