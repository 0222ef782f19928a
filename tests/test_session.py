"""The pump: what goes in comes out numbered, in order, and to its end, with real threads beneath."""

from __future__ import annotations

import asyncio
import json
import weakref

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, WINDOW, ms_to_samples
from rtc_stt.commands import Configure, Finalize, Mute, Ping, Stop
from rtc_stt.events import (
    Event,
    Finalized,
    Pong,
    SessionEnded,
    SessionError,
    SessionStarted,
    SessionWarning,
    SpeechStopped,
    TranscriptFinal,
    UtteranceDropped,
)
from rtc_stt.instrument import Instrument
from rtc_stt.load import LOAD_WARNINGS, Step, effort_at
from rtc_stt.session import MAX_BACKLOG_S
from rtc_stt.testing import Said
from tests.calls import TIMEOUT_S, WORDS, Call
from tests.harness import only, said, types

# ── A whole life ──


async def test_a_session_starts_hears_and_ends(call):
    call.say(4_000)
    call.session.finish("done")
    assert await call.end() == "done"
    kinds = types(call.told)
    assert kinds[0] == "session.started"
    assert kinds[-1] == "session.ended"
    lasting = [k for k in kinds if k not in ("transcript.partial", "transcript.eager")]
    assert lasting[1:-1] == ["speech.started", "speech.stopped", "transcript.final"]
    assert only(call.told, TranscriptFinal)[0].text == WORDS


async def test_a_session_that_has_ended_keeps_neither_audio_nor_the_detectors_memory(call):
    """Whoever keeps it: its client may come back to hear its last words."""
    state, audio = weakref.ref(call.session._vad_state), weakref.ref(call.session._recognizer._buffer._data)
    call.say(1_000)
    call.session.finish("done")
    await call.end()
    await call.speech.aclose()  # the detector's thread may still hold the last batch
    assert audio() is None
    assert state() is None


async def test_numbers_begin_at_one_and_have_no_gap(call):
    call.say(1_000)
    call.session.receive_message('{"type":"ping","id":"p"}')
    call.session.receive_message("nonsense")
    call.say(4_000)
    call.session.finish("done")
    await call.end()
    assert [event.seq for event in call.told] == list(range(1, len(call.told) + 1))


async def test_the_first_event_tells_who_decodes_and_what_is_allowed(call):
    [started] = call.told
    assert isinstance(started, SessionStarted)
    assert started.session_id == call.session.id
    assert started.models == {"fast": "scripted", "accurate": None}
    assert started.limits == {"seats": 1}
    assert started.resume_token


async def test_the_last_event_sums_up(call):
    call.say(4_000)
    call.session.finish("done")
    await call.end()
    ended = call.told[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.reason == "done"
    assert ended.stats["audio_ms"] == 4_000
    assert (ended.stats["utterances"], ended.stats["finals"], ended.stats["dropped"]) == (1, 1, 0)


async def test_two_sessions_have_different_names(calls):
    one, other = calls(), calls()
    one.session.start()
    other.session.start()
    assert one.session.id != other.session.id
    assert one.told[0].resume_token != other.told[0].resume_token  # type: ignore[attr-defined]


@pytest.mark.parametrize("chunk_ms", [1, 20, 37, 400])
async def test_any_chunking_gives_the_same_final(call, chunk_ms):
    call.say(4_000, chunk_ms)
    call.session.finish("done")
    await call.end()
    [final] = only(call.told, TranscriptFinal)
    assert (final.text, final.audio_start_ms, final.audio_end_ms) == (WORDS, 480, 2_304)


async def test_finishing_in_the_middle_of_speech_gives_the_final_first(call):
    call.say(1_520)
    call.session.finish("gone")
    await call.end()
    [final] = only(call.told, TranscriptFinal)
    assert WORDS.startswith(final.text)
    assert types(call.told)[-2:] == ["transcript.final", "session.ended"]


async def test_the_last_samples_count_although_they_fill_no_window(calls):
    call = calls([*said("one two three", 512), Said(1_412, 1_440, "end")])
    call.session.start()
    call.say(1_430)
    call.session.finish("done")
    await call.end()
    assert call.engine.requests[-1].audio_end == ms_to_samples(1_430)


# ── The inbox ──


async def test_a_finalize_acts_on_exactly_the_audio_before_it(call):
    call.vad.gate.clear()  # everything waits for the detector, command and later audio too
    call.say(1_024)
    call.session.receive_command(Finalize("here"))
    call.say(4_000)
    call.vad.gate.set()
    call.session.finish("done")
    await call.end()
    assert types(call.told).count("speech.stopped") == 2
    stopped = [e for e in call.told if e.type == "speech.stopped"]
    assert stopped[0].at_ms == 1_024
    [answer] = only(call.told, Finalized)
    first, second = only(call.told, TranscriptFinal)
    assert (answer.id, answer.utterance_id) == ("here", first.utterance_id)
    assert f"{first.text} {second.text}" == WORDS


async def test_a_stop_acts_on_exactly_the_audio_before_it(call):
    call.vad.gate.clear()
    call.say(1_024)
    call.session.receive_command(Stop())
    call.say(4_000)
    call.vad.gate.set()
    assert await call.end() == "stopped"
    [final] = only(call.told, TranscriptFinal)
    assert final.audio_end_ms <= 1_024


async def test_mute_acts_on_the_audio_after_it(call):
    call.vad.gate.clear()
    call.say(1_024)
    call.session.receive_command(Mute(True))
    call.say(4_000)
    call.vad.gate.set()
    call.session.finish("done")
    await call.end()
    [final] = only(call.told, TranscriptFinal)
    assert final.audio_end_ms <= 1_024


async def test_every_finalize_is_answered_also_those_that_found_nothing(call):
    for i in range(3):
        call.session.receive_command(Finalize(str(i)))
    call.say(1_024)
    call.session.receive_command(Finalize("3"))
    call.session.finish("done")
    await call.end()
    assert [e.id for e in only(call.told, Finalized)] == ["0", "1", "2", "3"]


async def test_a_ping_does_not_wait_for_the_detector(call):
    call.vad.gate.clear()
    call.say(1_024)
    call.session.receive_command(Ping("p"))
    assert only(call.told, Pong)[0].id == "p"


# ── What a client gets wrong ──


async def test_a_message_that_is_no_command_is_answered_by_a_warning(call):
    for message in ("nonsense", b"\xff", '{"type":"dance"}', '{"type":"mute"}'):
        call.session.receive_message(message)
    assert [w.code for w in only(call.told, SessionWarning)] == [
        "not_json", "not_json", "unknown_type", "bad_field",
    ]  # fmt: skip
    assert not call.session.ended.done()


async def test_an_unknown_field_is_named_and_the_command_obeyed(call):
    call.session.receive_message('{"type":"finalize","id":"x","colour":"red"}')
    [warning] = only(call.told, SessionWarning)
    assert "colour" in warning.message
    assert len(only(call.told, Finalized)) == 1


async def test_wrong_options_are_warned_of_and_the_right_ones_taken(call):
    call.session.receive_message(
        json.dumps({"type": "configure", "language": "xx", "prompt": "lamps", "nonsense": 1})
    )
    assert {w.code for w in only(call.told, SessionWarning)} == {"configure"}
    assert len(only(call.told, SessionWarning)) == 2
    call.say(4_000)
    call.session.finish("done")
    await call.end()
    assert call.engine.requests[-1].prompt == "lamps"
    assert call.engine.requests[-1].language is None


async def test_a_warning_does_not_overtake_what_happened_before_it(call):
    call.vad.gate.clear()
    call.say(1_024)
    call.session.receive_command(Configure({"nonsense": 1}))
    call.vad.gate.set()
    await call.until(SessionWarning)
    kinds = types(call.told)
    assert kinds.index("speech.started") < kinds.index("warning")


async def test_no_configure_breaks_the_session(call):
    for changes in ({"language": ["en"]}, {"endpointing": {"min_silence_ms": 10**400}}, {"endpointing": []}):
        call.session.receive_message(json.dumps({"type": "configure", **changes}))
    call.say(4_000)
    call.session.finish("done")
    await call.end()
    assert only(call.told, TranscriptFinal)[0].text == WORDS


async def test_options_last_for_the_session_and_not_for_others(calls):
    one, other = calls(), calls()
    for call in (one, other):
        call.session.start()
    one.session.receive_command(Configure({"language": "de"}))
    for call in (one, other):
        call.say(4_000)
        call.session.finish("done")
        await call.end()
    assert only(one.told, TranscriptFinal)[0].language == "de"
    assert only(other.told, TranscriptFinal)[0].language == "en"


# ── Ends ──


async def test_a_stop_ends_the_session_after_its_final(call):
    call.say(1_520)
    call.session.receive_message('{"type":"stop"}')
    assert await call.end() == "stopped"
    assert types(call.told)[-2:] == ["transcript.final", "session.ended"]


async def test_an_abort_drops_what_is_open_and_ends_at_once(call):
    call.say(1_520)
    await call.until(type(call.told[0]))
    async with asyncio.timeout(TIMEOUT_S):
        while "speech.started" not in types(call.told):
            await asyncio.sleep(0.001)
    call.session.abort("kicked")
    assert call.session.ended.result() == "kicked"
    assert types(call.told)[-2:] == ["utterance.dropped", "session.ended"]
    assert only(call.told, UtteranceDropped)[0].reason == "cancelled"


async def test_an_abort_while_the_detector_runs_is_the_end_of_it(call):
    call.vad.gate.clear()
    call.say(2_000)
    call.session.abort("kicked")
    told = list(call.told)
    call.vad.gate.set()
    await asyncio.sleep(0.005)
    assert call.told == told
    assert types(told)[-1] == "session.ended"


@pytest.mark.parametrize(
    "order", [("finish", "finish"), ("finish", "abort"), ("abort", "finish"), ("abort", "abort")]
)
async def test_a_session_ends_exactly_once_and_for_the_first_reason(call, order):
    call.say(1_520)
    for number, how in enumerate(order):
        getattr(call.session, how)(f"reason-{number}")
    assert await call.end() == "reason-0"
    assert types(call.told).count("session.ended") == 1


async def test_after_the_end_nothing_is_told_and_nothing_raises(call):
    call.session.finish("done")
    await call.end()
    told = list(call.told)
    call.say(4_000)
    call.session.receive_message('{"type":"ping","id":"p"}')
    call.session.receive_message("nonsense")
    call.session.receive_command(Finalize("x"))
    call.session.warn("a", "b")
    call.session.fail("a", "b")
    assert call.told == told


async def test_audio_after_finish_is_not_heard(call):
    call.say(1_024)
    call.session.finish("done")
    call.say(4_000)
    await call.end()
    assert only(call.told, TranscriptFinal)[0].audio_end_ms <= 1_024


async def test_too_much_backlog_is_a_fatal_error(call):
    call.vad.gate.clear()
    second = np.zeros(SAMPLE_RATE, np.float32)
    for _ in range(MAX_BACKLOG_S + 1):
        call.session.receive_audio(second)
    assert await call.end() == "overloaded"
    [error] = only(call.told, SessionError)
    assert (error.code, error.fatal) == ("overloaded", True)
    assert types(call.told)[-1] == "session.ended"


async def test_the_backlog_is_what_waits_for_the_detector(call):
    call.vad.gate.clear()
    call.say(1_024)
    assert call.session.backlog_s == pytest.approx(1.024)
    call.vad.gate.set()
    async with asyncio.timeout(TIMEOUT_S):
        while call.session.backlog_s > 0:
            await asyncio.sleep(0.001)
    call.say(1_030)
    call.session.finish("done")
    await call.end()
    assert call.session.backlog_s == 0


async def test_audio_that_waits_for_the_detector_has_not_stopped(call):
    """Where a machine has too much to do the detector is late; nobody is cut off for that."""
    call.session._recognizer.expect_audio(0.05, asyncio.get_running_loop().time())
    call.say(1_536)
    async with asyncio.timeout(TIMEOUT_S):
        while "speech.started" not in types(call.told):
            await asyncio.sleep(0.001)
        call.vad.gate.clear()
        call.say(2_048)
        await asyncio.sleep(0.2)
        assert "speech.stopped" not in types(call.told)
        call.vad.gate.set()
        while "speech.stopped" not in types(call.told):  # for now it has
            await asyncio.sleep(0.001)
    [stopped] = only(call.told, SpeechStopped)
    assert stopped.at_ms == 2_048


async def test_a_detector_that_fails_is_a_fatal_error(call):
    call.vad.broken = True
    call.say(1_024)
    assert await call.end() == "vad_failed"
    assert only(call.told, SessionError)[0].fatal
    assert types(call.told).count("session.ended") == 1


async def test_an_engine_that_fails_costs_the_utterance_and_not_the_session(call):
    def broken(*_: object) -> object:
        raise RuntimeError

    call.engine._answer = broken
    call.say(4_000)
    call.session.receive_command(Finalize("x"))
    await call.until(Finalized)
    assert only(call.told, UtteranceDropped)[0].reason == "decode_failed"
    assert not call.session.ended.done()


# ── Load ──


def climb(call: Call, step: Step) -> None:
    """The pool comes to stand on a step, as it does at a look at the load."""
    pool = call.speech.pool
    before, pool._ladder.step = pool.step, step
    pool._ladder.observe = lambda now, pressure: step
    for listener in list(pool._load_listeners.values()):
        if before is not step:
            listener(step)


async def test_each_step_of_load_is_told_by_a_warning_and_obeyed(call):
    for step in (*list(Step)[1:], Step.NORMAL):
        climb(call, step)
        assert call.session._recognizer.effort == effort_at(step)
    assert [w.code for w in only(call.told, SessionWarning)] == [
        "load_partials_slow", "load_partials_few", "load_no_eager", "load_no_redecode", "load_full",
        "load_normal",
    ]  # fmt: skip
    assert {w.code for w in only(call.told, SessionWarning)} == {code for code, _ in LOAD_WARNINGS.values()}


async def test_who_comes_to_a_busy_server_is_told_after_the_start(calls):
    call = calls()
    climb(call, Step.NO_EAGER)
    call.session.start()
    assert types(call.told) == ["session.started", "warning"]
    assert only(call.told, SessionWarning)[0].code == "load_no_eager"
    assert call.session._recognizer.effort == effort_at(Step.NO_EAGER)


async def test_a_session_that_has_ended_hears_nothing_of_load(call):
    call.session.finish("done")
    await call.end()
    climb(call, Step.REFUSE)
    assert only(call.told, SessionWarning) == []


# ── Watchers ──


class Watcher(Instrument):
    def __init__(self) -> None:
        self.noted: list[tuple[object, ...]] = []

    def session_opened(self, transport: str) -> None:
        self.noted.append(("opened", transport))

    def session_closed(self, transport: str, seconds: float) -> None:
        assert seconds >= 0
        self.noted.append(("closed", transport))

    def audio_received(self, seconds: float) -> None:
        self.noted.append(("audio", seconds))

    def event_sent(self, event: Event) -> None:
        self.noted.append(("event", event.seq))

    def first_partial(self, media_ms: int) -> None:
        self.noted.append(("first_partial", media_ms))

    def speculated(self, *, used: int, wasted: int) -> None:
        self.noted.append(("speculated", used, wasted))


async def test_a_watcher_sees_what_happens(calls):
    watcher = Watcher()
    call = calls(instrument=watcher)
    call.session.start()
    for until in range(0, 4_100, WINDOW * 1000 // SAMPLE_RATE):
        call.say(until)
        await asyncio.sleep(0.0005)
    call.session.finish("done")
    await call.end()
    assert watcher.noted[0] == ("opened", "test")
    assert watcher.noted[-1] == ("closed", "test")
    assert sum(n[1] for n in watcher.noted if n[0] == "audio") == pytest.approx(
        len(call.audio) / SAMPLE_RATE, abs=0.3
    )
    assert [n[1] for n in watcher.noted if n[0] == "event"] == [e.seq for e in call.told]
    assert [n for n in watcher.noted if n[0] == "speculated"] == [("speculated", 1, 0)]
    [first] = [n for n in watcher.noted if n[0] == "first_partial"]
    assert 0 < first[1] < 2_000
