"""What holds for any conversation of a live stream."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.events import Event, TranscriptEager
from signaling.dialects.dialect import Say
from tests.signaling.dialects.deepgram.talk import (
    ENDED,
    FINALIZE,
    answered,
    audio,
    dialect,
    dropped,
    final,
    finalize,
    partial,
    pong,
    said,
    started,
    stopped,
)

TEXTS = st.text("ab ", min_size=1, max_size=8)


class Session:
    """Plays one: answers every finalize once, after the final if any, as the recognizer does."""

    def __init__(self) -> None:
        self.at_ms = 0
        self.number = 0
        self.open: int | None = None
        self.finals: list[str] = []

    def speak(self, text: str) -> list[Event]:
        self.at_ms += 100
        if self.open is None:
            self.number += 1
            self.open = self.number
            return [started(self.number, self.at_ms)]
        return [partial(self.open, text, self.at_ms, len(text) // 2)]

    def end(self, text: str | None) -> list[Event]:
        if self.open is None:
            return []
        number, self.open = self.open, None
        self.at_ms += 100
        if text is None:
            return [stopped(number, self.at_ms), dropped(number, self.at_ms)]
        self.finals.append(text)
        return [stopped(number, self.at_ms), final(number, text, self.at_ms - 100, self.at_ms)]

    def finalize(self, name: str, text: str | None) -> list[Event]:
        number = self.open
        return [*self.end(text), answered(name, number, self.at_ms)]


STEPS = st.lists(
    st.tuples(st.just("speak"), TEXTS)
    | st.tuples(st.just("end"), TEXTS | st.none())
    | st.tuples(st.just("finalize"), TEXTS | st.none())
    | st.tuples(st.just("late"), st.none()),
    max_size=30,
)


@given(STEPS)
def test_finals_are_appended_and_each_finalize_is_answered_once(steps):
    speaks, session = dialect(), Session()
    told: list[dict[str, Any]] = []
    waiting: list[str] = []  # sent by the client, and not seen by the session yet
    for what, text in steps:
        events: list[Event] = []
        if what == "speak":
            events = session.speak(text)
        elif what == "end":
            events = session.end(text)
        else:
            waiting.append(finalize(speaks))
            if what == "finalize":
                events = [event for name in waiting for event in session.finalize(name, text)]
                waiting.clear()
        for event in events:
            told += said(speaks.tell(event))
    for name in waiting:
        for event in session.finalize(name, None):
            told += said(speaks.tell(event))
    told += said(speaks.tell(ENDED))
    results = [message for message in told if message["type"] == "Results"]
    finals = [m for m in results if m["is_final"]]
    texts = [m["channel"]["alternatives"][0]["transcript"] for m in finals]
    assert [text for text in texts if text] == session.finals
    sent = sum(1 for what, _ in steps if what in ("finalize", "late"))
    assert sum(m["from_finalize"] for m in finals) == sent
    assert all(m["is_final"] for m in results if m["from_finalize"] or m["speech_final"])
    assert told[-1]["type"] == "Metadata"


@given(st.lists(st.text(max_size=40) | st.binary(max_size=40), max_size=10))
def test_no_message_of_a_client_raises(messages):
    speaks = dialect(utterance_end_ms=1_000)
    for message in messages:
        for act in speaks.receive(message):
            if isinstance(act, Say):
                assert act.text.isascii()
                json.loads(act.text)


EVENTS = st.sampled_from(
    [
        started(1, 0), started(2, 900), partial(1, "a", 500), partial(3, "c", 500), final(1, "A.", 0, 800),
        final(2, "", 900, 950, words=()), dropped(1, 900), dropped(9, 900), answered("x", 1),
        answered("y", None), stopped(7, 100), pong(5_000), ENDED,
        TranscriptEager(at_ms=0, utterance_id=1, text=""),
    ]
)  # fmt: skip


@given(st.lists(EVENTS | st.sampled_from([FINALIZE, audio(0.5)]), max_size=20))
def test_no_event_raises(happenings):
    speaks = dialect(utterance_end_ms=1_000)
    for one in happenings:
        if isinstance(one, Event):
            said(speaks.tell(one))
        else:
            speaks.receive(one)
