"""A session outlives its connection: who comes back hears what it missed, and the gap is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE, Origin
from rtc_stt.commands import Ack, Finalize
from rtc_stt.event_log import MAX_EVENTS
from rtc_stt.events import (
    Event,
    Finalized,
    SessionEnded,
    SessionResumed,
    SessionStarted,
    SessionWarning,
    SpeechStarted,
    SpeechStopped,
    TranscriptFinal,
    UtteranceDropped,
)
from rtc_stt.instrument import Instrument
from rtc_stt.session import WINDOWS_A_GO, Session
from tests.calls import TIMEOUT_S, WORDS, Call
from tests.harness import conclusions, only, said, types


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def call(calls: Callable[..., Call], clock: Clock) -> Call:
    made = calls(by_ear=True, clock=clock)
    made.session.start()
    return made


def come_back(call: Call, last_seq: int) -> list[Event]:
    """A new connection; gives what it hears from now on."""
    heard: list[Event] = []
    call.session.attach(heard.append, last_seq)
    return heard


# ── Events ──


async def test_what_is_told_while_nobody_hears_is_told_again_as_it_was(call):
    call.session.detach()
    for number in range(3):
        call.session.warn("busy", str(number))
    assert types(call.told) == ["session.started"]
    heard = come_back(call, 1)
    assert types(heard) == ["warning", "warning", "warning", "session.resumed"]
    assert [e.seq for e in heard] == [2, 3, 4, 5]
    assert [w.message for w in only(heard, SessionWarning)] == ["0", "1", "2"]
    [resumed] = only(heard, SessionResumed)
    assert (resumed.session_id, resumed.resent) == (call.session.id, 3)


async def test_who_has_seen_nothing_hears_everything_from_the_start(call):
    call.session.warn("busy", "")
    heard = come_back(call, 0)
    assert types(heard) == ["session.started", "warning", "session.resumed"]
    assert heard[:2] == call.told


async def test_the_new_connection_takes_the_place_of_the_old_one(call):
    heard = come_back(call, 1)
    call.session.warn("busy", "")
    assert types(call.told) == ["session.started"]
    assert types(heard) == ["session.resumed", "warning"]
    assert call.session.is_attached


async def test_a_session_knows_whether_someone_hears_it(call):
    assert call.session.is_attached
    call.session.detach()
    call.session.detach()
    assert not call.session.is_attached
    come_back(call, 0)
    assert call.session.is_attached


@pytest.mark.parametrize("last_seq", [2, 3, 1_000, 2**60])
async def test_who_claims_to_have_seen_more_than_was_told_goes_on_with_what_comes(call, last_seq):
    call.session.warn("busy", "")
    heard = come_back(call, last_seq)
    assert types(heard) == ["session.resumed"]
    assert heard[0].seq == 3


async def test_a_negative_number_means_none(call):
    assert types(come_back(call, -5)) == ["session.started", "session.resumed"]


async def test_what_was_acknowledged_is_not_kept_and_to_ask_for_it_is_answered(call):
    call.session.receive_message('{"type":"ping","id":"a"}')
    call.session.receive_message('{"type":"ack","seq":2}')
    call.session.warn("busy", "")
    heard = come_back(call, 0)
    assert types(heard) == ["warning", "session.resumed", "warning"]
    assert only(heard, SessionWarning)[-1].code == "events_lost"
    assert [e.seq for e in heard] == [3, 4, 5]


async def test_an_acknowledgement_does_not_wait_for_the_detector(call):
    call.vad.gate.clear()
    call.say(1_000)
    call.session.receive_command(Ack(1))
    assert len(call.session._delivery._log) == 0
    call.vad.gate.set()


async def test_who_never_acknowledges_misses_the_oldest_only(call):
    for _ in range(MAX_EVENTS + 10):
        call.session.warn("busy", "")
    heard = come_back(call, 1)
    assert [e.seq for e in heard[:-2]] == list(range(12, MAX_EVENTS + 12))
    assert types(heard)[-2:] == ["session.resumed", "warning"]
    assert only(heard, SessionWarning)[-1].code == "events_lost"


async def test_a_final_that_nobody_heard_comes_with_the_client(call):
    call.say(1_000)
    await call.settled()
    call.session.detach()
    call.say(4_000)  # what was on its way
    async with asyncio.timeout(TIMEOUT_S):
        while not call.session._stats.told(0)["finals"]:
            await asyncio.sleep(0.001)
    assert only(call.told, TranscriptFinal) == []
    heard = come_back(call, call.told[-1].seq)
    assert only(heard, TranscriptFinal)[0].text == WORDS
    assert [e.seq for e in call.told + heard] == list(range(1, len(call.told + heard) + 1))


async def test_an_end_that_nobody_hears_raises_nothing(call):
    call.session.detach()
    call.say(1_520)
    call.session.finish("drained")
    assert await call.end() == "drained"
    assert types(call.told) == ["session.started"]
    heard = come_back(call, 1)
    assert types(heard)[-2:] == ["transcript.final", "session.ended"]
    assert only(heard, SessionResumed) == [], "there is nothing to go on with"


async def test_a_name_and_a_token_may_be_given(calls):
    call = calls(session_id="w3-x", resume_token="w3-secret")
    call.session.start()
    [started] = only(call.told, SessionStarted)
    assert (call.session.id, call.session.resume_token) == ("w3-x", "w3-secret")
    assert (started.session_id, started.resume_token) == ("w3-x", "w3-secret")


async def test_figures_of_the_transport_go_into_the_last_event(call):
    call.session.update_stats({"packets_lost": 3, "jitter_ms": 1.5})
    call.session.update_stats({"packets_lost": 4})
    call.session.finish("done")
    await call.end()
    [ended] = only(call.told, SessionEnded)
    assert (ended.stats["packets_lost"], ended.stats["jitter_ms"], ended.stats["finals"]) == (4, 1.5, 0)


# ── Audio ──


async def test_media_time_goes_on_while_the_line_is_dead(call, clock):
    call.say(300)
    clock.now += 10.0
    heard = come_back(call, 1)
    assert only(heard, SessionResumed)[0].gap_ms == 10_000
    clock.now += 0.5
    call.say(320)
    call.session.finish("done")
    await call.end()
    assert only(heard, SessionEnded)[0].stats["audio_ms"] == 300 + 10_500 - 20 + 20
    assert only(heard, SessionEnded)[0].at_ms == 10_800


async def test_a_short_gap_goes_through_the_midst_of_an_utterance(call, clock):
    call.say(1_100)
    clock.now += 0.2
    heard = come_back(call, 1)
    call.say(4_000)
    call.session.finish("done")
    await call.end()
    [final] = only(heard, TranscriptFinal)
    assert final.utterance_id == 1
    assert final.lost_ms == pytest.approx(180, abs=1)
    assert len(only(heard, SpeechStarted)) == 1
    [warning] = only(heard, SessionWarning)
    assert warning.code == "audio_gap"


async def test_audio_that_is_sent_again_leaves_no_gap(call, clock):
    """An utterance goes on over half a minute without a connection, as if nothing had been."""
    call.engine.text = lambda request: "word"
    call.session.expect_audio(None)
    call.say(1_100)
    await call.settled()
    call.session.detach()
    clock.now += 30
    heard: list[Event] = []
    call.session.attach(heard.append, 1, replays=True)
    call.session.expect_audio(15.0)
    call.say(4_000)
    call.session.finish("done")
    await call.end()
    assert only(heard, SessionResumed)[0].gap_ms == 0
    [final] = only(heard, TranscriptFinal)
    assert final.audio_end_ms > 2_300
    assert final.lost_ms == 0
    assert not only(heard, SessionWarning)


async def test_a_long_gap_ends_the_utterance_as_silence_does(call, clock):
    call.engine.text = lambda request: "word"
    call.say(1_100)
    clock.now += 30
    heard = come_back(call, 1)
    call.say(4_000)
    call.session.finish("done")
    await call.end()
    first, second = only(heard, TranscriptFinal)
    assert first.audio_end_ms <= 1_120
    assert 31_000 <= second.audio_start_ms <= 31_120
    assert 0 < first.lost_ms <= 600, "of its hangover"
    assert second.lost_ms > 0, "of its pre-roll"


async def test_what_is_lost_is_not_shown_to_the_detector(call, clock):
    call.say(320)
    await call.settled()
    assert call.vad.judged == 10
    clock.now += 60
    come_back(call, 1)
    call.say(640)
    await call.settled()
    assert call.vad.judged <= 20
    call.session.receive_audio(np.zeros(SAMPLE_RATE, np.float32), Origin.LOST)
    await call.settled()
    assert call.vad.judged <= 21, "one window is half known"
    call.session.receive_audio(np.zeros(SAMPLE_RATE, np.float32), Origin.CONCEALED)
    await call.settled()
    assert call.vad.judged >= 50


async def test_minutes_of_silence_are_heard_in_small_pieces(call, clock):
    heard_a_turn: list[int] = []
    receive = call.session._recognizer.receive_audio

    def count(*frame: object) -> None:
        heard_a_turn[-1] += 1
        receive(*frame)

    async def turns() -> None:
        while True:
            heard_a_turn.append(0)
            await asyncio.sleep(0)

    call.session._recognizer.receive_audio = count
    call.say(320)
    clock.now += 600
    ticker = asyncio.create_task(turns())
    await asyncio.sleep(0.01)
    come_back(call, 1)
    call.say(640)
    await call.settled()
    ticker.cancel()
    assert sum(heard_a_turn) > 600 * SAMPLE_RATE / 512
    assert max(heard_a_turn) <= 2 * WINDOWS_A_GO
    assert call.session.backlog_s < 1
    assert not call.session.ended.done(), "a gap is no backlog"


async def test_a_command_after_a_gap_acts_after_it(call, clock):
    call.say(1_100)
    clock.now += 0.2
    heard = come_back(call, 1)
    call.vad.gate.clear()
    call.say(1_300)
    call.session.receive_command(Finalize("here"))
    call.say(4_000)
    call.vad.gate.set()
    call.session.finish("done")
    await call.end()
    first, _ = only(heard, TranscriptFinal)
    assert only(heard, Finalized)[0].utterance_id == first.utterance_id
    stopped = only(heard, SpeechStopped)[0]
    assert stopped.at_ms == pytest.approx(1_300 + 180, abs=32)


async def test_an_abort_forgets_the_rest_of_a_gap(call, clock):
    call.say(320)
    clock.now += 3_600
    heard = come_back(call, 1)
    call.say(640)
    call.session.abort("kicked")
    await asyncio.sleep(0.005)
    assert types(heard)[-1] == "session.ended"


class Watcher(Instrument):
    def __init__(self) -> None:
        self.gaps: list[float] = []
        self.audio_s = 0.0

    def session_resumed(self, gap_s: float) -> None:
        self.gaps.append(gap_s)

    def audio_received(self, seconds: float) -> None:
        self.audio_s += seconds


async def test_a_watcher_sees_who_comes_back_and_no_audio_that_never_came(calls, clock):
    watcher = Watcher()
    call = calls(instrument=watcher, clock=clock)
    call.session.start()
    call.say(320)
    clock.now += 2.5
    come_back(call, 1)
    call.say(640)
    call.say(960, origin=Origin.LOST)
    assert watcher.gaps == [2.5]
    call.session.abort("stopped")  # what is heard is told once a second, and at the end
    assert watcher.audio_s == pytest.approx(0.64)


# ── Any pattern ──

STEP = st.one_of(
    st.tuples(st.just("hear"), st.integers(20, 1_500)),
    st.tuples(st.just("away"), st.sampled_from([0.0, 0.05, 0.3, 0.9, 4.0])),
    st.just(("detach",)),
    st.tuples(st.just("attach"), st.integers(0, 4)),
    st.just(("ack",)),
    st.just(("finalize",)),
    st.just(("breathe",)),
)


@pytest.mark.slow
@given(st.lists(STEP, max_size=20), st.booleans())
@settings(max_examples=max(20, settings.default.max_examples // 3), phases=[Phase.generate])
def test_over_any_pattern_of_losses_nothing_is_missing_and_nothing_is_told_twice(steps, is_away_at_the_end):
    """A client that reads a little late (``attach`` forgets what it had not processed) gets it all."""
    script = [
        *said("one two three", 300, 250),
        *said("four five six", 2_200, 250),
        *said("seven", 4_500, 400),
    ]

    async def live() -> tuple[list[Event], list[Event]]:
        clock = Clock()
        call = Call(script, by_ear=True, clock=clock)
        session: Session = call.session
        everything: list[Event] = []
        tell = session._delivery._log.add
        session._delivery._log.add = lambda told: (everything.append(told), tell(told))[1]  # type: ignore[method-assign]
        seen = call.told
        session.start()
        finalized = 0
        for step in steps:
            match step:
                case ("hear", int(ms)):
                    call.say(call._at * 1_000 // SAMPLE_RATE + ms)
                    clock.now += ms / 1_000
                case ("away", float(seconds)):
                    clock.now += seconds
                case ("detach",):
                    session.detach()
                case ("attach", int(unread)):
                    acknowledged = session._delivery._log.told - len(session._delivery._log)
                    del seen[max(acknowledged, len(seen) - unread) :]
                    session.attach(seen.append, len(seen))
                case ("ack",):
                    session.receive_command(Ack(len(seen)))
                case ("finalize",):
                    session.receive_command(Finalize(str(finalized)))
                    finalized += 1
                case _:
                    await asyncio.sleep(0.002)
        if is_away_at_the_end:
            session.detach()
        session.finish("over")
        await asyncio.wait_for(asyncio.shield(session.ended), TIMEOUT_S)
        if not session.is_attached:
            session.attach(seen.append, len(seen))
        assert [e.id for e in only(everything, Finalized)] == [str(i) for i in range(finalized)]
        await call.speech.aclose()
        return seen, everything

    seen, everything = asyncio.run(live())
    assert seen == everything
    assert [e.seq for e in seen] == list(range(1, len(seen) + 1))
    assert [e.at_ms for e in seen] == sorted(e.at_ms for e in seen)
    concluded = [e.utterance_id for e in seen if isinstance(e, TranscriptFinal | UtteranceDropped)]
    assert concluded == sorted(set(concluded))
    assert concluded == [e.utterance_id for e in only(seen, SpeechStopped)]
    assert len(conclusions(seen)) == len(only(seen, SpeechStarted))
    assert not [w for w in only(seen, SessionWarning) if w.code == "events_lost"]
