"""What a WebRTC client says again to the server that comes next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.client.recent import FRAME_S, KEPT_S, Recent
from rtc_stt.client.replay import ONSET_MS
from rtc_stt.events import (
    DropReason,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    UtteranceDropped,
)

FRAME_MS = round(FRAME_S * 1000)


def started() -> SessionStarted:
    return SessionStarted(at_ms=0, session_id="s", resume_token="t", models={}, limits={})


def ended(at_ms: int, reason: str = "drained") -> SessionEnded:
    return SessionEnded(at_ms=at_ms, reason=reason, stats={})


def spoke(begin_ms: int, end_ms: int) -> list:
    return [
        SpeechStarted(at_ms=begin_ms, utterance_id=1, audio_start_ms=begin_ms),
        SpeechStopped(at_ms=end_ms, utterance_id=1, audio_end_ms=end_ms),
        UtteranceDropped(at_ms=end_ms, utterance_id=1, reason=DropReason.NO_SPEECH),
    ]  # fmt: skip


def after(*events: object, put: int = 500) -> Recent:
    recent = Recent()
    for frame in range(put):
        recent.put(frame)
    for event in events:
        recent.receive(event)
    return recent


def test_after_an_utterance_it_is_what_came_since():
    recent = after(started(), *spoke(8_000, 9_600), ended(10_000))
    assert recent.take() == list(range(480, 500)), "the 400 ms after the last word"


def test_where_nobody_spoke_it_is_what_a_beginning_may_need():
    assert len(after(started(), ended(10_000)).take()) == ONSET_MS // FRAME_MS


def test_what_is_spoken_until_the_next_session_stands_is_said_too():
    recent = after(started(), *spoke(8_000, 9_600), ended(10_000))
    for frame in (500, 501):
        recent.put(frame)
    assert recent.take() == list(range(480, 502))
    recent.put(502)
    assert recent.take() == [], "the session that stands hears it by itself"


def test_an_utterance_without_a_final_is_said_from_its_beginning():
    recent = after(started(), SpeechStarted(at_ms=9_000, utterance_id=1, audio_start_ms=9_000), ended(10_000))
    assert len(recent.take()) == (1_000 + 500) // FRAME_MS, "and what is before its beginning"


def test_a_session_that_ended_otherwise_leaves_nothing():
    assert after(started(), ended(10_000, "stopped")).take() == []


@given(st.lists(st.one_of(st.integers(0, 2_000), st.sampled_from(["start", "end"])), max_size=20))
def test_never_more_than_is_kept_and_always_the_newest(steps):
    recent, count = Recent(), 0
    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                recent.put(count)
                count += 1
        else:
            recent.receive(started() if step == "start" else ended(count * FRAME_MS))
    taken = recent.take()
    assert len(taken) <= KEPT_S / FRAME_S
    assert taken == list(range(count - len(taken), count))
