"""What the callers of the tests are made of: scenarios that can be read, ears that notice what is missing,
strangers who can break anything."""

from __future__ import annotations

import random
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.rtp import parse_rtp
from tools.telephony import strangers
from tools.telephony.ear import HeardCall
from tools.telephony.sipp import SCENARIOS


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.xml")), ids=lambda path: path.stem)
def test_a_scenario_is_xml_and_every_message_says_how_long_it_is(path: Any) -> None:
    scenario = ElementTree.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 - our own
    assert scenario.get("name") == path.stem
    messages = [send.text or "" for send in scenario.iter("send")]
    assert messages
    for message in messages:
        assert re.search(r"Content-Length: (0|\[len\])\n", message), message
        assert "CSeq:" in message or "[last_CSeq:]" in message


def told(*events: tuple[str, int], **fields: object) -> HeardCall:
    call = HeardCall("c")
    call.events = [{"type": kind, "seq": seq, **fields} for kind, seq in events]
    return call


def test_a_call_is_whole_from_its_beginning_to_its_end() -> None:
    whole = [("call.started", 1), ("leg.started", 2), ("dtmf", 3), ("leg.ended", 4), ("call.ended", 5)]
    assert told(*whole).is_whole
    for missing in range(len(whole)):
        assert not told(*whole[:missing], *whole[missing + 1 :]).is_whole


def test_what_was_heard_is_told_by_leg() -> None:
    call = HeardCall("c")
    call.events = [
        {"type": "call.started", "seq": 1, "caller": "ada"},
        {"type": "transcript.final", "seq": 2, "leg": "1", "text": "One."},
        {"type": "dtmf", "seq": 3, "leg": "2", "digit": "4"},
        {"type": "transcript.final", "seq": 4, "leg": "2", "text": "Two."},
        {"type": "transcript.final", "seq": 5, "leg": "1", "text": "Three."},
    ]
    assert (call.caller, call.text("1"), call.text("2"), call.text()) == (
        "ada",
        "One. Three.",
        "Two.",
        "One. Two. Three.",
    )
    assert (call.keys("2"), call.keys("1"), call.is_over) == ("4", "", False)


@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_anything_can_be_broken(message: bytes, seed: int) -> None:
    once, again = (strangers.mutated(message, random.Random(seed)) for _ in range(2))
    assert once == again, "the same chance breaks the same"


def test_noise_is_rtp() -> None:
    packets = [parse_rtp(data) for data in strangers.noise(random.Random(1), 3, ssrc=7)]
    assert [(p.sequence, p.timestamp, p.ssrc, len(p.payload)) for p in packets if p] == [
        (0, 0, 7, 160),
        (1, 160, 7, 160),
        (2, 320, 7, 160),
    ]


def test_a_request_says_how_long_its_body_is() -> None:
    head, _, body = strangers.request("INVITE", address="127.0.0.2", port=5060).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"c=IN IP4 127.0.0.2" in body
