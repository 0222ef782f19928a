"""Our errors in Pipecat's words."""

from __future__ import annotations

from pipecat.utils.errors import ErrorCategory

from rtc_stt.errors import (
    ClientError,
    Forbidden,
    QuotaExceeded,
    RtcSttError,
    TooMany,
    Unauthorized,
    Unreachable,
)

__all__ = ["category"]


def category(error: RtcSttError) -> ErrorCategory:
    """Why it failed. Those that Pipecat takes for permanent make the service unusable."""
    match error:
        case Unauthorized():
            return ErrorCategory.AUTHENTICATION
        case Forbidden():
            return ErrorCategory.AUTHORIZATION
        case QuotaExceeded():
            return ErrorCategory.QUOTA
        case TooMany():
            return ErrorCategory.RATE_LIMIT
        case ClientError():
            return ErrorCategory.INVALID_REQUEST
        case Unreachable():
            return ErrorCategory.CONNECTIVITY
    return ErrorCategory.SERVER
