"""What is kept and said again: the line may break anywhere, and the server hears everything once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.client.reconnect import Answer
from rtc_stt.client.replay import Replay, Unsettled, answer_of
from rtc_stt.commands import Command, Finalize, Stop
from rtc_stt.events import DropReason, Event, SpeechStarted, SpeechStopped, UtteranceDropped

FRAME = 2


def replay(limit: int = 1_000, window: int = 400) -> Replay:
    return Replay(limit=limit, window=window, frame_bytes=FRAME)


def drain(kept: Replay, size: int = 64) -> list[bytes | Command]:
    out = []
    while (found := kept.next(size)) is not None:
        out.append(found)
    return out


def test_audio_goes_once_and_a_command_in_its_place():
    kept = replay()
    kept.put(b"aabb")
    kept.say(Finalize("1"))
    kept.put(b"cc")
    assert drain(kept) == [b"aabb", Finalize("1"), b"cc"]
    assert kept.next(64) is None
    kept.say(Stop())
    assert drain(kept) == [Stop()]


def test_what_did_not_arrive_is_said_again():
    kept = replay()
    kept.put(b"aabbcc")
    drain(kept)
    kept.say(Finalize("1"))
    drain(kept)
    assert kept.welcome(1, anew=False) == 0
    assert drain(kept) == [b"bbcc", Finalize("1")]


def test_a_command_behind_which_audio_arrived_has_arrived():
    kept = replay()
    kept.put(b"aa")
    kept.say(Finalize("1"))
    kept.put(b"bb")
    drain(kept)
    kept.received(1)
    assert kept.pending() == [Finalize("1")], "it may be that only the audio before it has"
    kept.received(2)
    assert kept.welcome(2, anew=False) == 0
    assert drain(kept) == []
    kept.settle(2)
    assert kept.pending() == []


def test_only_so_much_is_on_its_way():
    kept = replay(window=4)
    kept.put(b"aabbcc")
    assert drain(kept) == [b"aabb"]
    kept.received(1)
    assert drain(kept) == [b"cc"]


def test_half_a_sample_waits_for_the_other():
    kept = replay()
    kept.put(b"aab")
    kept.say(Stop())
    assert drain(kept) == [b"aa", Stop()], "a command does not wait for it"
    kept.put(b"b")
    assert drain(kept) == [b"bb"]


def test_what_is_in_no_final_is_kept_for_a_new_session_with_the_commands_in_it():
    kept = replay()
    kept.put(b"aabb")
    kept.say(Finalize("1"))
    kept.put(b"cc")
    drain(kept)
    kept.received(3)
    assert kept.kept() == b"aabbcc"
    assert kept.welcome(3, anew=False) == 0
    assert drain(kept) == [], "the same session has heard it"
    assert kept.welcome(0, anew=True) == 0
    assert drain(kept) == [b"aabb", Finalize("1"), b"cc"]
    kept.received(3)
    kept.settle(9)
    assert kept.kept() == b"", "no more than what was received is settled"


def test_what_was_received_takes_no_room():
    kept = replay(limit=6)
    kept.put(b"aabbcc")
    drain(kept)
    kept.received(2)
    assert kept.room == 4
    assert kept.put(b"ddee") == 0
    assert kept.kept() == b"ccddee"


def test_a_new_session_hears_what_the_last_one_had_not():
    kept = replay()
    kept.put(b"aabbcc")
    drain(kept)
    kept.received(2)
    kept.settle(1)
    assert kept.welcome(0, anew=True) == 0
    kept.say_first([Finalize("x"), Stop()])
    assert drain(kept) == [Finalize("x"), Stop(), b"bbcc"]
    kept.received(1)
    assert kept.welcome(1, anew=False) == 0, "it counts from its own beginning"
    assert drain(kept) == [b"cc"]


def test_beyond_the_limit_the_oldest_is_given_up_and_told():
    kept = replay(limit=6)
    kept.put(b"aabbcc")
    drain(kept)
    kept.received(1)
    assert kept.room == 2
    assert kept.put(b"ddee") == 0, "it may have arrived"
    assert kept.welcome(1, anew=False) == 2, "it has not"
    assert drain(kept) == [b"ccddee"]
    assert kept.put(b"ffgghhii") == 2, "it was never sent"
    assert drain(kept) == [b"gghhii"]
    assert kept.welcome(4, anew=False) == 0, "the server has b and what was given up never counted"


@given(st.data())
@settings(max_examples=150)
def test_a_line_that_breaks_anywhere_loses_and_doubles_nothing(data):
    """The server hears exactly what was put, in order, while nothing is given up."""
    source = bytes(range(256)) * 2
    kept = replay(limit=1_000, window=60)
    heard = bytearray()  # by the server
    wire = bytearray()  # on its way
    put = 0
    kept.welcome(0, anew=False)

    def deliver(count: int) -> None:
        nonlocal wire
        count -= count % FRAME
        heard.extend(wire[:count])
        del wire[:count]

    for step in data.draw(
        st.lists(st.sampled_from(["put", "send", "deliver", "confirm", "break"]), max_size=60)
    ):
        match step:
            case "put":
                size = data.draw(st.integers(1, 40))
                assert kept.put(source[put : put + size]) == 0
                put = min(len(source), put + size)
            case "send":
                found = kept.next(data.draw(st.integers(FRAME, 30)))
                wire.extend(found if isinstance(found, bytes) else b"")
            case "deliver":
                deliver(data.draw(st.integers(0, 50)))
            case "confirm":
                kept.received(len(heard) // FRAME)
            case "break":
                deliver(data.draw(st.integers(0, 50)))
                wire.clear()
                assert kept.welcome(len(heard) // FRAME, anew=False) == 0
        assert source.startswith(bytes(heard))
    while True:
        kept.received(len(heard) // FRAME)
        found = kept.next(16)
        if found is None and not wire:
            break
        wire.extend(found if isinstance(found, bytes) else b"")
        deliver(len(wire))
    assert bytes(heard) == source[: put - put % FRAME]


def started(utterance_id: int, at: int) -> SpeechStarted:
    return SpeechStarted(at_ms=at, utterance_id=utterance_id, audio_start_ms=at)


def stopped(utterance_id: int, at: int) -> SpeechStopped:
    return SpeechStopped(at_ms=at, utterance_id=utterance_id, audio_end_ms=at)


def dropped(utterance_id: int) -> UtteranceDropped:
    return UtteranceDropped(at_ms=0, utterance_id=utterance_id, reason=DropReason.NO_SPEECH)


def settled(*events: Event, received: int) -> int:
    state = Unsettled()
    for event in events:
        state.receive(event)
    return state.settled_ms(received)


@pytest.mark.parametrize(
    ("events", "received", "until"),
    [
        ([], 1_000, 0),
        ([], 10_000, 8_500),
        ([started(1, 3_000)], 10_000, 2_500),
        ([started(1, 3_000), stopped(1, 4_000)], 10_000, 2_500),
        ([started(1, 3_000), stopped(1, 4_000), dropped(1)], 5_000, 4_000),
        ([started(1, 3_000), stopped(1, 4_000), dropped(1)], 10_000, 8_500),
        ([started(1, 3_000), stopped(1, 4_000), started(2, 4_300)], 10_000, 2_500),
        ([started(1, 3_000), stopped(1, 4_000), started(2, 4_300), dropped(1)], 10_000, 4_000),
        ([started(1, 3_000), dropped(1)], 4_000, 3_000),
    ],
)
def test_audio_is_settled_up_to_the_oldest_utterance_without_a_final(events, received, until):
    assert settled(*events, received=received) == until


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (4404, Answer(404, "gone")),
        (4401, Answer(401, "gone")),
        (1013, Answer(503, "gone")),
        (1006, None),
        (1000, None),
        (None, None),
    ],
)
def test_a_close_code_says_what_http_would_have_said(code, answer):
    assert answer_of(code, json.dumps({"type": "error", "message": "gone"})) == answer


def test_last_words_may_be_anything():
    assert answer_of(4400, "") == answer_of(4400, "[]") == Answer(400, "")
