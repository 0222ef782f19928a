"""From the times of a turn or a recording to the spans of its trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.events import (
    Decision,
    DropReason,
    Route,
    SpeechStopped,
    Timing,
    TranscriptFinal,
    UtteranceDropped,
)
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.spans import MOST_DECODES, MOST_TURNS, DecodeTimes, RecordingTimes, Span, TurnTimes
from rtc_stt.trace_context import TraceContext

CALLER = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def request(tier: Tier = Tier.FAST, *, revision: int = 1, start: int = 0, number: int = 1) -> DecodeRequest:
    return DecodeRequest(
        stream_id="s1",
        utterance_id=number,
        revision=revision,
        tier=tier,
        urgency=Urgency.EAGER,
        audio=np.zeros(16_000, np.float32),
        audio_start=start,
        prompt="a secret prompt",
    )


def answer(to: DecodeRequest, *, queue_ms: int = 0, infer_ms: int = 100) -> Hypothesis:
    return Hypothesis(
        request=to,
        text="secret words",
        language="en",
        language_probability=0.9,
        avg_logprob=-0.1,
        no_speech_prob=0.0,
        compression_ratio=1.0,
        tokens=2,
        model="small" if to.tier is Tier.FAST else "medium",
        queue_ms=queue_ms,
        infer_ms=infer_ms,
        batch=3,
    )


FINAL = TranscriptFinal(
    at_ms=2_000,
    utterance_id=1,
    text="secret words",
    words=(),
    language="en",
    language_probability=0.9,
    confidence=0.9,
    avg_logprob=-0.1,
    no_speech_prob=0.0,
    compression_ratio=1.0,
    model="medium",
    tier=Tier.ACCURATE,
    route=Route(Decision.REDECODED),
    audio_start_ms=500,
    audio_end_ms=1_500,
    timing=Timing(
        hangover_ms=500, queue_ms=20, fast_infer_ms=100, accurate_infer_ms=300, endpoint_to_final_ms=80
    ),
)
STOPPED = SpeechStopped(at_ms=2_000, utterance_id=1, audio_end_ms=1_500)


def a_turn(parent: TraceContext | None = None) -> list[Span]:
    """Speech from 10 to 11 s, judged at 11.51, decoded in the pause, told at 11.6."""
    turns = TurnTimes("s1", parent, lambda _: True)
    turns.begin(1, 500, 10.0)
    fast, accurate = request(), request(Tier.ACCURATE)
    turns.ask(fast, 11.1)
    turns.ask(replace(fast, urgency=Urgency.FINAL), 11.3)  # asked already
    turns.answer(answer(fast, queue_ms=20), 11.22)
    turns.ask(accurate, 11.22)
    turns.stop(STOPPED, 11.0, 11.5, 11.51)
    turns.answer(answer(accurate, infer_ms=300), 11.59)
    return turns.finish(FINAL, 11.595, 11.6)


def test_a_turn_is_the_tree_of_the_design() -> None:
    turn, *parts = a_turn()
    assert (turn.name, turn.parent_id, turn.start, turn.end) == ("turn", None, 10.0, 11.6)
    times = {span.name: (round(span.start, 3), round(span.end, 3)) for span in parts}
    assert times == {
        "speech": (10.0, 11.0),
        "endpointing": (11.0, 11.51),
        "queue": (11.1, 11.12),
        "decode": (11.12, 11.22),
        "redecode": (11.22, 11.59),
        "send": (11.595, 11.6),
    }
    assert {span.parent_id for span in parts} == {turn.context.span_id}
    assert len({span.context.span_id for span in (turn, *parts)}) == 7
    assert {span.context.trace_id for span in (turn, *parts)} == {turn.context.trace_id}
    decode = next(span for span in parts if span.name == "decode")
    assert decode.attributes["rtc_stt.batch"] == 3
    assert decode.attributes["rtc_stt.audio_ms"] == 1_000
    assert turn.attributes["rtc_stt.route"] == "redecoded"


def test_nothing_that_was_said_is_in_it() -> None:
    assert "secret" not in repr(a_turn())


def test_it_goes_on_in_the_trace_of_its_client() -> None:
    turn, *_ = a_turn(CALLER)
    assert (turn.context.trace_id, turn.parent_id) == (CALLER.trace_id, CALLER.span_id)
    told = a_turn(replace(CALLER, is_sampled=False))
    assert not any(span.context.is_sampled for span in told)


def test_who_decodes_elsewhere_is_told_of_the_span_that_is_made_later() -> None:
    turns = TurnTimes("s1", None, lambda _: True)
    turns.begin(1, 500, 10.0)
    accurate = request(Tier.ACCURATE)
    early = turns.context_of(accurate)
    turns.ask(accurate, 11.0)
    told = turns.finish(FINAL, 11.5, 11.6)
    (redecode,) = [span for span in told if span.name == "redecode"]
    assert redecode.context == early
    assert (redecode.is_error, redecode.attributes["rtc_stt.outcome"]) == (True, "timeout")
    assert redecode.end == 11.6


def test_of_attempts_at_the_same_audio_the_last_counts() -> None:
    turns = TurnTimes("s1", None, lambda _: True)
    turns.begin(1, 500, 10.0)
    for revision, start, at in ((1, 0, 11.0), (2, 0, 12.0), (3, 50_000, 13.0)):
        asked = request(revision=revision, start=start)
        turns.ask(asked, at)
        turns.answer(answer(asked), at + 0.2)
    decodes = [span for span in turns.finish(FINAL, 14.0, 14.0) if span.name == "decode"]
    assert [round(span.end, 3) for span in decodes] == [12.2, 13.2]


def test_partials_are_no_part_of_it() -> None:
    turns = TurnTimes("s1", None, lambda _: True)
    turns.begin(1, 500, 10.0)
    turns.ask(replace(request(), urgency=Urgency.PARTIAL), 10.5)
    assert [span.name for span in turns.finish(FINAL, 11.0, 11.0)] == ["turn", "send"]


def test_a_dropped_utterance_says_why() -> None:
    turns = TurnTimes("s1", None, lambda _: True)
    turns.begin(1, 500, 10.0)
    failed = request()
    turns.ask(failed, 10.5)
    turns.answer(DecodeFailure(failed, "the engine is broken"), 10.6)
    dropped = UtteranceDropped(at_ms=0, utterance_id=1, reason=DropReason.DECODE_FAILED)
    turn, _, decode, _ = turns.finish(dropped, 11.0, 11.0)
    assert turn.attributes["rtc_stt.dropped"] == "decode_failed"
    assert (decode.name, decode.is_error, decode.attributes["rtc_stt.outcome"]) == ("decode", True, "failed")


def test_what_nobody_began_is_no_turn() -> None:
    turns = TurnTimes("s1", None, lambda _: True)
    turns.stop(STOPPED, 1.0, 1.0, 1.0)
    turns.answer(answer(request()), 1.0)
    assert turns.context_of(request()) is None
    assert turns.finish(FINAL, 1.0, 1.0) == []


def test_there_are_bounds() -> None:
    turns = TurnTimes("s1", None, lambda _: True)
    for number in range(2 * MOST_TURNS):
        turns.begin(number, 0, 0.0)
    assert turns.context_of(request(number=MOST_TURNS - 1))
    assert turns.context_of(request(number=MOST_TURNS)) is None
    decodes = DecodeTimes(CALLER)
    for revision in range(2 * MOST_DECODES):
        decodes.ask(request(start=revision, revision=revision), 0.0)
    assert len(decodes.spans(0.0, 1.0)) == 2 * MOST_DECODES  # a wait and a decode of each


def test_a_recording_is_of_its_request() -> None:
    times = RecordingTimes(CALLER)
    times.detect(1.0, 1.1)
    times.detect(1.5, 1.7)
    times.decodes.ask(request(), 1.2)
    times.decodes.answer(answer(request()), 1.6)
    told = times.spans(2.0)
    assert [span.name for span in told] == ["detector", "queue", "decode"]
    assert {span.parent_id for span in told} == {CALLER.span_id}
    assert told[0].attributes == {"rtc_stt.detector_ms": 300}


times = st.floats(0, 100, allow_nan=False)


@given(times, times, times, times, times, times, times, st.integers(0, 60_000), st.integers(0, 60_000))
def test_whatever_the_times_they_nest(
    began: float,
    asked: float,
    answered: float,
    ended: float,
    known: float,
    decided: float,
    sent: float,
    queue_ms: int,
    infer_ms: int,
) -> None:
    turns = TurnTimes("s1", None, lambda _: True)
    turns.begin(1, 0, began)
    for tier in Tier:
        turns.ask(request(tier), asked)
        turns.answer(answer(request(tier), queue_ms=queue_ms, infer_ms=infer_ms), answered)
    turns.stop(STOPPED, ended, known, decided)
    turn, *parts = turns.finish(FINAL, decided, sent)
    for span in parts:
        assert turn.start <= span.start <= span.end <= turn.end
