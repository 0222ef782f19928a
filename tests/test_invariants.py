"""The invariants of the house, for anything that may happen to a stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, event, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rtc_stt.audio import WINDOW, Origin, ms_to_samples, samples_to_ms
from rtc_stt.commands import Command, Configure, Finalize, Mute
from rtc_stt.commit import Lengths
from rtc_stt.config import Endpointing, Routing, StreamOptions
from rtc_stt.decode_pool import DecodePool
from rtc_stt.decode_queue import DecodeQueue, Pushed
from rtc_stt.errors import DecodeError
from rtc_stt.events import (
    Event,
    Finalized,
    SessionEnded,
    SessionWarning,
    SpeechStopped,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.session import Session, Speech
from rtc_stt.testing import ScriptedEngine, ScriptedVad, hypothesis, render, replay
from rtc_stt.vad import VadBatcher
from rtc_stt.wire import (
    ProtocolProblem,
    decode_event,
    encode_command,
    encode_event,
    read_command,
)
from tests.harness import TRUSTING, Line, only, request, timed
from tests.storm import MOODS, Storm, ranges
from tests.strategies import (
    CHUNKS,
    COMMANDS,
    EVENTS,
    JSON,
    MOOD,
    ORIGINS,
    PROBABILITY,
    ROUTINGS,
    WEATHER,
    endpointings,
    monologue,
    scripts,
    stream_options,
)

# ── The same audio gives the same events ──


def moody(moods: list[str]):
    """An engine's answers: each mood in turn, by what is asked and not by when."""

    def answer(asked: DecodeRequest, text: str) -> Hypothesis:
        mood = moods[(asked.utterance_id + asked.revision) % len(moods)]
        if mood == "fails":
            raise DecodeError("broken")
        said, figures = MOODS[mood]
        return hypothesis(asked, f"{text} {said.format(0)}".strip() if said else said, **figures)

    return answer


@pytest.mark.slow
@given(scripts(), stream_options(), ROUTINGS, CHUNKS, ORIGINS, st.lists(MOOD, min_size=1, max_size=4))
def test_any_chunking_of_the_same_audio_gives_the_same_events(
    script, options, routing, chunks, origins, moods
):
    audio = render(script, max([s.end_ms for s in script], default=0) + 777)

    def run(chunks: list[int]) -> list[Event]:
        engines = {tier: ScriptedEngine(script, answer=moody(moods)) for tier in Tier}
        return replay(
            audio,
            ScriptedVad(script),
            engines,
            options=options,
            routing=routing,
            chunks=chunks,
            origins=origins,
        )

    assert run(chunks) == run([])
    assert run([1] * 700 + chunks) == run([])


@pytest.mark.slow
@given(scripts(), stream_options(), ORIGINS)
def test_no_gap_is_told_twice_and_every_final_over_one_is_warned_of(script, options, origins):
    audio = render(script, max([s.end_ms for s in script], default=0) + 777)
    engine = ScriptedEngine(script)
    told = replay(audio, ScriptedVad(script), {Tier.FAST: engine}, options=options, origins=origins)
    of = [origin for size, origin in origins for _ in range(size)][: len(audio)]
    finals = only(told, TranscriptFinal)
    for origin, sums in (
        (Origin.CONCEALED, sum(final.concealed_ms for final in finals)),
        (Origin.LOST, sum(final.lost_ms for final in finals)),
    ):
        assert sums <= samples_to_ms(of.count(origin)) + len(finals), "each rounded"
    for final in finals:
        start, end = ms_to_samples(final.audio_start_ms), ms_to_samples(final.audio_end_ms)
        assert final.concealed_ms == samples_to_ms(of[start:end].count(Origin.CONCEALED))
        assert final.lost_ms >= samples_to_ms(of[start:end].count(Origin.LOST))
        before = told[told.index(final) - 1]
        warned = isinstance(before, SessionWarning) and before.code == "audio_gap"
        assert warned == bool(final.concealed_ms or final.lost_ms)
    assert len(only(told, SessionWarning)) == sum(bool(f.concealed_ms or f.lost_ms) for f in finals)


# ── Someone who does not stop ──

TALK = StreamOptions(endpointing=Endpointing(max_utterance_s=600))


@pytest.mark.slow
@pytest.mark.parametrize("has_times", [True, False])
def test_a_monologue_is_told_word_for_word_and_costs_no_more_as_it_goes_on(has_times):
    script = monologue(7, seconds=300)
    line = Line(script, options=TALK, routing=TRUSTING, eager_answers=True)
    if not has_times:
        line.engine = ScriptedEngine(script)
    lengths, held = Lengths.of(TALK.commit_after_s), 0
    for until in range(1_000, script[-1].end_ms + 2_000, 1_000):
        line.hear(until)
        held = max(held, line.recognizer._buffer.end - line.recognizer._buffer.start)
    words = [said.word for said in script]
    [final] = only(line.told, TranscriptFinal)
    assert final.text.split() == words
    assert max(len(r.audio) for r in line.requests) <= lengths.bound
    assert held <= lengths.bound + WINDOW
    finals = {r.audio_start: r for r in line.requests if r.urgency is not Urgency.PARTIAL}
    adjoining = sorted(finals.values(), key=lambda r: r.audio_start)
    assert all(a.audio_end == b.audio_start for a, b in pairwise(adjoining))
    stable = ""
    for partial in only(line.told, TranscriptPartial):
        now = partial.text[: partial.stable_chars]
        assert now.startswith(stable)
        stable = now
        if has_times:
            assert partial.text.split() == words[: len(partial.text.split())]


@pytest.mark.slow
@given(st.integers(0, 10_000), CHUNKS)
@settings(max_examples=5, phases=[Phase.generate])
def test_any_chunking_of_a_monologue_gives_the_same_events(seed, chunks):
    script = monologue(seed, seconds=40)
    audio = render(script, 42_000)

    def run(chunks: list[int]) -> list[Event]:
        engine = ScriptedEngine(script, answer=timed(script))
        return replay(audio, ScriptedVad(script), {Tier.FAST: engine}, options=TALK, chunks=chunks)

    assert run(chunks) == run([])


# ── Weather without answers, commands or luck ──


@pytest.mark.slow
@given(WEATHER, endpointings())
def test_no_speech_is_lost(weather, endpointing):
    """Whatever is speech for longer than an onset is in the audio of a final."""
    options = StreamOptions(endpointing=replace(endpointing, min_speech_ms=32), partials=False)
    line = Storm(options)
    speech: list[tuple[int, int]] = []
    for windows, probability in weather:
        start = line.position
        line.windows(windows, probability)
        if probability >= endpointing.start_threshold and windows * 32 >= endpointing.onset_ms + 32:
            speech.append((start, line.position))
    line.finish()
    line.check_ended()
    covered = np.zeros(line.position + 1, bool)
    for start, end in ranges(line):
        covered[start:end] = True
    event(f"utterances: {min(5, len(ranges(line)))}")
    for start, end in speech:
        assert covered[start:end].all()


# ── Any weather, any answers, any commands ──


Step = tuple[object, ...]
HEAR = st.tuples(st.just("hear"), st.integers(1, 40), PROBABILITY)
ANSWER = st.tuples(st.just("answer"), st.integers(-4, 30), MOOD)
OTHER = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.3, 1.0, 3.0, 11.0])),
    st.tuples(st.just("finalize")),
    st.tuples(st.just("mute"), st.booleans()),
    st.tuples(st.just("configure"), stream_options()),
)


@st.composite
def turns(draw: st.DrawFn) -> list[Step]:
    """Someone speaks and pauses, most is answered, and now and then something else happens."""
    steps: list[Step] = []
    for speech, pause in draw(
        st.lists(
            st.tuples(st.integers(3, 60) | st.integers(60, 150), st.integers(1, 40)), min_size=1, max_size=4
        )
    ):
        while speech > 0:
            windows = draw(st.integers(1, 30))
            steps.append(("hear", min(windows, speech), 0.95))
            speech -= windows
            steps += draw(st.lists(st.tuples(st.just("answer"), st.integers(-2, -1), MOOD), max_size=2))
        steps += draw(st.lists(OTHER, max_size=1))
        while pause > 0:
            windows = draw(st.integers(1, 15))
            steps.append(("hear", min(windows, pause), 0.02))
            pause -= windows
            steps += draw(st.lists(st.tuples(st.just("answer"), st.integers(-2, -1), MOOD), max_size=2))
        steps += draw(st.lists(HEAR | ANSWER | OTHER, max_size=2))
    return steps


def play(line: Storm, step: Step) -> None:
    match step:
        case ("hear", int(windows), float(probability)):
            line.windows(windows, probability)
        case ("answer", int(index), str(mood)):
            if line.requests:
                line.reply(index, mood)
        case ("wait", float(seconds)):
            line.wait(seconds)
        case ("finalize",):
            line.command_finalize()
        case ("mute", bool(on)):
            line.command_mute(on)
        case ("configure", StreamOptions() as options):
            line.configure(options)
        case _:
            raise AssertionError(step)


@pytest.mark.slow
@given(turns(), stream_options(), ROUTINGS, st.booleans())
def test_whatever_happens_every_invariant_holds(steps, options, routing, accurate):
    line = Storm(options, routing, accurate=accurate)
    for step in steps:
        play(line, step)
        line.check()
    line.finish()
    line.check_ended()


@pytest.mark.slow
def test_the_strategies_reach_all_that_can_be_told():
    """The storm would prove little if it never got to a final, an eager text or a drop."""
    kinds, decisions, drops, segments = set[str](), set[str](), set[str](), list[int]()

    @settings(max_examples=400, derandomize=True, database=None)
    @given(turns(), stream_options(), ROUTINGS, st.booleans())
    def collect(steps, options, routing, accurate):
        line = Storm(options, routing, accurate=accurate)
        for step in steps:
            play(line, step)
        line.finish()
        kinds.update(e.type for e in line.told)
        decisions.update(e.route.decision for e in only(line.told, TranscriptFinal))
        drops.update(e.reason for e in only(line.told, UtteranceDropped))
        finals = [e.utterance_id for e in only(line.told, TranscriptFinal)]
        segments.append(max((len(line.attempts()[number]) for number in finals), default=0))

    collect()
    assert sum(count > 1 for count in segments) > 10, "finals of several segments"
    assert kinds == {
        "speech.started", "speech.stopped", "speech.resumed", "transcript.partial", "transcript.eager",
        "transcript.final", "utterance.dropped", "finalized",
    }  # fmt: skip
    assert decisions == {
        "accepted", "redecoded", "verified", "redecode_failed", "redecode_timeout", "no_accurate_tier",
    }  # fmt: skip
    assert drops >= {"no_speech", "repetition", "known_phrase", "too_short", "decode_failed"}


class AnyLife(RuleBasedStateMachine):
    """Answers come late, out of order, twice or never; timers ring; commands fall where they may."""

    def __init__(self) -> None:
        super().__init__()
        endpointing = Endpointing(
            min_silence_ms=192, speculate_after_ms=64, max_utterance_s=5, min_speech_ms=64
        )
        options = StreamOptions(endpointing=endpointing, commit_after_s=1.0)
        self.line = Storm(options, Routing(min_words=0))

    @rule(windows=st.integers(1, 30))
    def speak(self, windows: int) -> None:
        self.line.windows(windows, 0.95)

    @rule(windows=st.integers(1, 12))
    def pause(self, windows: int) -> None:
        self.line.windows(windows, 0.02)

    @rule(windows=st.integers(5, 20), mood=MOOD)
    def speak_and_pause(self, windows: int, mood: str) -> None:
        """Long enough for an eager decode, which is answered."""
        self.line.windows(windows, 0.95)
        self.line.windows(3, 0.02)
        if self.line.requests:
            self.line.reply(-1, mood)

    @precondition(lambda self: self.line.requests)
    @rule(mood=MOOD)
    def answer_the_newest(self, mood: str) -> None:
        self.line.reply(-1, mood)

    @precondition(lambda self: self.line.requests)
    @rule(index=st.integers(0, 200), mood=MOOD)
    def answer_any(self, index: int, mood: str) -> None:
        self.line.reply(index, mood)

    @precondition(lambda self: self.line.requests)
    @rule(mood=MOOD)
    def answer_the_newest_twice(self, mood: str) -> None:
        self.line.reply(-1, mood)
        self.line.reply(-1, mood)

    @rule(seconds=st.sampled_from([0.05, 0.9, 1.1, 2.6, 10.1]))
    def wait(self, seconds: float) -> None:
        self.line.wait(seconds)

    @rule()
    def ring_for_nothing(self) -> None:
        """A timer that rings too early does no harm."""
        self.line.recognizer.handle_timer(self.line.now)
        self.line._collect()

    @rule()
    def finalize(self) -> None:
        self.line.command_finalize()

    @rule(on=st.booleans())
    def mute(self, on: bool) -> None:
        self.line.command_mute(on)

    @rule(options=stream_options())
    def configure(self, options: StreamOptions) -> None:
        self.line.configure(options)

    @invariant()
    def holds(self) -> None:
        self.line.check()

    def teardown(self) -> None:
        self.line.finish()
        self.line.check_ended()


TestAnyLife = pytest.mark.slow(AnyLife.TestCase)
TestAnyLife.settings = settings(
    max_examples=max(10, settings.default.max_examples // 2), stateful_step_count=40
)


# ── The queue ──


QUEUE_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("push"),
            st.sampled_from("abc"),
            st.integers(1, 3),
            st.integers(1, 6),
            st.sampled_from(Tier),
            st.sampled_from(Urgency),
        ),
        st.tuples(st.just("pop"), st.sampled_from(Tier), st.integers(1, 4)),
        st.tuples(st.just("done"), st.integers(0, 5)),
        st.tuples(st.just("forget"), st.sampled_from("abc")),
    ),
    max_size=60,
)


@given(QUEUE_STEPS)
def test_a_final_never_waits_behind_a_partial_and_nobody_is_lost_or_served_twice(steps):
    queue, waiting, running = DecodeQueue(max_batch=3), {}, []
    for now, step in enumerate(steps):
        match step:
            case ("push", stream, utterance, revision, tier, urgency):
                asked = request(stream, utterance, revision, tier, urgency)
                known = waiting.get(asked.key)
                if any(r.key == asked.key for r in running):
                    assert queue.push(asked, now) == Pushed()
                    continue
                pushed = queue.push(asked, now)
                stale = pushed.stale
                assert pushed.shed == []
                assert all(r.stream_id == stream and r.urgency is not Urgency.FINAL for r in stale)
                for gone in stale:
                    del waiting[gone.key]
                waiting[asked.key] = asked if known is None else min(known, asked, key=lambda r: r.urgency)
            case ("pop", tier, limit):
                batch = [ticket.request for ticket in queue.pop(tier, limit)]
                others = [r for r in waiting.values() if r.tier is tier]
                if not batch:
                    assert all(r.urgency is Urgency.PARTIAL for r in others), "whoever may run runs"
                    continue
                assert len(batch) <= min(limit, 3)
                assert all(waiting.pop(served.key) == served for served in batch)
                assert batch[0].urgency == min(r.urgency for r in others)
                assert len({served.urgency is Urgency.PARTIAL for served in batch}) == 1, "of one kind"
                running += batch
                partials = [r.stream_id for r in running if r.urgency is Urgency.PARTIAL]
                assert len(partials) == len(set(partials)), "one running partial a session"
            case ("done", index):
                if running:
                    queue.done(running.pop(index % len(running)))
            case ("forget", stream):
                gone = queue.forget(stream)
                assert {r.key for r in gone} == {k for k in waiting if k[0] == stream}
                for r in gone:
                    del waiting[r.key]
        for tier in Tier:
            assert queue.waiting(tier) == sum(r.tier is tier for r in waiting.values())


# ── A session ──


@pytest.mark.slow
@given(
    scripts(max_words=5),
    st.lists(
        st.one_of(
            st.integers(1, 30_000),
            st.sampled_from([Mute(True), Mute(False), Configure({"endpointing": {"min_silence_ms": 300}})]),
            st.just("finalize"),
            st.sampled_from(['{"type":"ping","id":"p"}', "nonsense", '{"type":"configure","language":[]}']),
            st.just("breathe"),
        ),
        max_size=15,
    ),
    st.sampled_from(["finish", "abort"]),
)
@settings(max_examples=max(10, settings.default.max_examples // 3), phases=[Phase.generate])
def test_a_session_numbers_its_events_without_a_gap_and_ends_once(script, steps, how):
    async def live() -> tuple[list[Event], list[str]]:
        engine = ScriptedEngine(script)
        speech = Speech(VadBatcher(ScriptedVad(script)), DecodePool({Tier.FAST: engine}, concurrency=2))
        told: list[Event] = []
        ids: list[str] = []
        session = Session(speech, told.append, transport="test")
        session.start()
        audio, at = render(script, 6_000), 0
        for step in steps:
            if isinstance(step, int):
                session.receive_audio(audio[at : at + step])
                at += step
            elif isinstance(step, Command):
                session.receive_command(step)
            elif step == "finalize":
                ids.append(f"f{len(ids)}")
                session.receive_command(Finalize(ids[-1]))
            elif step == "breathe":
                await asyncio.sleep(0.001)
            else:
                with contextlib.suppress(TypeError):  # told of in test_session
                    session.receive_message(step)
        getattr(session, how)("over")
        await asyncio.wait_for(asyncio.shield(session.ended), 3)
        await speech.aclose()
        return told, ids

    told, ids = asyncio.run(live())
    assert [e.seq for e in told] == list(range(1, len(told) + 1))
    assert [e.at_ms for e in told] == sorted(e.at_ms for e in told)
    assert [e for e in told if isinstance(e, SessionEnded)] == told[-1:]
    concluded = [e.utterance_id for e in told if isinstance(e, TranscriptFinal | UtteranceDropped)]
    assert concluded == sorted(set(concluded))
    answered = [e.id for e in only(told, Finalized)]
    if how == "finish":
        assert concluded == [e.utterance_id for e in only(told, SpeechStopped)]
        assert answered == ids
    else:  # what waited in the inbox of an aborted session is never reached
        assert answered == ids[: len(answered)]


# ── The wire ──


@pytest.mark.slow
@given(EVENTS)
def test_an_event_comes_back_from_the_wire_as_it_was(told):
    line = encode_event(told)
    line.encode()  # can be sent
    assert "\n" not in line
    assert decode_event(line) == told
    assert decode_event(line.encode()) == told


@given(COMMANDS)
def test_a_command_comes_back_from_the_wire_as_it_was(command):
    assert read_command(encode_command(command)) == (command, [])


KEYWORDS = st.sampled_from(["type", "id", "on", "finalize", "ping", "mute", "stop", "configure"])
ALMOST = st.dictionaries(KEYWORDS | st.text(max_size=4), KEYWORDS | JSON, max_size=4).map(json.dumps)


@given(st.text() | st.binary() | JSON.map(json.dumps) | ALMOST)
@example('{"type":"finalize","id":"\\ud800"}')
@example(b"\xef\xbb\xbf{}")
def test_no_message_raises_anything_but_a_protocol_problem(message):
    with contextlib.suppress(ProtocolProblem):
        command, unknown = read_command(message)
        assert isinstance(command, Command)
        assert all(len(name) <= 64 for name in unknown)


@given(JSON.map(json.dumps) | st.text() | EVENTS.map(encode_event).map(lambda line: line[:-3] + "}"))
@example('{"type":[]}')
def test_no_line_raises_anything_but_a_value_error(line):
    with contextlib.suppress(ValueError):
        assert isinstance(decode_event(line), Event)


@pytest.mark.parametrize("length", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1])
def test_streams_of_almost_nothing_end_well(length):
    assert replay(np.zeros(length, np.float32), ScriptedVad([]), {Tier.FAST: ScriptedEngine([])}) == []
    assert ms_to_samples(32) == WINDOW
