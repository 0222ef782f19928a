"""What a WebRTC client says again to the server that comes next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.client.recent import FRAME_S, KEPT_S, Recent
from rtc_stt.client.replay import ONSET_MS
from rtc_stt.events import (
    DropReason,
    SessionEnded,
    SessionResumed,
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


def moved(at_ms: int) -> SessionResumed:
    return SessionResumed(at_ms=at_ms, session_id="s", gap_ms=0, resent=0, moved=True)


def spoken_with(recent: Recent, upto_ms: int, *events: object, late_ms: int = 60) -> None:
    """Frames of 20 ms as they are spoken, and each event a little after its time."""
    left = list(events)
    for frame in range(recent._put, (upto_ms + late_ms) // FRAME_MS):
        recent.put(frame)
        while left and left[0].at_ms + late_ms <= (frame + 1) * FRAME_MS:  # type: ignore[attr-defined]
            recent.receive(left.pop(0))
    for event in left:
        recent.receive(event)


def test_where_a_server_died_all_is_said_that_is_in_no_final():
    recent = Recent()
    recent.receive(started())
    open_one = SpeechStarted(at_ms=6_200, utterance_id=2, audio_start_ms=6_000)
    spoken_with(recent, 8_000, *spoke(1_000, 4_000), open_one)
    recent.lose()
    spoken_with(recent, 10_000)  # until there is a connection again
    recent.receive(moved(10_000))
    first, last = (frames := recent.take())[0], frames[-1]
    assert 5_500 <= first * FRAME_MS <= 5_500 + 100, "half a second before the utterance, or a little less"
    assert last == recent._put - 1


def test_what_is_sent_again_does_not_say_where_media_time_is():
    recent = Recent()
    recent.receive(started())
    spoken_with(recent, 6_000, SpeechStarted(at_ms=4_200, utterance_id=1, audio_start_ms=4_000))
    recent.lose()
    spoken_with(recent, 8_000)
    for event in spoke(4_000, 5_900)[1:]:  # kept by the server that died, told by the next one
        recent.receive(event)
    recent.receive(moved(8_000))
    assert abs(recent.take()[0] * FRAME_MS - 5_900) <= 100, "from behind the final"


def test_a_second_death_right_after_the_first_loses_nothing():
    recent = Recent()
    recent.receive(started())
    spoken_with(recent, 4_000, SpeechStarted(at_ms=3_200, utterance_id=1, audio_start_ms=3_000))
    recent.lose()
    recent.receive(moved(6_000))
    first = recent.take()[0]
    # The next server hears it from there on, faster than it was spoken.
    recent.receive(SpeechStarted(at_ms=6_800, utterance_id=2, audio_start_ms=6_500))
    recent.lose()
    recent.receive(moved(9_000))
    assert recent.take()[0] <= first + 1


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
