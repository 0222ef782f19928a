"""What an answer means, when to ask again, and when to stop asking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.client.reconnect import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    MAX_REDIRECTS,
    MAX_RETRY_AFTER_S,
    Answer,
    Attempts,
    Follow,
    GiveUp,
    Proceed,
    Retry,
    Step,
    begins_anew,
)
from rtc_stt.errors import (
    BadRequest,
    ClientError,
    Forbidden,
    NotFound,
    TooMany,
    Unauthorized,
    Unavailable,
    Unprocessable,
    Unreachable,
)

URL = "https://a.example/whip"


def attempts(*, patience_s: float = 1e6, is_first: bool = False) -> Attempts:
    return Attempts(0.0, patience_s=patience_s, is_first=is_first)


def decide(answer: Answer, *, resuming: bool = True, url: str = URL, chance: float = 1.0) -> Step:
    return attempts().decide(answer, url, resuming=resuming, now=0.0, chance=chance)


@pytest.mark.parametrize("resuming", [True, False])
def test_an_offer_that_is_taken_is_gone_on_with(resuming):
    assert decide(Answer(201), resuming=resuming) == Proceed()


@pytest.mark.parametrize("resuming", [True, False])
@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (403, Forbidden)])
def test_who_may_not_come_in_is_told_so(status, error, resuming):
    step = decide(Answer(status, "no such key"), resuming=resuming)
    assert isinstance(step, GiveUp)
    assert type(step.error) is error
    assert str(step.error) == "no such key"


def test_a_session_that_is_gone_is_replaced_at_once():
    assert decide(Answer(404), resuming=True) == Retry(0.0, anew=True)
    assert decide(Answer(422), resuming=True) == Retry(0.0, anew=True)


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotFound), (400, BadRequest), (422, Unprocessable), (418, ClientError), (200, ClientError)],
)
def test_a_request_that_is_wrong_is_not_repeated(status, error):
    step = decide(Answer(status), resuming=False)
    assert isinstance(step, GiveUp)
    assert type(step.error) is error
    assert str(status) in str(step.error)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_when_is_asked_then(status):
    assert decide(Answer(status, retry_after_s=7)) == Retry(7)
    assert decide(Answer(status, retry_after_s=0)) == Retry(FIRST_WAIT_S)
    assert decide(Answer(status, retry_after_s=1e9)) == Retry(MAX_RETRY_AFTER_S)
    assert decide(Answer(status)) == Retry(FIRST_WAIT_S)


@given(st.floats(0, 1, exclude_max=True))
def test_waits_double_up_to_a_limit_and_are_spread(chance):
    trying, waits = attempts(), []
    for _ in range(10):
        step = trying.failed(now=0.0, chance=chance)
        assert isinstance(step, Retry)
        assert not step.anew
        waits.append(step.after_s)
    full = [min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**i) for i in range(10)]
    assert all(f / 2 <= wait <= f for wait, f in zip(waits, full, strict=True))
    assert waits == sorted(waits)
    assert waits[-1] == waits[-2]


def test_patience_has_an_end_that_says_why():
    trying = attempts(patience_s=1.0)
    assert isinstance(trying.failed(now=0.5, chance=0.0), Retry)
    step = trying.failed(now=0.9, chance=0.0)
    assert isinstance(step, GiveUp)
    assert isinstance(step.error, Unreachable)
    for status, error in ((503, Unavailable), (429, TooMany), (500, Unreachable)):
        step = attempts(patience_s=1.0).decide(
            Answer(status, "full", retry_after_s=2), URL, resuming=True, now=0.0, chance=0.0
        )
        assert isinstance(step, GiveUp)
        assert type(step.error) is error


def test_the_first_time_nobody_waits_for_a_server_that_is_not_there():
    step = attempts(is_first=True).failed(now=0.0, chance=0.0)
    assert isinstance(step, GiveUp)
    assert isinstance(step.error, Unreachable)
    full = attempts(is_first=True).decide(Answer(503), URL, resuming=False, now=0.0, chance=0.0)
    assert isinstance(full, Retry), "but for one that is full"


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        (URL, "https://b.example/whip", "https://b.example/whip"),
        (URL, "/other", "https://a.example/other"),
        ("http://a.example/whip", "https://b.example/whip", "https://b.example/whip"),
        ("http://a.example/whip", "http://b.example/whip", "http://b.example/whip"),
    ],
)
@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_is_followed(url, location, target, status):
    assert decide(Answer(status, location=location), url=url) == Follow(target)


@pytest.mark.parametrize(
    "location", [None, "", "http://a.example/whip", "ftp://a.example/", "file:///etc/passwd"]
)
def test_a_redirect_to_nowhere_or_out_of_tls_is_not_followed(location):
    step = decide(Answer(307, location=location))
    assert isinstance(step, GiveUp)
    assert isinstance(step.error, Unreachable)


def test_redirects_in_circles_have_an_end():
    trying = attempts()
    answer = Answer(307, location="/whip")
    steps = [trying.decide(answer, URL, resuming=False, now=0, chance=0) for _ in range(MAX_REDIRECTS + 1)]
    assert all(isinstance(step, Follow) for step in steps[:-1])
    assert isinstance(steps[-1], GiveUp)


def test_only_a_server_that_goes_away_is_begun_anew_with():
    assert begins_anew("drained")
    for reason in ("stopped", "deleted", "overloaded", "vad_failed", ""):
        assert not begins_anew(reason)
