"""Our errors as those that LiveKit Agents live with: any but an ``APIError`` would end their STT in silence.

A 4xx but 408, 429 and 499 is not tried again (:class:`livekit.agents.APIStatusError`); the rest is.
"""

from __future__ import annotations

from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError

from rtc_stt.errors import (
    ClientError,
    ConfigError,
    ModelError,
    QuotaExceeded,
    RtcSttError,
    ServerError,
    Unavailable,
)
from rtc_stt.events import SessionError

__all__ = ["session_error", "translate"]

_STATUS = {"quota_exceeded": 429, "bad_audio": 400, "overloaded": 503, "vad_failed": 500}


def translate(error: Exception, secret: str | None = None) -> APIError:
    """The framework's error for one of ours, or of whomever.

    Args:
        secret: is in no message, whatever a server may have said.
    """
    if isinstance(error, APIError):
        return error
    if isinstance(error, ClientError | Unavailable | ServerError):
        return APIStatusError(
            _without(str(error), secret),
            status_code=error.status,
            request_id=error.request_id,
            retryable=not isinstance(error, QuotaExceeded),
        )
    if isinstance(error, ConfigError | ModelError):
        return APIError(_without(str(error), secret), retryable=False)
    if isinstance(error, RtcSttError):
        return APIConnectionError(_without(str(error), secret))
    if isinstance(error, TimeoutError):
        return APITimeoutError("the server did not answer in time")
    # Its message is not ours and may hold anything.
    return APIConnectionError(f"the stream failed ({type(error).__name__})")


def session_error(reason: str, fatal: SessionError | None, secret: str | None = None) -> APIError:
    """For a session that was not asked to end.

    Args:
        reason: of ``session.ended``.
        fatal: the event before it, if there was one.
    """
    if fatal is None:
        return APIConnectionError(f"the session ended: {_without(reason, secret)[:80]}")
    return APIStatusError(
        _without(fatal.message, secret)[:300],
        status_code=_STATUS.get(fatal.code, 500),
        retryable=fatal.code != "quota_exceeded",
    )


def _without(text: str, secret: str | None) -> str:
    return text.replace(secret, "…") if secret else text
