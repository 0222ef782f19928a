"""What is agreed about signs of life: the table of RFC 4028 §9, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.message import Malformed, Request, read_message
from signaling.telephony.sip.session_timer import MIN_SE, SessionTimer, negotiate
from tests.signaling.telephony.sip.world import Peer


def request(*headers: str) -> Request:
    read = read_message(Peer().request("INVITE", *headers))
    assert isinstance(read, Request)
    return read


@pytest.mark.parametrize(
    ("headers", "seconds", "we_refresh", "they_know"),
    [
        ((), 1800, True, False),
        (("Supported: 100rel, timer",), 1800, False, True),
        (("k: timer", "x: 600"), 600, False, True),
        (("Require: timer", "Session-Expires: 600;refresher=uas"), 600, True, True),
        (("Supported: timer", "Session-Expires: 600;Refresher=UAC"), 600, False, True),
        (("Supported: timer", "Session-Expires: 86400"), 1800, False, True),
        (("Supported: timer", "Session-Expires: 7200", "Min-SE: 3600"), 3600, False, True),
        (("Session-Expires: 600;refresher=uac",), 600, True, False),
        (("Session-Expires: 10",), 90, True, False),
    ],
)
def test_what_is_agreed(headers, seconds, we_refresh, they_know):
    assert negotiate(request(*headers), 1800) == SessionTimer(seconds, we_refresh, they_know)


def test_too_little_is_refused_to_who_can_ask_again():
    with pytest.raises(Malformed) as caught:
        negotiate(request("Supported: timer", "Session-Expires: 89"), 1800)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "header", ["Session-Expires: x", "Session-Expires: -9", "Min-SE: ", "Min-SE: 9999999999"]
)
def test_what_cannot_be_read(header):
    if header == "Min-SE: ":
        assert negotiate(request(header), 1800).seconds == 1800
        return
    with pytest.raises(BadRequest):
        negotiate(request(header), 1800)


@pytest.mark.parametrize(
    ("we_refresh", "they_know", "headers"),
    [
        (False, True, [("Require", "timer"), ("Session-Expires", "90;refresher=uac")]),
        (True, True, [("Require", "timer"), ("Session-Expires", "90;refresher=uas")]),
        (True, False, [("Session-Expires", "90;refresher=uas")]),
    ],
)
def test_what_is_told(we_refresh, they_know, headers):
    assert SessionTimer(90, we_refresh, they_know).headers() == headers


@given(st.integers(MIN_SE, 10**6))
def test_who_refreshes_does_so_before_it_is_over(seconds):
    timer = SessionTimer(seconds, we_refresh=True, they_know=True)
    assert 0 < timer.refresh_s < timer.expire_s < seconds
    assert seconds - timer.expire_s == pytest.approx(min(32, seconds / 3))
