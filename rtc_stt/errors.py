"""Every error that rtc-stt raises, as one tree.

::

    RtcSttError
    ├── ConfigError            the operator's: a key, a value, a file          exit code 1
    ├── ModelError             the operator's: a model cannot be loaded        exit code 1
    ├── ClientError            the peer's: carries ``status`` and ``type``     4xx
    │   ├── BadRequest                                                        400
    │   ├── Unauthorized                                                      401
    │   ├── Forbidden                                                         403
    │   ├── NotFound                                                          404
    │   │   └── SessionGone                                                   404
    │   ├── RequestTimeout                                                    408
    │   ├── PreconditionFailed                                                412
    │   ├── AudioTooLong                                                      413
    │   ├── TooLarge                                                          413
    │   ├── UnsupportedMedia                                                  415
    │   ├── Unprocessable                                                     422
    │   ├── PreconditionRequired                                              428
    │   ├── TooMany            carries ``retry_after_s``                      429
    │   │   └── QuotaExceeded                                                 429
    │   └── BadAudio                                                          400
    ├── Unavailable            ours, for now: full or draining                 503
    ├── DecodeFailed           ours: a recording could not be decoded          500
    ├── FallbackFailed         another server's: the second opinion            502
    ├── Gone                   nobody's: the client does not wait any more
    ├── BadResult              the operator's: a file is no result of ours       exit code 1
    ├── TargetFailed           the measured one's: told by the benchmark       exit code 1
    ├── Unreachable            the network's: told by the client SDK
    ├── ServerError            the server's: told by the client SDK            5xx
    └── DecodeError            ours: the engine failed on one request
        └── EngineBroken       ours: the engine will fail on the next one too

An error says whose fault it is and which status it suggests. ``str(error)`` is fit for a user: it says
what is wrong and what to do, and never holds a secret, a transcript or audio. Errors of other libraries
are translated where they enter.
"""

from __future__ import annotations

import traceback

__all__ = [
    "AudioTooLong",
    "BadAudio",
    "BadRequest",
    "BadResult",
    "ClientError",
    "ConfigError",
    "DecodeError",
    "DecodeFailed",
    "EngineBroken",
    "FallbackFailed",
    "Forbidden",
    "Gone",
    "ModelError",
    "NotFound",
    "PreconditionFailed",
    "PreconditionRequired",
    "QuotaExceeded",
    "RequestTimeout",
    "RtcSttError",
    "ServerError",
    "SessionGone",
    "TargetFailed",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
    "Unreachable",
    "UnsupportedMedia",
    "trace",
]


class RtcSttError(Exception):
    """Base of all errors of this library."""

    request_id: str | None = None
    """``X-Req-Id`` of a refused request, told by the client SDK: what to look for in the server's log."""


class ConfigError(RtcSttError):
    """A configuration key is unknown, malformed or contradicts another."""


class ModelError(RtcSttError):
    """A model cannot be found, fetched or loaded."""


class ClientError(RtcSttError):
    """The request was wrong; ``status`` is the HTTP status it suggests."""

    status = 400
    type = "bad_request"


class BadRequest(ClientError):
    """The request cannot be understood."""


class BadAudio(ClientError):
    """The audio cannot be read, or is outside the limits."""

    type = "bad_audio"


class AudioTooLong(ClientError):
    """The recording is longer than the server takes, however small the file is."""

    status = 413
    type = "audio_too_long"


class TooLarge(ClientError):
    """The body has more bytes than the server takes."""

    status = 413
    type = "too_large"


class Unauthorized(ClientError):
    """The key is missing or wrong."""

    status = 401
    type = "unauthorized"


class Forbidden(ClientError):
    """The caller is known, or asks from a page of another origin, and may not do this."""

    status = 403
    type = "forbidden"


class NotFound(ClientError):
    """There is no such session."""

    status = 404
    type = "not_found"


class SessionGone(NotFound):
    """The session that was to be resumed has ended, or never was: begin a new one."""

    type = "session_gone"


class RequestTimeout(ClientError):
    """The request did not arrive in time (RFC 9110 §15.5.9)."""

    status = 408
    type = "timeout"


class PreconditionFailed(ClientError):
    """``If-Match`` names another state of the resource (RFC 9110 §13.1.1)."""

    status = 412
    type = "precondition_failed"


class PreconditionRequired(ClientError):
    """The request needs ``If-Match`` (RFC 6585 §3)."""

    status = 428
    type = "precondition_required"


class TooMany(ClientError):
    """More often, or more at a time, than this caller may. ``retry_after_s`` says when to ask again."""

    status = 429
    type = "too_many"

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaExceeded(TooMany):
    """This key has had all the audio that it may have in a day."""

    type = "quota_exceeded"


class UnsupportedMedia(ClientError):
    """The body is not of a type this endpoint reads."""

    status = 415
    type = "unsupported_media_type"


class Unprocessable(ClientError):
    """The request is well formed, and asks for what is not offered here (video, no audio)."""

    status = 422
    type = "unprocessable"


class Unavailable(RtcSttError):
    """No new session now: the server is full or draining. ``retry_after_s`` says when to ask again."""

    status = 503
    type = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DecodeFailed(RtcSttError):
    """A recording has no transcript: the fast tier failed on a part of it, and nobody can stand in."""

    status = 500
    type = "decode_failed"


class FallbackFailed(RtcSttError):
    """A second opinion was wanted on a recording, and no fallback gave one."""

    status = 502
    type = "fallback_failed"


class Gone(RtcSttError):
    """Who asked does not wait for the answer any more; there is nobody to tell."""


class BadResult(RtcSttError):
    """A file that was named as the result of a benchmark is none, or not one of this version."""


class TargetFailed(RtcSttError):
    """What the benchmark was to measure cannot be had: it does not start, answers nobody, or refuses."""


class Unreachable(RtcSttError):
    """Told by the client SDK: no connection to a server, or no answer, for as long as it was to be tried."""


class ServerError(RtcSttError):
    """Told by the client SDK: the server failed, or a proxy before it. ``status`` and ``type`` as it says."""

    status = 500
    type = "internal"


class DecodeError(RtcSttError):
    """The engine failed on one request. The recognizer turns it into a degraded result that says so."""


class EngineBroken(DecodeError):
    """The engine itself has failed (a CUDA error, memory): it must be loaded anew before it can go on."""


def trace(error: BaseException) -> str:
    """The kind of an error and where it arose, fit for a log: without its message, which may quote a user."""
    return type(error).__name__ + "\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip()
