"""Every error becomes one that the framework lives with, and none tells a secret."""

from __future__ import annotations

import pytest
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError

from rtc_stt import errors
from rtc_stt.events import SessionError
from rtc_stt.plugins.livekit.errors import session_error, translate

KEY = "sk-secret-0123"


@pytest.mark.parametrize(
    ("error", "status", "is_tried_again"),
    [
        (errors.Unauthorized("no"), 401, False),
        (errors.Forbidden("no"), 403, False),
        (errors.NotFound("no"), 404, False),
        (errors.RequestTimeout("no"), 408, True),
        (errors.TooMany("no"), 429, True),
        (errors.QuotaExceeded("no"), 429, False),
        (errors.Unavailable("no"), 503, True),
        (errors.ServerError("no"), 500, True),
        (errors.BadAudio("no"), 400, False),
    ],
)
def test_a_status(error, status, is_tried_again):
    error.request_id = "r1"
    told = translate(error)
    assert isinstance(told, APIStatusError)
    assert (told.status_code, told.retryable, told.request_id) == (status, is_tried_again, "r1")


@pytest.mark.parametrize(
    ("error", "kind", "is_tried_again"),
    [
        (errors.Unreachable("gone"), APIConnectionError, True),
        (errors.DecodeFailed("x"), APIConnectionError, True),
        (errors.ModelError("x"), APIError, False),
        (TimeoutError(), APITimeoutError, True),
        (KeyError("x"), APIConnectionError, True),
    ],
)
def test_the_others(error, kind, is_tried_again):
    told = translate(error)
    assert isinstance(told, kind)
    assert told.retryable is is_tried_again


def test_one_of_the_frameworks_own_stays():
    error = APIConnectionError("x")
    assert translate(error) is error


@pytest.mark.parametrize("kind", [errors.Unauthorized, errors.Unreachable, errors.ModelError, ValueError])
def test_no_secret_is_told_whoever_says_it(kind):
    told = translate(kind(f"Bearer {KEY} is wrong"), KEY)
    assert KEY not in repr(told)
    assert KEY not in str(told)


@pytest.mark.parametrize(
    ("code", "status", "is_tried_again"),
    [
        ("overloaded", 503, True),
        ("vad_failed", 500, True),
        ("bad_audio", 400, False),
        ("quota_exceeded", 429, False),
    ],
)
def test_a_session_that_fails(code, status, is_tried_again):
    told = session_error(code, SessionError(at_ms=0, code=code, message=f"why {KEY}", fatal=True), KEY)
    assert isinstance(told, APIStatusError)
    assert (told.status_code, told.retryable) == (status, is_tried_again)
    assert KEY not in str(told)


def test_a_session_that_ends_unasked():
    told = session_error("deleted", None)
    assert isinstance(told, APIConnectionError)
    assert told.retryable
    assert "deleted" in str(told)
