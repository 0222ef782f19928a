"""How errors look: bodies of HTTP, and the codes that close a WebSocket. Pure."""

from __future__ import annotations

import http
from collections.abc import Mapping

from signaling.stream_protocol import close_code

__all__ = ["close_words", "error_body"]

_CODES = {401: "INVALID_AUTH", 429: "TOO_MANY_REQUESTS"}
"""Those that clients look for; the others are the status in words."""

_CLOSES: Mapping[str, tuple[int, str]] = {
    **dict.fromkeys(("stopped", "closed", "deleted"), (1000, "")),
    **dict.fromkeys(("abuse", "bad_audio"), (1008, "DATA-0000")),
    **dict.fromkeys(("server_error", "vad_failed"), (1011, "NET-0000")),
    "connection_lost": (1011, "NET-0001"),
}


def error_body(status: int, kind: str, message: str, request_id: str) -> Mapping[str, object]:
    """The body of an HTTP error; see :data:`signaling.request.BODIES`."""
    known = status in http.HTTPStatus.__members__.values()
    code = _CODES.get(status) or (http.HTTPStatus(status).phrase if known else kind)
    return {"err_code": code, "err_msg": message, "request_id": request_id}


def close_words(reason: str) -> tuple[int, str]:
    """Code and words that close a WebSocket.

    Args:
        reason: of ``session.ended``, or why the connection is given up.
    """
    return _CLOSES.get(reason) or (close_code(reason), reason)
