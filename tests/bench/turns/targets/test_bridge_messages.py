"""What a script says: each type that its side of the bridge knows, and what must not be believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rtc_stt.bench.peers.link import FIELDS
from rtc_stt.bench.turns.targets.bridge_messages import HANG_UP, Ready, is_made, piece, read_line, read_ready
from rtc_stt.bench.turns.targets.reading import Unreadable
from rtc_stt.bench.turns.told import Dropped, Eager, Endpoint, Failed, Final, Partial, Resumed, Told


def line(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields}).encode() + b"\n"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (line("started", utterance="u1"), ()),
        (line("partial", text="hi"), (Partial("hi"),)),
        (
            line("partial", text="hi you", utterance="u1", stable_chars=2, audio_end_ms=640),
            (Partial("hi you", 2, "u1", 640),),
        ),
        (line("eager", text="hi", utterance="u1"), (Eager("hi", "u1"),)),
        (line("resumed", utterance="u1"), (Resumed("u1"),)),
        (line("endpoint"), (Endpoint(),)),
        (line("final", text="hi", degraded=True), (Final("hi", degraded=True),)),
        (line("dropped", reason="noise"), (Dropped("noise"),)),
        (line("failed", reason="no memory"), (Failed("no memory"),)),
        (line("failed"), (Failed("the script gave up"),)),
    ],
)
def test_each_type(message: bytes, told: tuple[Told, ...]) -> None:
    assert read_line(message) == told


@pytest.mark.parametrize("kind", FIELDS)
def test_every_type_of_the_other_side_is_understood(kind: str) -> None:
    values = {"stable_chars": 0, "audio_end_ms": 0, "degraded": False}
    told = read_line(line(kind, **{name: values.get(name, "x") for name in FIELDS[kind]}))
    assert [type(one).__name__.lower() for one in told] == ([] if kind in ("ready", "started") else [kind])


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (line("final"), "no text"),
        (line("partial", text=None), "no text"),
        (line("song", text="la"), "a type that there is not"),
        (line("partial", text="a", stable_chars=-1), "stable_chars"),
        (line("partial", text="a", audio_end_ms="soon"), "audio_end_ms"),
        (b"Traceback (most recent call last):\n", "not JSON"),
    ],
)
def test_what_is_none_of_them(message: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read_line(message)


def test_the_line_that_says_where_to_connect() -> None:
    assert read_ready(b"Loading the model ...\n") is None
    assert read_ready(b'{"progress": 0.5}\n') is None
    assert read_ready(b'{"port": 4711, "facts": {"torch": "2.4"}}\n') == Ready(4711, {"torch": "2.4"})
    assert read_ready(b'{"port": 4711}\n') == Ready(4711, {})
    assert read_ready(b'{"port": 4711, "says_ready": true}\n') == Ready(4711, {}, says_ready=True)
    wrong_ones = (
        b'{"port": 0}',
        b'{"port": 65536}',
        b'{"port": "80"}',
        b'{"port": 80, "facts": []}',
        b'{"port": 80, "says_ready": 1}',
    )
    for wrong in wrong_ones:
        with pytest.raises(Unreadable):
            read_ready(wrong)


def test_the_line_that_says_that_a_session_has_been_made() -> None:
    assert is_made(line("ready"))
    assert not is_made(line("started"))
    assert not is_made(b"Traceback\n")


def test_sound_says_how_long_it_is() -> None:
    assert piece(b"\x01\x02") == b"\x02\x00\x00\x00\x01\x02"
    assert HANG_UP == b"\x00\x00\x00\x00"
