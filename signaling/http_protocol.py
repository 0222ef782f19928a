"""What is answered where no handler is reached: to what is no HTTP, in the form that all errors have."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from rtc_stt.errors import trace
from rtc_stt.instrument import Instrument
from signaling.request import broken_response

__all__ = ["HttpProtocol"]

log = logging.getLogger(__name__)

BROKEN = "this is no HTTP request that can be read (RFC 9112)"
TOO_LONG = "a line of the head is too long"


class HttpProtocol(web.RequestHandler):
    """One connection. Nothing of what was sent is in an answer or in the log, and no address.

    Args:
        manager: the server that it belongs to.
        instrument: is told of each head that cannot be read.
        handling: as :class:`aiohttp.web.RequestHandler` has them.
    """

    __slots__ = ("_instrument",)

    def __init__(self, manager: web.Server, instrument: Instrument, **handling: Any) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **handling)
        self._instrument = instrument

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a head that cannot be read, or to a mistake of ours outside of every handler; the
        connection is closed behind it.

        Raises:
            ConnectionError: another answer has begun; nothing more can be said.
        """
        if isinstance(exc, HttpProcessingError):
            self._instrument.session_refused("malformed")
            kind, text = "bad_request", TOO_LONG if isinstance(exc, LineTooLong) else BROKEN
        else:
            log.error("a request failed: %s", trace(exc) if isinstance(exc, Exception) else status)
            kind, text = "internal", "the server made a mistake"
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        # The application makes all its requests, this one too, as web.Request.
        return broken_response(cast(web.Request, request), status, kind, text)
