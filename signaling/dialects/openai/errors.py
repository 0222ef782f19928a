"""Errors as clients of OpenAI's API read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Refusal", "error_body", "error_details"]


class Refusal(Exception):
    """What a client said is not taken. Its words are fit for the client.

    Args:
        message: what is wrong, and what to do.
        code: for programs.
        param: which field, as ``session.audio.input.format``.
    """

    def __init__(self, message: str, *, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def error_details(
    message: str, *, code: str, param: str | None = None, kind: str = "invalid_request_error"
) -> dict[str, object]:
    """What stands under ``error``, wherever an error is told."""
    return {"message": message, "type": kind, "param": param, "code": code}


def error_body(status: int, kind: str, message: str, request_id: str) -> Mapping[str, object]:
    """The body of an HTTP error: theirs, with our ``request_id`` in it; ``code`` is our ``type``."""
    return {"error": {**error_details(message, code=kind, kind=_kind(status)), "request_id": request_id}}


def _kind(status: int) -> str:
    if status >= 500:
        return "server_error"
    return {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        status, "invalid_request_error"
    )
