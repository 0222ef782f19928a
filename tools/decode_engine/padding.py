"""How much a row may be padded: what the demo models make of the same clips, batched and alone.

Padding is silence to the model. Every row is decoded alone at its own length, padded to more, and in batches
of eight as the engine makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtc_stt import demo_models
from rtc_stt.bench.clips import load as load_clips
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import WhisperEngine
from rtc_stt.engines.batching import LIKE_LENGTH, context_frames
from rtc_stt.engines.model import Model
from rtc_stt.engines.prompts import build_prompt
from rtc_stt.hypothesis import DecodeRequest, Hypothesis
from tools.decode_engine.engines import MODELS, ask, load, spread

__all__ = ["measure"]

RATIOS = (1.1, 1.25, 1.5, 2.0)
BATCH = 8


def measure(limit: int | None, done: Callable[[], object]) -> dict[str, Any]:
    """Texts that are the same, by model and by length handed over."""
    result: dict[str, Any] = {"like_length": LIKE_LENGTH}
    for demo in MODELS:
        engine = load(demo)
        requests = [ask(clip.audio(), stream=clip.id) for clip in load_clips(limit=limit)]
        alone = []
        for request in requests:
            alone.append(engine.decode(request))
            done()
        result[demo.name] = {
            "padded": {f"x{ratio}": _padded(demo, requests, alone, ratio) for ratio in RATIOS},
            f"batches_of_{BATCH}": _batched(engine, requests, alone),
        }
    return result


def _padded(
    demo: demo_models.DemoModel, requests: Sequence[DecodeRequest], alone: Sequence[Hypothesis], ratio: float
) -> dict[str, Any]:
    model = Model(demo.path, demo.name, device="cpu", compute_type="int8", cpu_threads=1)
    texts, scores = [], []
    for request, before in zip(requests, alone, strict=True):
        mel = model.features(request.audio)
        encoded = model.encode(
            [mel], context_frames(round(mel.shape[1] * ratio), ContextPolicy.TIGHT, model.n_mels)
        )
        tokenizer = model.tokenizers[before.language]
        [said] = model.generate(encoded, [0], [build_prompt(tokenizer, request)], 1, 60)
        tokens = said.sequences_ids[0]
        texts.append(tokenizer.decode(tokens).strip())
        scores.append(min(0.0, said.scores[0] * len(tokens) / (len(tokens) + 1)) if tokens else 0.0)
    return _same(texts, scores, alone)


def _batched(
    engine: WhisperEngine, requests: Sequence[DecodeRequest], alone: Sequence[Hypothesis]
) -> dict[str, Any]:
    texts, scores = [], []
    for first in range(0, len(requests), BATCH):
        for answer in engine.decode_batch(requests[first : first + BATCH]):
            assert isinstance(answer, Hypothesis)
            texts.append(answer.text)
            scores.append(answer.avg_logprob)
    return _same(texts, scores, alone)


def _same(texts: Sequence[str], scores: Sequence[float], alone: Sequence[Hypothesis]) -> dict[str, Any]:
    return {
        "clips": len(alone),
        "same_text": sum(text == before.text for text, before in zip(texts, alone, strict=True)),
        "avg_logprob_difference": spread(
            [abs(score - before.avg_logprob) for score, before in zip(scores, alone, strict=True)], 4
        ),
    }
