"""The audio of live sessions, counted to the keys that began them."""

from __future__ import annotations

import pytest

from rtc_stt.errors import QuotaExceeded
from signaling.session_usage import SessionUsage
from signaling.usage import DAY_S, Account, Amount, Usage

DAY = 20_000


class Books:
    def __init__(self, daily_audio_s: float = 0.0) -> None:
        self.now = DAY * DAY_S + 3600.0
        self.usage = Usage(daily_audio_s=daily_audio_s)
        self.usage.know({"one": Account("acme"), "two": Account("other")})
        self.sessions = SessionUsage(self.usage, lambda: self.now)

    def of(self, name: str, day: int = DAY) -> Amount:
        return self.usage.amount(name, day)


def test_a_session_is_counted_once_however_often_it_connects() -> None:
    books = Books()
    books.sessions.begin("a", "one")
    assert books.of("acme") == Amount(), "an offer that never connects is no session"
    for _ in range(3):
        books.sessions.connect("a")
    books.sessions.hear("a", 5.0)
    books.sessions.hear("a", 2.5)
    assert books.of("acme") == Amount(7.5, 0, 1)
    assert books.of("other") == Amount()


def test_what_nobody_began_is_not_counted() -> None:
    books = Books(1)
    books.sessions.connect("a")
    assert not books.sessions.hear("a", 5.0)
    books.sessions.begin("a", "one")
    books.sessions.end("a")
    assert not books.sessions.hear("a", 5.0)
    assert books.of("acme") == Amount()
    assert not books.sessions._keys
    assert not books.sessions._counted


def test_a_session_that_uses_up_the_quota_is_to_go_and_the_others_of_its_key_too() -> None:
    books = Books(10)
    for session, key in (("a", "one"), ("b", "one"), ("c", "two")):
        books.sessions.begin(session, key)
    assert not books.sessions.hear("a", 9.5)
    assert books.sessions.hear("b", 0.5)
    assert books.sessions.hear("a", 0.1)
    assert not books.sessions.hear("c", 9.5)
    with pytest.raises(QuotaExceeded):
        books.sessions.check("one")
    books.sessions.check("two")
    books.now += DAY_S
    books.sessions.check("one")
    assert not books.sessions.hear("a", 5.0), "a new day"
