"""What a server's refusal says, as the errors of this library. Pure: time is given."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from rtc_stt import errors
from rtc_stt.errors import (
    BadRequest,
    ClientError,
    Forbidden,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    RtcSttError,
    ServerError,
    TooMany,
    Unauthorized,
    Unavailable,
    Unprocessable,
    UnsupportedMedia,
)

__all__ = ["Refusal", "error_of", "read_refusal", "seconds_to_wait"]

MAX_TEXT = 300
"""Of a message; of a type and an id it is far more than any honest one."""

MAX_BODY = 64 * 1024
"""A longer one is not in that form."""

MAX_RETRY_AFTER_S = 7 * 86_400.0
"""What is told beyond it is as good as never."""

_BY_STATUS: Mapping[int, type[RtcSttError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    412: PreconditionFailed,
    415: UnsupportedMedia,
    422: Unprocessable,
    428: PreconditionRequired,
    429: TooMany,
    503: Unavailable,
}
"""Where the type says no more than the status does."""

_BY_TYPE: Mapping[tuple[int, str], type[RtcSttError]] = {
    (kind.status, kind.type): kind
    for kind in (getattr(errors, name) for name in errors.__all__)
    if isinstance(kind, type)
    and hasattr(kind, "status")
    and hasattr(kind, "type")
    and kind is not ClientError
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The body of an error in the contract's form; empty is what it does not say."""

    type: str = ""
    message: str = ""
    request_id: str = ""


def read_refusal(body: str | bytes) -> Refusal:
    """What can be read of a body; a proxy's page gives an empty one."""
    if len(body) > MAX_BODY:
        return Refusal()
    try:
        error = json.loads(body)["error"]
        told = (error.get(name) for name in ("type", "message", "request_id"))
        return Refusal(*(value[:MAX_TEXT] if isinstance(value, str) else "" for value in told))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Refusal()


def error_of(status: int, refusal: Refusal, retry_after_s: float | None = None) -> RtcSttError:
    """The error that an answer stands for: of its own class where it has one, in the words of the server."""
    message = refusal.message or f"the server answered {status}"
    kind = _BY_TYPE.get((status, refusal.type)) or _BY_STATUS.get(status)
    error: RtcSttError
    if kind and issubclass(kind, TooMany | Unavailable):
        told = {} if retry_after_s is None else {"retry_after_s": math.ceil(retry_after_s)}
        error = kind(message, **told)
    elif kind:
        error = kind(message)
    else:
        error = ClientError(message) if status < 500 else ServerError(message)
    if isinstance(error, ClientError | ServerError | Unavailable):
        error.status, error.type = status, refusal.type or error.type
    error.request_id = refusal.request_id or None
    return error


def seconds_to_wait(header: str | None, now: float) -> float | None:
    """``Retry-After`` (RFC 9110 §10.2.3), seconds or a date, as seconds from ``now``; None if it is neither.

    Args:
        now: Unix time.
    """
    if not header:
        return None
    if header.isascii() and header.isdecimal():
        return min(float(header), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(header)
        if date.tzinfo is None:  # "-0000": UTC, from a source that knows no zone
            date = date.replace(tzinfo=UTC)
        return min(max(0.0, date.timestamp() - now), MAX_RETRY_AFTER_S)
    except (ValueError, TypeError, OverflowError):
        return None
