"""What is remembered of connections."""

from __future__ import annotations

import pytest

from rtc_stt.errors import TooMany
from signaling.auth import OPEN, Pass
from signaling.resources import MAX_PER_SESSION, REMEMBER_S, Resources
from signaling.sanitiser import Offer
from signaling.tokens import Token

OFFER = Offer("v=0\r\n", "abcd", 2)
TOKEN = Pass("key", Token("key", 0, b"n" * 16))


def test_it_belongs_to_the_key_or_the_very_token():
    resources = Resources()
    by_key = resources.add("p", "s", OFFER, Pass("key"))
    by_token = resources.add("q", "t", OFFER, TOKEN)
    assert by_key.belongs_to(Pass("key"))
    assert by_token.belongs_to(TOKEN)
    assert by_token.belongs_to(Pass("key")), "the key that the token was made with"
    assert not by_key.belongs_to(TOKEN)
    assert not by_token.belongs_to(Pass("key", Token("key", 0, b"m" * 16)))
    assert not by_key.belongs_to(Pass("other"))
    assert by_key.belongs_to(Pass(OPEN)), "where no key is asked for, its name is enough"


def test_a_resumed_session_stays_whose_it_was():
    resources = Resources()
    resources.add("p", "s", OFFER, TOKEN)
    back = resources.add("q", "s", OFFER, Pass(OPEN), "resume")
    assert back.belongs_to(TOKEN)
    assert not back.belongs_to(Pass("other"))
    assert back.resumed_with("resume")
    assert not back.resumed_with("\udcff")
    assert resources.latest("s") is back
    assert resources.latest("none") is None


def test_an_ended_session_is_known_for_some_minutes():
    resources = Resources()
    for number in range(3):
        resources.add(f"p{number}", f"s{number}", OFFER, Pass("key"))
    resources.end("s0", 0)
    resources.end("s1", REMEMBER_S - 1)
    assert resources.get("p0") is not None
    resources.end("s2", REMEMBER_S)
    assert resources.get("p0") is None
    assert resources.get("p1") is not None
    resources.end("never", 3 * REMEMBER_S)
    assert len(resources) == 0


def test_of_one_session_the_latest_connections_are_known():
    resources = Resources()
    for number in range(100):
        resources.add(f"p{number}", "s", OFFER, Pass("key"))
    assert len(resources) == MAX_PER_SESSION
    resources.end("s", 0)
    resources.end("other", REMEMBER_S)
    assert len(resources) == 0


def test_candidates_are_taken_while_there_is_room():
    resource = Resources().add("p", "s", OFFER, Pass("key"))
    many = tuple(map(str, range(15)))
    assert resource.take(many, 0) == many
    assert resource.take(many, 1) == many[:3], "with the two of the offer that is twenty"
    assert resource.take(many, 2) == ()


def test_messages_that_come_too_fast_are_refused():
    resource = Resources().add("p", "s", OFFER, Pass("key"))
    for _ in range(20):
        resource.take((), 0)
    with pytest.raises(TooMany):
        resource.take((), 0)
