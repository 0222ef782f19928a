"""What a gateway holds, and when it says so again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling.allowance import KEY_LIMIT, RATE
from signaling.shared.limits import Limit
from signaling.shared.places import AGAIN_S, MAX_AT_ONCE, Places

ROOM = Limit(KEY_LIMIT, ("r", "k", KEY_LIMIT), "room", 3, 10_000)
OTHER = Limit(KEY_LIMIT, ("r", "k2", KEY_LIMIT), "room", 3, 10_000)
OFTEN = Limit(RATE, ("r", "k", RATE), "rate", 3, 10_000)


def test_said_again_every_second_until_it_is_free() -> None:
    places = Places()
    places.hold([OFTEN, ROOM], "a", 10.0)
    assert len(places) == 1
    assert places.take_due(10.0 + AGAIN_S / 2) == []
    assert places.take_due(10.0 + AGAIN_S) == [(ROOM.parts, ["a"])]
    places.said(ROOM.parts, ["a"], 3, 13.0)
    assert places.elsewhere(ROOM.parts) == 2
    assert places.take_due(13.5) == []
    places.drop(ROOM.parts, "a")
    assert places.has_dropped
    assert places.take_dropped() == [(ROOM.parts, ["a"])]
    assert not places.has_dropped
    assert (places.take_due(99.0), places.elsewhere(ROOM.parts), len(places)) == ([], 0, 0)
    places.said(ROOM.parts, ["a"], 3, 100.0)
    assert places.elsewhere(ROOM.parts) == 0


def test_what_was_not_said_or_forgotten_is_due_at_once() -> None:
    places = Places()
    places.hold([ROOM, OTHER], "a", None)
    assert len(places.take_due(0.0)) == 2
    places.said(ROOM.parts, ["a"], 1, 0.0)
    places.said(OTHER.parts, ["a"], 1, 0.0)
    assert places.take_due(0.5) == []
    places.forget_all()
    assert len(places.take_due(1.0)) == 2


@given(st.integers(0, 3 * MAX_AT_ONCE))
def test_many_in_bounded_parts(count: int) -> None:
    places = Places()
    for number in range(count):
        places.hold([ROOM], str(number), None)
    parts = [members for _, members in places.take_due(0.0)]
    assert all(len(part) <= MAX_AT_ONCE for part in parts)
    assert [member for part in parts for member in part] == [str(number) for number in range(count)]
    for number in range(count):
        places.drop(ROOM.parts, str(number))
    assert sum(len(members) for _, members in places.take_dropped()) == count
