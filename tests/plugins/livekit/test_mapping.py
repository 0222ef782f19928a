"""What becomes of a session's events: literal conversations, the golden ones, and any at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.agents.stt import SpeechEvent, SpeechEventType

from rtc_stt import testing
from rtc_stt.events import (
    DropReason,
    Event,
    Finalized,
    SessionStarted,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.plugins.livekit.mapping import Mapping
from rtc_stt.wire import decode_event
from tests.golden.scenarios import path_of
from tests.strategies import EVENTS

SESSION = SessionStarted(at_ms=0, session_id="s1", resume_token="t")
START, STOP = (
    SpeechStarted(at_ms=500, utterance_id=1, audio_start_ms=480),
    SpeechStopped(at_ms=2_500, utterance_id=1, audio_end_ms=2_000),
)
DROP = UtteranceDropped(at_ms=2_600, utterance_id=1, reason=DropReason.KNOWN_PHRASE)


class Times:
    """The session began 10 s into the stream, which began at 1000."""

    def stream(self, ms: int) -> float:
        return 10 + ms / 1000

    def wall(self, ms: int) -> float | None:
        return 1010 + ms / 1000


def partial(text: str, utterance_id: int = 1) -> TranscriptPartial:
    return TranscriptPartial(
        at_ms=1_000,
        utterance_id=utterance_id,
        revision=1,
        text=text,
        stable_chars=0,
        audio_end_ms=1_000,
        language="en",
    )


def eager(text: str, utterance_id: int = 1) -> TranscriptEager:
    return TranscriptEager(at_ms=2_200, utterance_id=utterance_id, text=text)


def golden(name: str) -> list[Event]:
    return [decode_event(line) for line in path_of(name).read_text(encoding="utf-8").splitlines()]


def final(text: str, utterance_id: int = 1) -> TranscriptFinal:
    return testing.final(text, utterance_id)


def short(told: Iterable[SpeechEvent]) -> list[str]:
    names = {
        SpeechEventType.START_OF_SPEECH: "start",
        SpeechEventType.INTERIM_TRANSCRIPT: "interim",
        SpeechEventType.PREFLIGHT_TRANSCRIPT: "preflight",
        SpeechEventType.FINAL_TRANSCRIPT: "final",
        SpeechEventType.END_OF_SPEECH: "end",
    }
    return [
        names[event.type] + (f" {event.alternatives[0].text}".rstrip() if event.alternatives else "")
        for event in told
    ]


def mapped(*events: Event, mapping: Mapping | None = None) -> list[SpeechEvent]:
    mapping = mapping or Mapping(Times())
    return [told for event in events for told in mapping.receive(event)]


def test_a_sentence():
    told = mapped(SESSION, START, partial("hello"), eager("Hello there."), STOP, final("Hello there."))
    assert short(told) == [
        "start", "interim hello", "preflight Hello there.", "end", "final Hello there.",
    ]  # fmt: skip
    start, interim, _, end, last = told
    assert start.speech_start_time == 1010.48
    assert end.speech_end_time == 1012.0
    assert {event.request_id for event in told} == {"s1"}
    assert (interim.alternatives[0].start_time, interim.alternatives[0].end_time) == (10.48, 11.0)
    data = last.alternatives[0]
    assert data.language == "en"
    assert data.confidence == final("").confidence
    assert last.speech_end_time == 1010 + final("").audio_end_ms / 1000
    assert data.metadata is not None
    assert data.metadata["route"]["decision"] == "accepted"
    assert data.metadata["timing"]["hangover_ms"] > 0


@pytest.mark.parametrize(
    ("eagerly", "at_last", "told"),
    [
        ("Hello there.", "hello, there", "Hello there."),
        ("hello there", "Hello here.", "Hello here."),
        ("hello", "hello there", "hello there"),
    ],
)
def test_where_the_words_are_the_same_the_final_is_the_preflight_to_the_letter(eagerly, at_last, told):
    assert short(mapped(START, eager(eagerly), STOP, final(at_last)))[-1] == f"final {told}"


def test_words_have_their_times_and_no_spaces():
    told = mapped(*golden("redecode_accepted"))
    words = [w for event in told if event.alternatives for w in event.alternatives[0].words or []]
    for word in words:
        assert word == word.strip()
        assert word.start_time < word.end_time
        assert word.start_time >= word.start_time_offset == 10


def test_a_pause_that_was_none():
    told = mapped(
        START, eager("my number is"), SpeechResumed(at_ms=2_300, utterance_id=1), partial("my number is 5")
    )
    assert short(told) == [
        "start", "preflight my number is", "interim my number is", "interim my number is 5",
    ]  # fmt: skip


def test_a_partial_that_was_under_way_does_not_void_the_preflight():
    assert short(mapped(START, eager("yes please"), partial("yes"))) == ["start", "preflight yes please"]


def test_what_is_no_news_is_not_told_again():
    assert short(mapped(START, partial("one"), partial("one"))) == ["start", "interim one"]


def test_what_was_shown_and_never_said_is_cleared_before_the_empty_final():
    assert short(mapped(START, partial("thank you"), STOP, DROP)) == [
        "start", "interim thank you", "end", "interim", "final",
    ]  # fmt: skip
    assert short(mapped(START, STOP, DROP)) == ["start", "end", "final"]


def test_one_that_is_dropped_in_mid_speech_has_an_end_too():
    assert short(mapped(START, partial("thank"), DROP)) == [
        "start",
        "interim thank",
        "interim",
        "final",
        "end",
    ]


def test_an_empty_final_has_a_language():
    mapping = Mapping(Times(), language="de")
    [told] = mapping.receive(Finalized(at_ms=0, id="x", utterance_id=None))
    assert told.alternatives[0].language == "de"
    mapped(START, partial("hello"), STOP, mapping=mapping)
    *_, told = mapping.receive(DROP)
    assert told.alternatives[0].language == "en"


def test_every_flush_is_answered():
    nothing = Finalized(at_ms=0, id="x", utterance_id=None)
    assert short(mapped(nothing, nothing)) == ["final", "final"]
    something = replace(nothing, utterance_id=1)
    assert short(mapped(START, STOP, final("yes"), something))[-1] == "final yes"
    assert short(mapped(START, STOP, DROP, something))[-1] == "final"


def test_what_is_said_before_the_last_final_has_come_holds_both_texts():
    second = SpeechStarted(at_ms=2_600, utterance_id=2, audio_start_ms=2_600)
    told = mapped(
        START, partial("one"), STOP, second, partial("two", 2), final("One."), partial("two more", 2)
    )
    assert short(told) == [
        "start", "interim one", "end", "start", "interim one two", "final One.", "interim two",
        "interim two more",
    ]  # fmt: skip


def test_a_new_session_takes_back_what_was_open():
    mapping = Mapping(Times())
    told = mapped(SESSION, START, partial("hello"), replace(SESSION, session_id="s2"), START, mapping=mapping)
    assert short(told) == ["start", "interim hello", "interim", "end", "start"]
    assert mapping.session_id == "s2"
    assert mapping.is_speaking


def test_one_that_is_lost_answers_who_waits():
    mapping = Mapping(Times())
    mapped(START, partial("hello"), mapping=mapping)
    mapping.flush()
    mapping.flush()
    assert short(mapping.abandon()) == ["interim", "end", "final"]
    assert mapping.abandon() == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("silence_only", []),
        (
            "finalize_mid_speech",
            ["start", "end", "final please turn on", "start",
             "preflight the lights", "end", "final the lights", "final"],
        ),
        (
            "long_utterance_cut",
            [
                "start", "end", "start", "final one two three four five",
                "preflight six seven eight nine ten", "end", "final six seven eight nine ten",
            ],
        ),
        (
            "redecode_accepted",
            ["start", "preflight please turn on the lice", "end", "final please turn on the lights"],
        ),
        (
            "mute",
            ["start", "end", "final please turn", "start",
             "preflight on the lights", "end", "final on the lights"],
        ),
    ],
)  # fmt: skip
def test_golden_conversations(name, told):
    mapping = Mapping(Times())
    found = [t for t in short(mapped(*golden(name), mapping=mapping)) if not t.startswith("interim")]
    assert found == told


@given(st.lists(EVENTS, max_size=30))
def test_whatever_is_told_starts_and_ends_alternate_and_no_final_is_bare(events):
    mapping = Mapping(Times())
    told = [*mapped(*events, mapping=mapping), *mapping.abandon()]
    marks = [t for t in short(told) if t in ("start", "end")]
    assert marks == ["start", "end"] * (len(marks) // 2)
    for event in told:
        if event.type not in (SpeechEventType.START_OF_SPEECH, SpeechEventType.END_OF_SPEECH):
            assert len(event.alternatives) == 1


UTTERANCE = st.sampled_from(["speech", "partial", "eager", "resumed", "stop", "final", "drop"])


@given(st.lists(UTTERANCE, max_size=12))
def test_each_utterance_has_one_final_whatever_comes_before_it(steps):
    made: dict[str, Event] = {
        "speech": START,
        "partial": partial("a b"),
        "eager": eager("A b."),
        "resumed": SpeechResumed(at_ms=0, utterance_id=1),
        "stop": STOP,
        "final": final("a b"),
        "drop": DROP,
    }
    told = short(mapped(START, *(made[s] for s in steps if s != "speech"), final("A b")))
    assert sum(t.startswith("final") for t in told) == 1
