"""Requests of several sessions in one call of a real model: each is answered as if it were alone."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from rtc_stt import demo_models, guard
from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.clips import load as load_clips
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import WhisperEngine
from rtc_stt.engines.batching import FULL_FRAMES
from rtc_stt.errors import DecodeError, EngineBroken, ModelError
from rtc_stt.hypothesis import Hypothesis, Urgency
from tests.harness import request


def load(model: demo_models.DemoModel, **how: object) -> WhisperEngine:
    policy = ContextPolicy(model.context_policy)
    return WhisperEngine(model.path, device="cpu", compute_type="int8", context_policy=policy, **how)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["fast", "accurate"])
def engine(request: pytest.FixtureRequest) -> WhisperEngine:
    return load(demo_models.FAST) if request.param == "fast" else load(demo_models.ACCURATE, beam_size=5)


@pytest.fixture(scope="module")
def fast() -> WhisperEngine:
    return load(demo_models.FAST)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return load_clips("clean", "noisy", limit=6)


@pytest.fixture
def calls(fast, monkeypatch):
    """Rows and frames of every call of the encoder."""
    seen: list[tuple[int, int]] = []
    encode = fast._model.encode

    def watched(mels, frames):
        seen.append((len(mels), frames))
        return encode(mels, frames)

    monkeypatch.setattr(fast._model, "encode", watched)
    return seen


def same(one: Hypothesis, other: Hypothesis) -> bool:
    """Equal but for what padding does to the last digits."""
    close = (
        abs(one.avg_logprob - other.avg_logprob) < 0.1
        and abs(one.no_speech_prob - other.no_speech_prob) < 0.1
    )
    return close and (one.request, one.text, one.language, one.tokens) == (
        other.request,
        other.text,
        other.language,
        other.tokens,
    )


@pytest.mark.slow
def test_a_batch_says_what_single_decodes_say(engine, clips):
    requests = [request(f"s{i}", audio=clip.audio()) for i, clip in enumerate(clips)]
    together, alone = engine.decode_batch(requests), [engine.decode(r) for r in requests]
    assert [answer.request for answer in together] == requests
    assert sum(map(same, together, alone)) >= len(clips) - 1


@pytest.mark.slow
def test_options_of_many_kinds_share_a_batch(engine, clips):
    audio = [clip.audio() for clip in clips]
    requests = [
        request("a", audio=audio[0], language="en"),
        request("b", audio=audio[1], language="de"),
        request("c", audio=audio[2], prompt="A restaurant.", hotwords="table"),
        request("d", audio=audio[3], word_timestamps=True),
        request("e", audio=audio[4], word_timestamps=True, language="es"),
        request("f", urgency=Urgency.PARTIAL, audio=audio[5], word_timestamps=True),
        request("g", audio=audio[0], context="and then I said"),
        request("h", audio=audio[1], languages=("fr", "es")),
    ]
    together, alone = engine.decode_batch(requests), [engine.decode(r) for r in requests]
    for answer, single in zip(together, alone, strict=True):
        assert same(answer, single)
        assert [w.word for w in answer.words] == [w.word for w in single.words]
        for word, expected in zip(answer.words, single.words, strict=True):
            assert abs(word.start_ms - expected.start_ms) <= 60
    assert [answer.language for answer in together[:2]] == ["en", "de"]
    assert [bool(answer.words) for answer in together[3:6]] == [True, True, True], "who asks, a partial too"
    assert together[7].language in {"fr", "es"}


def test_rows_of_like_length_share_calls(fast, calls):
    requests = [
        request(f"s{i}", audio=np.zeros(n * SAMPLE_RATE, np.float32)) for i, n in enumerate([2, 2, 9])
    ]
    fast.decode_batch([dataclasses.replace(r, urgency=Urgency.PARTIAL) for r in requests])
    assert sorted(rows for rows, _ in calls) == [1, 2]


def test_nothing_to_decode_is_no_answers(fast):
    assert fast.decode_batch([]) == []


# ── One bad item ──


def test_audio_that_is_no_sound_fails_alone(fast, clips):
    good = [request("a", audio=clips[0].audio()), request("b", audio=clips[1].audio())]
    bad = request("c", audio=np.full_like(clips[0].audio(), np.nan))
    first, failed, second = fast.decode_batch([good[0], bad, good[1]])
    assert isinstance(failed, DecodeError)
    assert not isinstance(failed, EngineBroken)
    for answer, ask in ((first, good[0]), (second, good[1])):
        assert same(answer, fast.decode(ask))
    with pytest.raises(DecodeError):
        fast.decode(bad)


def test_an_unknown_language_fails_alone(fast, clips):
    answers = fast.decode_batch(
        [request("a", audio=clips[0].audio(), language="ja"), request("b", audio=clips[1].audio())]
    )
    assert isinstance(answers[0], DecodeError)
    assert isinstance(answers[1], Hypothesis)


def test_a_call_that_fails_is_made_again_row_by_row(fast, clips, calls, monkeypatch):
    generate = fast._model.generate

    def only_alone(encoded, rows, *rest):
        if len(rows) > 1:
            raise ValueError("a secret")
        return generate(encoded, rows, *rest)

    monkeypatch.setattr(fast._model, "generate", only_alone)
    requests = [request(f"s{i}", audio=clips[0].audio()) for i in range(3)]
    assert all(isinstance(answer, Hypothesis) for answer in fast.decode_batch(requests))
    assert [rows for rows, _ in calls] == [3, 1, 1, 1]


def test_what_always_fails_is_told_without_its_message(fast, clips, monkeypatch):
    def fail(*_: object) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(fast._model, "generate", fail)
    [answer] = fast.decode_batch([request(audio=clips[0].audio())])
    assert str(answer) == "demo-tiny: ValueError"


def test_overflow_in_one_row_is_tried_again_alone(fast, clips, calls, monkeypatch):
    generate = fast._model.generate

    def overflowing(encoded, rows, *rest):
        results = generate(encoded, rows, *rest)
        if len(rows) == 1:
            return results
        spoilt = SimpleNamespace(
            sequences_ids=results[1].sequences_ids, scores=[float("nan")], no_speech_prob=0.0
        )
        return [results[0], spoilt, *results[2:]]

    monkeypatch.setattr(fast._model, "generate", overflowing)
    requests = [request(f"s{i}", audio=clips[0].audio()) for i in range(3)]
    answers = fast.decode_batch(requests)
    assert len({answer.text for answer in answers}) == 1
    assert [rows for rows, _ in calls] == [3, 1]


@pytest.mark.slow
def test_a_suspicious_final_is_decoded_again_alone_and_in_full(fast, clips, calls, monkeypatch):
    looks_wrong = {"b", "p"}
    monkeypatch.setattr(guard, "is_suspicious", lambda h: h.request.stream_id in looks_wrong)
    requests = [request(name, audio=clips[0].audio()) for name in "abc"]
    partial = request("p", urgency=Urgency.PARTIAL, audio=clips[0].audio())
    assert len(fast.decode_batch([*requests, partial])) == 4
    assert calls[0][0] == 4
    assert calls[1:] == [(1, FULL_FRAMES)]


def test_the_full_context_hears_the_language_anew(fast, clips, monkeypatch):
    detect = fast._model.detect_language
    answers = iter([[[("de", 1.0)]], None])
    monkeypatch.setattr(fast._model, "detect_language", lambda *a: next(answers) or detect(*a))
    monkeypatch.setattr(guard, "is_suspicious", lambda h: True)
    assert fast.decode(request(audio=clips[0].audio())).language == "en"


# ── Languages ──


@pytest.mark.parametrize(
    ("languages", "expected"),
    [(("en", "de"), {"en"}), (("de", "fr"), {"de", "fr"}), (("xx", "en", "es"), {"en"}), (("xx",), {"en"})],
)
def test_detection_keeps_to_the_languages_that_are_meant(fast, clips, languages, expected):
    heard = fast.decode(request(audio=clips[0].audio(), languages=languages))
    assert heard.language in expected
    assert 0 < heard.language_probability <= 1


@pytest.mark.parametrize("languages", [("de",), ("xx", "de")])
def test_a_single_language_needs_no_detection(fast, clips, languages, monkeypatch):
    monkeypatch.setattr(fast._model, "detect_language", None)
    heard = fast.decode(request(audio=clips[0].audio(), languages=languages))
    assert (heard.language, heard.language_probability) == ("de", 1.0)
    assert not heard.language_was_forced


# ── A broken engine ──


class Broken:
    """A CTranslate2 model on a device that failed."""

    n_mels, device = 80, "cuda"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def encode(self, _: object) -> None:
        raise self.error

    def unload_model(self) -> None:
        raise self.error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA failed with error out of memory"), "out of memory"),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_NOT_INITIALIZED"), "device"),
        (RuntimeError("CUDNN_STATUS_EXECUTION_FAILED"), "device"),
        (MemoryError("std::bad_alloc"), "out of memory"),
    ],
)
def test_a_broken_device_breaks_the_engine_until_it_is_loaded_anew(clips, error, said):
    engine = load(demo_models.FAST)
    requests = [request("a", audio=clips[0].audio()), request("b", audio=clips[1].audio())]
    before = engine.decode_batch(requests)
    engine._model._whisper.model = Broken(error)
    with pytest.raises(EngineBroken, match=said):
        engine.decode_batch(requests)
    with pytest.raises(EngineBroken, match=said):
        engine.decode(requests[0])
    engine.reload()
    assert engine.decode_batch(requests) == before


@pytest.mark.slow
def test_an_engine_that_cannot_be_loaded_anew_stays_broken_and_says_so(clips, monkeypatch):
    engine = load(demo_models.FAST)
    folder = engine._model._path
    monkeypatch.setattr(engine._model, "_path", folder / "gone")
    with pytest.raises(ModelError, match="cannot be loaded"):
        engine.reload()
    with pytest.raises(EngineBroken, match="not loaded"):
        engine.decode(request(audio=clips[0].audio()))
    monkeypatch.setattr(engine._model, "_path", folder)
    engine.reload()
    assert engine.decode(request(audio=clips[0].audio())).text


def test_an_error_of_another_kind_does_not_break_the_engine(fast, clips, monkeypatch):
    class Refusing(Broken):
        pass

    monkeypatch.setattr(fast._model._whisper, "model", Refusing(RuntimeError("shape mismatch")))
    with pytest.raises(DecodeError, match="RuntimeError") as caught:
        fast.decode(request(audio=clips[0].audio()))
    assert not isinstance(caught.value, EngineBroken)
