"""Decoding a corpus: whole or cut, once by each tier, and what was decoded is kept."""

from __future__ import annotations

import math
import multiprocessing
import time
from functools import partial

import pytest

from rtc_stt.bench.clips import CLIPS
from rtc_stt.bench.wer.accuracy import Ears, Listening, fitting_workers, listen
from rtc_stt.bench.wer.corpus import Recording, load
from rtc_stt.bench.wer.heard import NEVER
from rtc_stt.config import Endpointing
from rtc_stt.errors import BadAudio, ConfigError, DecodeError, EngineBroken, ModelError
from rtc_stt.hypothesis import DecodeFailure, Tier, Urgency
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, hypothesis, render
from rtc_stt.wav import to_wav

SCRIPT = [Said(500, 900, "one"), Said(1_000, 1_400, "two")]
LONG = [
    *SCRIPT,
    *(Said(10_000 + 500 * n, 10_400 + 500 * n, f"w{n}") for n in range(40)),
    Said(33_000, 33_040, "x"),
]


def recording(folder, script=SCRIPT, duration_ms=3_000, name="a.wav", **how):
    (folder / name).write_bytes(to_wav(render(script, duration_ms)))
    return Recording(name, folder / name, " ".join(said.word for said in script), **how)


def ears(script=SCRIPT, fast=hypothesis, accurate=hypothesis, **how):
    engines = {
        Tier.FAST: ScriptedEngine(script, name="small", answer=fast),
        Tier.ACCURATE: ScriptedEngine(script, name="medium", answer=accurate, delay_s=0.02),
    }
    return Ears(engines, ScriptedVad(script), Listening(**how)), engines


def test_up_to_thirty_seconds_is_decoded_whole_by_each_tier_once(tmp_path):
    both, engines = ears(languages=("en", "de"))
    heard = both.hear(recording(tmp_path))
    assert heard.audio_s == 3.0
    [piece] = heard.pieces
    assert (piece.fast.text, piece.accurate.text) == ("one two", "one two")
    assert (piece.fast.model, piece.accurate.model) == ("small", "medium")
    assert piece.evidence.speech_ms == 3_000
    for tier, engine in engines.items():
        [request] = engine.requests
        assert (request.tier, request.urgency, len(request.audio)) == (tier, Urgency.RECORDING, 48_000)
        assert (request.language, request.languages) == (None, ("en", "de"))


def test_what_is_kept_holds_no_audio(tmp_path):
    [piece] = ears()[0].hear(recording(tmp_path)).pieces
    assert len(piece.fast.request.audio) == len(piece.accurate.request.audio) == 0


def test_wall_and_cpu_time_of_each_decode(tmp_path):
    def busy(request, text):
        until = time.process_time() + 0.03
        while time.process_time() < until:
            pass
        return hypothesis(request, text)

    [piece] = ears(fast=busy)[0].hear(recording(tmp_path)).pieces
    assert 0.03 <= piece.fast_cost.cpu_s < 1
    assert piece.fast_cost.wall_s >= 0.03
    # The other one sleeps.
    assert piece.accurate_cost.wall_s >= 0.02
    assert piece.accurate_cost.cpu_s < piece.accurate_cost.wall_s


def test_a_longer_one_is_cut_as_the_services_do(tmp_path):
    both, engines = ears(LONG, segment_s=12.0, endpointing=Endpointing(min_speech_ms=128))
    heard = both.hear(recording(tmp_path, LONG, 35_000))
    requests = engines[Tier.FAST].requests
    assert [len(r.audio) for r in requests] == [len(r.audio) for r in engines[Tier.ACCURATE].requests]
    assert len(heard.pieces) == len(requests) >= 3
    assert all(r.duration_ms <= 12_000 for r in requests)
    # Silence is skipped; the crack at the end is too short to be decoded.
    assert heard.routed(NEVER) == " ".join(said.word for said in LONG[:-1])
    assert sum(r.duration_ms for r in requests) < 24_000
    assert heard.pieces[0].evidence.mean_probability == pytest.approx(0.95)


def test_a_failed_decode_is_an_answer(tmp_path):
    def fail(request, text):
        raise DecodeError("no finite score")

    heard = ears(fast=fail)[0].hear(recording(tmp_path))
    assert isinstance(heard.pieces[0].fast, DecodeFailure)
    assert heard.routed(NEVER) == "one two"


def test_the_language_is_detected_forced_or_as_told(tmp_path):
    def asked(told, **how):
        both, engines = ears(**how)
        both.hear(recording(tmp_path, language=told))
        return {request.language for engine in engines.values() for request in engine.requests}

    assert asked("de") == {None}
    assert asked("de", language="en") == {"en"}
    assert asked("de", as_told=True) == {"de"}
    assert asked(None, as_told=True) == {None}
    with pytest.raises(ConfigError, match=r"a\.wav: small does not know the language 'xx', only de, en"):
        asked("xx", as_told=True)


def test_what_cannot_be_read_is_named_and_left_out(tmp_path):
    (tmp_path / "b.wav").write_bytes(b"no sound")
    bad = Recording("b.wav", tmp_path / "b.wav", "x")
    both, _ = ears()
    done = []
    listened = listen([bad, recording(tmp_path)], lambda: both, workers=1, tick=lambda: done.append(1))
    assert [heard.recording.id for heard in listened.heard] == ["a.wav"]
    assert list(listened.unreadable) == ["b.wav"]
    assert "b.wav" in listened.unreadable["b.wav"]
    assert (len(done), listened.stopped) == (2, "")


def test_too_long_or_without_a_sample_cannot_be_read(tmp_path):
    with pytest.raises(BadAudio, match="longer than MAX_AUDIO_S"):
        ears(max_audio_s=2.0)[0].hear(recording(tmp_path))
    with pytest.raises(BadAudio):
        ears()[0].hear(recording(tmp_path, [], 0))


def test_ctrl_c_keeps_what_was_decoded(tmp_path):
    def tick():
        raise KeyboardInterrupt

    both, _ = ears()
    recordings = [recording(tmp_path, name=name) for name in ("a.wav", "b.wav")]
    listened = listen(recordings, lambda: both, workers=1, tick=tick)
    assert [heard.recording.id for heard in listened.heard] == ["a.wav"]
    assert listened.stopped == "interrupted"


def test_so_does_a_model_that_breaks(tmp_path):
    def last(request, text):
        if len(engines[Tier.FAST].requests) > 1:
            raise EngineBroken("CUDA error")
        return hypothesis(request, text)

    both, engines = ears(fast=last)
    recordings = [recording(tmp_path, name=name) for name in ("a.wav", "b.wav", "c.wav")]
    listened = listen(recordings, lambda: both, workers=1, tick=lambda: None)
    assert [heard.recording.id for heard in listened.heard] == ["a.wav"]
    assert listened.stopped == "a model broke: CUDA error"


# ── Several processes ────────────────────────────────────────────────────────


def unsure(request, text):
    return hypothesis(request, text, avg_logprob=math.log(0.5))


def elsewhere(delay_s=0.0):
    """Made in each process."""
    engines = {
        Tier.FAST: ScriptedEngine(SCRIPT, name="small", answer=unsure, delay_s=delay_s),
        Tier.ACCURATE: ScriptedEngine(SCRIPT, name="medium"),
    }
    return Ears(engines, ScriptedVad(SCRIPT))


def cannot_load():
    raise ModelError("there is no model folder")


def dies():
    import os

    os._exit(3)


@pytest.mark.slow
def test_several_processes_give_the_same_in_the_same_order(tmp_path):
    recordings = [recording(tmp_path, name=f"{n}.wav") for n in range(5)]
    (tmp_path / "3.wav").write_bytes(b"no sound")
    one, two = (listen(recordings, elsewhere, workers=workers, tick=lambda: None) for workers in (1, 2))
    assert [heard.recording.id for heard in two.heard] == ["0.wav", "1.wav", "2.wav", "4.wav"]
    assert [h.pieces[0].fast for h in two.heard] == [h.pieces[0].fast for h in one.heard]
    assert two.unreadable == one.unreadable
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_ctrl_c_ends_them_in_the_middle_of_a_decode(tmp_path):
    def tick():
        raise KeyboardInterrupt

    recordings = [recording(tmp_path, name=f"{n}.wav") for n in range(6)]
    begun = time.monotonic()
    listened = listen(recordings, partial(elsewhere, 2.0), workers=2, tick=tick)
    assert len(listened.heard) == 1
    assert listened.stopped == "interrupted"
    assert not multiprocessing.active_children()
    assert time.monotonic() - begun < 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "match"), [(cannot_load, "there is no model folder"), (dies, "a process that decodes has died")]
)
def test_processes_that_cannot_begin_are_told(tmp_path, make, match):
    with pytest.raises(ModelError, match=match):
        listen([recording(tmp_path)] * 3, make, workers=2, tick=lambda: None)
    assert not multiprocessing.active_children()


def test_as_many_processes_as_have_a_core_for_each_thread(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    assert [fitting_workers(threads) for threads in (1, 3, 4, 16)] == [8, 2, 2, 1]


def test_the_clips_are_read(tmp_path):
    [clip] = load(CLIPS, 1).recordings
    assert ears()[0].hear(clip).audio_s == pytest.approx(3.53, abs=0.01)
