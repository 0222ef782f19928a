"""The demo models and requests as the measurements here use them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtc_stt import demo_models
from rtc_stt.audio import Samples
from rtc_stt.config import ContextPolicy
from rtc_stt.engines import WhisperEngine
from rtc_stt.hypothesis import DecodeRequest, Draft, Tier, Urgency

__all__ = ["MODELS", "ask", "load", "spread"]

MODELS = (demo_models.FAST, demo_models.ACCURATE)


def load(model: demo_models.DemoModel, path: Path | None = None) -> WhisperEngine:
    """The model, greedy, on one core; from another folder where one is given."""
    return WhisperEngine(
        path or model.path,
        name=model.name,
        device="cpu",
        compute_type="int8",
        context_policy=ContextPolicy(model.context_policy),
    )


def ask(
    audio: Samples, *, stream: str = "a", draft: Draft | None = None, word_timestamps: bool = False
) -> DecodeRequest:
    """A final of all of this audio, in a language to be detected."""
    return DecodeRequest(
        stream,
        1,
        1,
        Tier.ACCURATE,
        Urgency.FINAL,
        audio,
        0,
        draft=draft,
        word_timestamps=word_timestamps,
    )


def spread(values: list[float] | list[int], digits: int = 0) -> dict[str, float]:
    """Percentiles of what may be negative."""
    quantiles = np.quantile(values, [0.05, 0.5, 0.95]) if values else [0.0] * 3
    return {name: round(float(q), digits) for name, q in zip(("p5", "p50", "p95"), quantiles, strict=True)}
