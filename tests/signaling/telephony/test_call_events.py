"""The numbers and the log of a call."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.events import SessionEnded, SessionStarted, TranscriptPartial, UtteranceDropped
from rtc_stt.testing import final
from signaling.telephony.call_events import CallLog


def partial(text: str = "…") -> TranscriptPartial:
    return TranscriptPartial(
        at_ms=1, utterance_id=1, revision=1, text=text, stable_chars=0, audio_end_ms=1, language="en"
    )


EVENTS = st.one_of(
    st.tuples(st.just("own"), st.text(max_size=20)),
    st.tuples(st.sampled_from(["caller", "agent"]), st.sampled_from([partial(), final("text")])),
)


@given(st.lists(EVENTS, max_size=60), st.integers(200, 3_000), st.integers(-2, 70))
def test_numbers_have_no_gap_and_what_is_kept_is_bounded_and_in_order(events, max_bytes, since):
    log = CallLog("id", max_bytes=max_bytes)
    told = []
    for who, what in events:
        told.append(log.add("warning", 0, {"code": what}) if who == "own" else log.add_of_leg(who, what))
        assert log.size == sum(len(event.text.encode()) for event in log.after(0))
        assert log.size <= max_bytes or len(log.after(0)) == 1
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    kept = log.after(since)
    assert kept == [event for event in told if event in kept and event.seq > since]
    assert kept[:3] == log.after(since, 3)
    settled = {event.seq for event in told if event.type != "transcript.partial"}
    if log.has_all_after(since):
        assert {event.seq for event in kept} >= {seq for seq in settled if seq > since}


def test_partials_go_when_their_utterance_is_settled():
    log = CallLog("id")
    log.add_of_leg("caller", partial())
    log.add_of_leg("agent", partial())
    log.add_of_leg("caller", final("text"))
    assert [(event.leg, event.type) for event in log.after(0)] == [
        ("agent", "transcript.partial"),
        ("caller", "transcript.final"),
    ]
    log.add_of_leg("agent", UtteranceDropped(at_ms=1, utterance_id=1, reason="no_speech"))  # type: ignore[arg-type]
    assert [event.seq for event in log.after(0)] == [3, 4]
    assert log.has_all_after(0)


def test_what_had_to_go_is_known():
    log = CallLog("id", max_bytes=300)
    for number in range(10):
        log.add("warning", 0, {"code": str(number)})
    first = log.after(0)[0].seq
    assert first > 1
    assert not log.has_all_after(first - 2)
    assert log.has_all_after(first - 1)


def test_what_a_client_would_come_back_with_is_not_told():
    log = CallLog("id")
    begun = SessionStarted(
        at_ms=0, session_id="s", resume_token="secret", models={"fast": "a", "accurate": None}, limits={}
    )
    told = log.add_of_leg("caller", begun)
    assert json.loads(told.text) == {
        "type": "leg.started",
        "seq": 1,
        "at_ms": 0,
        "call_id": "id",
        "leg": "caller",
        "session_id": "s",
        "models": {"fast": "a", "accurate": None},
    }
    over = log.add_of_leg("caller", SessionEnded(at_ms=5, seq=9, reason="stopped", stats={"finals": 1}))
    assert json.loads(over.text)["type"] == "leg.ended"
    assert (over.seq, over.type) == (2, "leg.ended")
