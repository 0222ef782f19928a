"""The fakes do as they are told."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.audio import WINDOW, ms_to_samples
from rtc_stt.errors import DecodeError
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, hypothesis, render, replay
from tests.harness import request, said, types

SCRIPT = [Said(100, 200, "one"), Said(300, 500, "two")]


def test_a_script_is_heard_where_it_is_said():
    audio = render(SCRIPT, 1_000)
    assert len(audio) == 16_000
    loud = np.abs(audio) > 0.01
    assert loud[1_600:3_200].mean() > 0.9
    assert not loud[:1_600].any()
    assert not loud[3_200:4_800].any()


def test_a_word_that_ends_after_the_audio_is_cut():
    assert len(render([Said(900, 2_000, "long")], 1_000)) == 16_000


def test_the_detector_keeps_its_place_for_each_stream():
    vad = ScriptedVad(SCRIPT)
    states = [vad.new_state(), vad.new_state()]
    silence = np.zeros((1, WINDOW), np.float32)
    for _ in range(5):
        vad.detect([states[0]], silence)
    late, early = vad.detect(states, np.zeros((2, WINDOW), np.float32))
    assert late > 0.5 > early  # 160 ms and 0 ms


def test_the_engine_hears_words_whose_middle_it_is_given():
    engine = ScriptedEngine(SCRIPT)

    def asked(start_ms: int, end_ms: int) -> DecodeRequest:
        audio = np.zeros(ms_to_samples(end_ms - start_ms), np.float32)
        return DecodeRequest("a", 1, 1, Tier.FAST, Urgency.FINAL, audio, ms_to_samples(start_ms))

    assert engine.decode(asked(0, 1_000)).text == "one two"
    assert engine.decode(asked(0, 390)).text == "one"
    assert engine.decode(asked(160, 1_000)).text == "two"
    assert len(engine.requests) == 3


def test_every_figure_of_a_hypothesis_can_be_set():
    made = hypothesis(request(), "hello", avg_logprob=-1.0, tokens=9)
    assert (made.avg_logprob, made.tokens, made.language) == (-1.0, 9, "en")
    assert hypothesis(request(language="de"), "hallo").language == "de"


def test_a_replay_ends_what_is_open_unless_told_not_to():
    script = said("one two three", start_ms=200)
    audio, engines = render(script, 900), {Tier.FAST: ScriptedEngine(script)}
    told = replay(audio, ScriptedVad(script), engines)
    assert types(told)[-2:] == ["speech.stopped", "transcript.final"]
    assert [e.seq for e in told] == list(range(1, len(told) + 1))
    assert "speech.stopped" not in types(replay(audio, ScriptedVad(script), engines, end=False))


def test_an_engine_fails_by_raising_in_its_answer():
    def fails(*_: object) -> DecodeFailure:
        raise DecodeError("broken")

    script = said("one two three", start_ms=200)
    engines = {Tier.FAST: ScriptedEngine(script, answer=fails)}  # type: ignore[arg-type]
    told = replay(render(script, 3_000), ScriptedVad(script), engines)
    assert types(told) == ["speech.started", "speech.stopped", "utterance.dropped"]
    with pytest.raises(DecodeError):
        engines[Tier.FAST].decode(request())


def test_several_requests_in_one_call_are_heard_one_by_one():
    def moody(asked: DecodeRequest, text: str) -> Hypothesis:
        if asked.stream_id == "bad":
            raise DecodeError("broken")
        return hypothesis(asked, text)

    engine = ScriptedEngine(SCRIPT, answer=moody)
    first, bad, last = engine.decode_batch([request("a"), request("bad"), request("b")])
    assert isinstance(bad, DecodeError)
    for entry in (first, last):
        assert isinstance(entry, Hypothesis)
        assert entry.text == "one two"
    assert len(engine.requests) == 3
