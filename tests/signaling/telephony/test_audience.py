"""Who hears calls as they go."""

from __future__ import annotations

import pytest

from rtc_stt.errors import TooMany, Unavailable
from signaling.telephony.audience import MAX_LISTENERS, MAX_OF_ACCOUNT, MAX_OF_CALL, Audience
from signaling.telephony.call_events import CallEvent

EVENT = CallEvent(1, "dtmf", "", "{}")


class Ear:
    def __init__(self, *, fails: bool = False) -> None:
        self.heard: list[str] = []
        self.reason = ""
        self.fails = fails

    def hear(self, call_id: str, event: CallEvent) -> None:
        if self.fails:
            raise ZeroDivisionError
        self.heard.append(call_id)

    def dismiss(self, reason: str) -> None:
        self.reason = reason


def test_everyone_hears_what_they_may():
    audience = Audience(is_open=False)
    one, all_of_acme, all_of_other = Ear(), Ear(), Ear()
    audience.add(one, "acme", "a")
    audience.add(all_of_acme, "acme", None)
    audience.add(all_of_other, "other", None)
    for call_id, account in (("a", "acme"), ("b", "acme"), ("c", "other")):
        audience.tell(call_id, account, EVENT)
    assert (one.heard, all_of_acme.heard, all_of_other.heard) == (["a"], ["a", "b"], ["c"])
    audience.dismiss("a", "ended")
    assert (one.reason, all_of_acme.reason, len(audience)) == ("ended", "", 2)
    audience.dismiss("a", "ended")
    audience.tell("a", "acme", EVENT)
    assert one.heard == ["a"]
    audience.dismiss(None, "drained")
    assert (all_of_acme.reason, all_of_other.reason, len(audience)) == ("drained", "drained", 0)


def test_on_an_open_server_everyone_hears_everything():
    audience, ear = Audience(is_open=True), Ear()
    audience.add(ear, "open", None)
    audience.tell("a", "whoever", EVENT)
    assert ear.heard == ["a"]


def test_one_who_fails_does_not_take_the_others_along():
    audience = Audience(is_open=False)
    ears = [Ear(), Ear(fails=True), Ear()]
    for ear in ears:
        audience.add(ear, "acme", "a")
    audience.tell("a", "acme", EVENT)
    audience.tell("a", "acme", EVENT)
    assert [len(ear.heard) for ear in ears] == [2, 0, 2]
    assert len(audience) == 2
    audience.remove(ears[1])  # again


def test_there_are_so_many_and_no_more():
    audience = Audience(is_open=False)
    ears = [Ear() for _ in range(MAX_OF_CALL)]
    for ear in ears:
        audience.add(ear, "acme", "a")
    with pytest.raises(TooMany):
        audience.add(Ear(), "acme", "a")
    for _ in range(MAX_OF_ACCOUNT - MAX_OF_CALL):
        audience.add(Ear(), "acme", None)
    with pytest.raises(TooMany):
        audience.add(Ear(), "acme", "b")
    for number in range(MAX_LISTENERS - MAX_OF_ACCOUNT):
        audience.add(Ear(), f"{number}", None)
    with pytest.raises(Unavailable):
        audience.add(Ear(), "last", None)
    audience.remove(ears[0])
    audience.add(Ear(), "acme", "a")
