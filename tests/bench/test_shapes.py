"""Models of true shape say the same to any audio, and what is measured with them."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper import WhisperModel

from rtc_stt.bench import cost, gpu, shapes, vocabulary
from rtc_stt.bench.shapes import Shape, model_folder
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import WhisperEngine
from rtc_stt.errors import ModelError
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency

pytestmark = pytest.mark.slow

SHAPE = Shape(128, 1, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models of a shape far smaller than any true one, under the names of the true ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "SHAPES", dict.fromkeys(shapes.SHAPES, SHAPE))
        yield tmp_path_factory.mktemp("shapes")


@pytest.fixture(scope="module")
def model(folder):
    return model_folder(folder, "tiny", 20)


@pytest.fixture(scope="module")
def engine(model):
    return WhisperEngine(model, device="cpu", compute_type="int8", context_policy=ContextPolicy.TIGHT)


def test_the_vocabulary_has_openais_layout():
    made = vocabulary.tokenizer()
    listed = vocabulary.listing(made)
    assert len(listed) == vocabulary.SIZE
    known = {50257: "<|endoftext|>", 50258: "<|startoftranscript|>", 50362: "<|nospeech|>"}
    known |= {50363: "<|notimestamps|>", 50364: "<|0.00|>", 51864: "<|30.00|>", 50256: "", 256: "Ġone"}
    assert {index: listed[index] for index in known} == known
    assert len(vocabulary.language_ids(made)) == 99


@pytest.mark.parametrize("seconds", [0.5, 3.0])
@pytest.mark.parametrize("urgency", [Urgency.PARTIAL, Urgency.FINAL])
def test_it_says_the_same_to_any_audio(engine, seconds, urgency):
    audio = np.random.default_rng(2).standard_normal(round(seconds * 16_000), np.float32) * np.float32(0.1)
    heard = engine.decode(DecodeRequest("s", 1, 1, Tier.FAST, urgency, audio, 0, language="en"))
    words = heard.text.split()
    assert words == list(vocabulary.WORDS[: len(words)])
    # To very short audio the engine allows fewer tokens.
    assert len(words) == 20 if seconds == 3.0 else 8 < len(words) < 20


def test_its_text_is_english_with_confidence(engine):
    audio = np.zeros(48_000, np.float32)
    heard = engine.decode(DecodeRequest("s", 1, 1, Tier.FAST, Urgency.PARTIAL, audio, 0))
    assert heard.language == "en"
    assert heard.language_probability > 0.7
    assert heard.confidence > 0.5


def test_faster_whisper_loads_it_and_generates_as_much(model):
    peer = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1)
    assert len(cost._transcribe(peer, np.zeros(48_000, np.float32))) == 20


def test_a_model_is_made_once(folder, model):
    made_at = (model / "model.bin").stat().st_mtime_ns
    assert model_folder(folder, "tiny", 20) == model
    assert (model / "model.bin").stat().st_mtime_ns == made_at
    assert not list(folder.glob(".making-*"))


def test_cost_is_compared_with_the_peer_in_a_process_of_its_own(folder):
    ticks = []
    outcome = cost.run(folder, shape="tiny", rounds=1, tick=lambda: ticks.append(1))
    assert len(ticks) == cost.steps(1)
    figures = outcome.figures
    assert figures["faster_whisper"]["tokens"] == figures["tight"]["tokens"] == figures["padded"]["tokens"]
    # Thirty seconds of padding cost more than three seconds of audio, whatever the machine is doing.
    assert 0 < figures["tight"]["ratio_to_faster_whisper"]["one_session"] < 1
    assert figures["tables_cpu_ms"]["per_request_by_batch_size"].keys() == {"1", "2", "4", "8", "16"}
    assert [mark.name for mark in outcome.marks] == [
        "one_session_cpu_ratio",
        "eight_sessions_cpu_ratio_per_partial",
    ]
    assert all(mark.value for mark in outcome.marks)


def test_a_worker_that_fails_is_told_in_its_last_words(folder, monkeypatch):
    monkeypatch.setattr(shapes, "model_folder", lambda models, name: folder / "nothing")
    with pytest.raises(ModelError, match="could not be measured"):
        cost.run(folder, shape="tiny", rounds=1, tick=lambda: None)


def test_the_tables_of_the_gpu_are_made_on_a_cpu_as_well(folder):
    ticks = []
    plan = gpu.plan_for("cpu", quick=True)
    assert plan
    outcome = gpu.run(plan, folder, lambda: ticks.append(1))
    assert len(ticks) == gpu.steps(plan)
    table = outcome.figures["shapes"]["tiny"]["int8"]
    assert table["latency_ms_by_batch_size"]["2"]["p95"] > 0
    assert table["latency_ms_by_audio_seconds"].keys() == {"1", "3"}
    assert table["sessions_by_p95_limit_ms"]["700"] > 0
