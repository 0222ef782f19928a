"""Refusals as errors, however odd they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt import errors
from rtc_stt.client.answers import (
    MAX_BODY,
    MAX_RETRY_AFTER_S,
    MAX_TEXT,
    Refusal,
    error_of,
    read_refusal,
    seconds_to_wait,
)
from rtc_stt.errors import (
    AudioTooLong,
    BadAudio,
    BadRequest,
    ClientError,
    DecodeFailed,
    FallbackFailed,
    NotFound,
    QuotaExceeded,
    RtcSttError,
    ServerError,
    TooMany,
    Unavailable,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
KNOWN = [
    kind
    for name in errors.__all__
    if isinstance(kind := getattr(errors, name), type) and hasattr(kind, "status") and kind is not ClientError
]


@pytest.mark.parametrize("kind", KNOWN, ids=lambda kind: kind.__name__)
def test_what_a_server_of_ours_raises_is_raised_here(kind):
    """Each class of the tree, by status and type."""
    error = error_of(kind.status, Refusal(kind.type, "so it is", "r1"), 7.2)
    assert type(error) is kind
    assert str(error) == "so it is"
    assert error.request_id == "r1"
    if isinstance(error, TooMany | Unavailable):
        assert error.retry_after_s == 8


@pytest.mark.parametrize(
    ("status", "type_", "kind"),
    [
        (400, "bad_audio", BadAudio),
        (400, "of_a_later_version", BadRequest),
        (404, "", NotFound),
        (413, "audio_too_long", AudioTooLong),
        (418, "teapot", ClientError),
        (429, "quota_exceeded", QuotaExceeded),
        (429, "", TooMany),
        (500, "decode_failed", DecodeFailed),
        (500, "", ServerError),
        (502, "fallback_failed", FallbackFailed),
        (502, "", ServerError),
        (503, "", Unavailable),
        (504, "", ServerError),
    ],
)
def test_the_type_tells_more_than_the_status_and_the_status_is_enough(status, type_, kind):
    error = error_of(status, Refusal(type=type_))
    assert type(error) is kind
    assert str(error) == f"the server answered {status}"
    assert getattr(error, "status", status) == status
    assert error.request_id is None


def test_a_type_that_is_not_known_is_kept():
    error = error_of(418, Refusal("teapot", "short and stout"))
    assert isinstance(error, ClientError)
    assert (error.status, error.type) == (418, "teapot")
    assert ClientError.status == 400, "of this error and no other"


def test_when_to_ask_again_has_a_default():
    error = error_of(503, Refusal())
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == Unavailable("").retry_after_s


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_is_there_is_read(body):
    assert isinstance(read_refusal(body), Refusal)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "type", "message"]), inner),
    max_leaves=10,
)


@given(JSON, st.integers(400, 599))
def test_whatever_json_says_becomes_an_error(told, status):
    error = error_of(status, read_refusal(json.dumps(told)))
    assert isinstance(error, RtcSttError)


def test_an_error_in_our_form_is_read_and_cut_short():
    body = {"error": {"type": "a", "message": "m" * 1_000, "request_id": "r", "more": 1}}
    assert read_refusal(json.dumps(body)) == Refusal("a", "m" * MAX_TEXT, "r")
    assert read_refusal(json.dumps(body).encode()) == Refusal("a", "m" * MAX_TEXT, "r")


@pytest.mark.parametrize(
    "body", ["", "<html>502</html>", "[]", '{"error":7}', '{"error":{}}', "[" * 50_000, b"\xff\xfe"]
)
def test_a_page_of_a_proxy_says_nothing(body):
    assert read_refusal(body) == Refusal()


def test_what_is_too_long_is_not_read():
    assert read_refusal(json.dumps({"error": {"message": "m", "x": "x" * MAX_BODY}})) == Refusal()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("7", 7.0),
        ("9" * 400, MAX_RETRY_AFTER_S),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 12:00:30 -0000", 30.0),
        ("Sat, 21 Nov 2026 13:00:30 +0100", 30.0),
        ("Sat, 21 Nov 2026 11:59:30 GMT", 0.0),
        ("Saturday, 21-Nov-26 12:00:30 GMT", 30.0),  # RFC 850, to be understood (RFC 9110 §5.6.7)
        ("Sat, 21 Nov 9999 12:00:30 GMT", MAX_RETRY_AFTER_S),
        ("Sat, 32 Nov 2026 12:00:30 GMT", None),
        ("Sat, 21 Nov 99999999999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert seconds_to_wait(header, NOW.timestamp()) == seconds


@given(st.text(max_size=40))
def test_any_header_is_survived(header):
    seconds = seconds_to_wait(header, NOW.timestamp())
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


@given(st.integers(0, 86_400))
def test_a_date_and_its_seconds_are_the_same(seconds):
    date = datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)
    assert seconds_to_wait(format_datetime(date, usegmt=True), NOW.timestamp()) == seconds
    assert seconds_to_wait(str(seconds), NOW.timestamp()) == seconds
