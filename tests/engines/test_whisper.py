"""Whisper with the bundled demo models: real decodes of real clips."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt import demo_models
from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import WhisperEngine
from rtc_stt.engines.batching import FULL_FRAMES, context_frames
from rtc_stt.errors import DecodeError, ModelError
from rtc_stt.guard import TOKENS_FREE, TOKENS_PER_SECOND
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from rtc_stt.media import read_audio
from rtc_stt.priority import NICENESS
from tests.harness import request

CLIPS = Path(__file__).parents[1] / "clips"

# ── How much context the encoder gets ──


@given(st.integers(1, 3_000), st.sampled_from(ContextPolicy), st.sampled_from([80, 128]))
def test_context_holds_the_audio_and_never_looks_like_a_spectrogram(frames, policy, n_mels):
    given_frames = context_frames(frames, policy, n_mels)
    assert frames <= given_frames <= FULL_FRAMES
    assert (given_frames + 1) // 2 != n_mels


def test_each_policy_gives_what_it_promises():
    assert context_frames(100, ContextPolicy.FULL, 80) == FULL_FRAMES
    assert context_frames(100, ContextPolicy.PADDED, 80) == 500
    assert context_frames(1_000, ContextPolicy.PADDED, 80) == 1_256
    assert context_frames(2_900, ContextPolicy.PADDED, 80) == FULL_FRAMES
    assert context_frames(100, ContextPolicy.TIGHT, 80) == 100


# ── Models that are none ──


def test_a_folder_without_a_model_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ModelError, match=r"model\.bin"):
        WhisperEngine(tmp_path)


def test_a_broken_model_is_an_error_that_names_it(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="cannot be loaded"):
        WhisperEngine(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="niceness belongs to a thread on Linux only")
def test_threads_that_decode_on_the_processor_come_behind_the_loop() -> None:
    before = threads()
    engine = load(demo_models.FAST)  # held: with it its threads would go
    its = threads() - before
    assert its
    assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in its} == {NICENESS}
    assert engine.device == "cpu"


def threads() -> set[int]:
    """Of this process, those of C++ too."""
    return {int(task) for task in os.listdir("/proc/self/task")}


# ── The demo models ──


def load(model: demo_models.DemoModel, policy: str | None = None, **how: int) -> WhisperEngine:
    return WhisperEngine(
        model.path,
        device="cpu",
        compute_type="int8",
        context_policy=ContextPolicy(policy or model.context_policy),
        **how,
    )


@pytest.fixture(scope="module")
def fast() -> WhisperEngine:
    return load(demo_models.FAST)


@pytest.fixture(scope="module")
def accurate() -> WhisperEngine:
    return load(demo_models.ACCURATE, beam_size=5)


def clean_clips() -> list[dict[str, str]]:
    manifest = json.loads((CLIPS / "manifest.json").read_text())
    return [entry for entry in manifest if entry["set"] == "clean"]


def samples(entry: dict[str, str]) -> Samples:
    return np.concatenate(list(read_audio(CLIPS / entry["file"])))


@pytest.fixture(scope="module")
def clip() -> Callable[[int], tuple[dict[str, str], Samples]]:
    """The ``n``-th clean clip: its entry in the manifest and its audio."""
    entries = clean_clips()
    return lambda number: (entries[number], samples(entries[number]))


@pytest.fixture(scope="module")
def apostrophe() -> Samples:
    """Someone says ``o'clock`` or the like."""
    return samples(next(e for e in clean_clips() if re.search(r"\w'\w{3}", e["text"])))


def ask(audio: Samples, urgency: Urgency = Urgency.FINAL, **options: object) -> DecodeRequest:
    return request(urgency=urgency, audio=audio, **options)  # type: ignore[arg-type]


def plain(text: object) -> list[str]:
    return re.findall(r"[\w']+", str(text).casefold())


def test_an_engine_is_named_after_its_folder_and_knows_its_languages(fast, accurate):
    assert (fast.name, accurate.name) == ("demo-tiny", "demo-medium")
    assert fast.languages == set(demo_models.FAST.languages)
    assert fast.device == "cpu"


def test_the_accurate_model_hears_what_is_said(accurate, clip):
    wrong = 0
    for number in range(4):
        entry, audio = clip(number)
        heard = accurate.decode(ask(audio, tier=Tier.ACCURATE))
        wrong += plain(heard.text) != plain(entry["text"])
        assert heard.language == entry["language"]
        assert heard.language_probability > 0.7
        assert not heard.language_was_forced
        assert heard.model == "demo-medium"
        assert 0 < heard.tokens < 60
        assert heard.confidence > 0.5
        assert heard.no_speech_prob < 0.6
    assert wrong <= 1


def test_the_fast_model_hears_most_of_what_is_said(fast, clip):
    hits = total = 0
    for number in range(5):
        entry, audio = clip(number)
        words, heard = plain(entry["text"]), plain(fast.decode(ask(audio)).text)
        hits += sum(word in heard for word in words)
        total += len(words)
    assert hits / total > 0.7


def test_the_same_audio_gives_the_same_hypothesis(fast, clip):
    _, audio = clip(3)
    one, other = fast.decode(ask(audio)), fast.decode(ask(audio))
    assert (one.text, one.avg_logprob, one.no_speech_prob) == (
        other.text,
        other.avg_logprob,
        other.no_speech_prob,
    )


def test_a_forced_language_is_certain(fast, clip):
    _, audio = clip(0)
    heard = fast.decode(ask(audio, language="de"))
    assert (heard.language, heard.language_probability) == ("de", 1.0)
    assert heard.language_was_forced


def test_a_language_the_model_does_not_know_is_an_error(fast, clip):
    _, audio = clip(0)
    with pytest.raises(DecodeError, match="'ja'"):
        fast.decode(ask(audio, language="ja"))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_words_have_times_that_run_forward_within_the_audio(accurate, clip, number):
    _, audio = clip(number)
    offset_ms = 10_000
    asked = DecodeRequest(
        "a", 1, 1, Tier.ACCURATE, Urgency.FINAL, audio, offset_ms * SAMPLE_RATE // 1000, word_timestamps=True
    )
    heard = accurate.decode(asked)
    assert "".join(word.word for word in heard.words) == heard.text.replace(" ", "")
    starts, ends = [w.start_ms for w in heard.words], [w.end_ms for w in heard.words]
    assert starts == sorted(starts)
    assert ends == sorted(ends)
    assert all(w.start_ms <= w.end_ms for w in heard.words)
    assert starts[0] >= offset_ms
    assert ends[-1] <= offset_ms + asked.duration_ms
    assert all(0 <= w.probability <= 1 for w in heard.words)


def test_a_word_with_an_apostrophe_is_one_word(accurate, apostrophe):
    heard = accurate.decode(ask(apostrophe, tier=Tier.ACCURATE, word_timestamps=True))
    assert "'" in heard.text
    assert [word.word for word in heard.words] == heard.text.split()


def test_words_are_empty_unless_asked_for(fast, clip):
    _, audio = clip(0)
    assert fast.decode(ask(audio)).words == ()


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("kind", ["noise", "silence", "buzz"])
def test_no_sound_makes_more_tokens_than_can_be_spoken(fast, seconds, kind):
    n = round(seconds * SAMPLE_RATE)
    audio = {
        "noise": 0.3 * np.random.default_rng(1).standard_normal(n),
        "silence": np.zeros(n),
        "buzz": np.sign(np.sin(np.arange(n) * 0.05)),
    }[kind].astype(np.float32)
    for urgency in (Urgency.PARTIAL, Urgency.FINAL):
        heard = fast.decode(ask(audio, urgency))
        assert heard.tokens <= TOKENS_FREE + TOKENS_PER_SECOND * seconds + 1
        assert np.isfinite([heard.avg_logprob, heard.no_speech_prob, heard.compression_ratio]).all()
        assert heard.avg_logprob <= 0
        assert 0 <= heard.language_probability <= 1


@pytest.mark.parametrize("samples", [1, 160, 512, 25_440, 25_600])
def test_audio_of_any_length_can_be_decoded(fast, samples):
    heard = fast.decode(ask(np.zeros(samples, np.float32)))
    assert heard.request.duration_ms == round(samples / 16)


@pytest.mark.slow
def test_audio_beyond_thirty_seconds_is_cut_and_no_error(fast):
    assert fast.decode(ask(np.zeros(31 * SAMPLE_RATE, np.float32), Urgency.PARTIAL)).tokens >= 0


@pytest.mark.parametrize("text", ["x " * 500, "Ünïcödé 私", " "])
def test_prompt_and_hotwords_may_be_long_and_odd(fast, clip, text):
    _, audio = clip(0)
    heard = fast.decode(ask(audio, Urgency.PARTIAL, prompt=text, hotwords=text))
    assert heard.tokens <= TOKENS_FREE + TOKENS_PER_SECOND * len(audio) / SAMPLE_RATE + 1


def test_warming_up_decodes_the_longest_window_and_a_full_batch_on_every_worker(fast, monkeypatch):
    calls, encode = [], fast._model.encode
    monkeypatch.setattr(
        fast._model,
        "encode",
        lambda mels, frames: calls.append((len(mels), frames)) or encode(mels, frames),
    )
    fast.warm_up(3)
    longest, batch = calls[: fast._workers], calls[fast._workers :]
    assert longest == [(1, FULL_FRAMES)] * fast._workers
    assert len(batch) == fast._workers
    assert all(rows == 3 and 800 <= frames < 1_200 for rows, frames in batch)


def test_every_context_policy_decodes(clip):
    _, audio = clip(1)
    for policy in ("tight", "padded"):
        heard = load(demo_models.ACCURATE, policy).decode(ask(audio, Urgency.PARTIAL))
        assert heard.model == "demo-medium"
        assert heard.text
