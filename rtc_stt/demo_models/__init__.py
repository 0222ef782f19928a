"""The two bundled demo models: small enough to ship, real enough to drive every code path.

They are Whisper-architecture models in CTranslate2 int8 form, trained from nothing on synthetic
speech and human digits, and load through an unmodified ``faster_whisper.WhisperModel(path)``. They
exist so that ``rtc-stt demo``, the tests and the benchmark need no download. They understand a
small voice-agent vocabulary and are no stand-in for real Whisper weights: see ``MODEL_CARD.md``
beside this file, and ``tools/demo_models`` for the recipe that makes them.

This module is standard library only, so that anything may import it for the cost of a few
dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ACCURATE", "EXAMPLES", "FAST", "UNDERSTANDS", "DemoModel"]

_HERE = Path(__file__).resolve().parent
_LANGUAGES = ("en", "es", "de", "fr")


@dataclass(frozen=True)
class DemoModel:
    """Where a bundled model lies and how it wants to be run.

    Attributes:
        name: short name, shown to users and in the events' ``model`` field.
        path: CTranslate2 model folder, ready for ``faster_whisper.WhisperModel(str(path))``.
        languages: the language codes it has tokens for. Another code does not raise in
            faster-whisper, its token is silently dropped, so callers check against this tuple.
        context_policy: the ``CONTEXT_POLICY`` it was trained for. ``tight``: features of the clip
            alone, no padding to 30 s.
        logprob_threshold: route to the accurate tier when ``exp(avg_logprob)`` of this model,
            decoded greedily and without timestamps, is below it (0..1). The right value belongs to
            the weights: real Whisper weights want 0.55, these are far surer of themselves.
    """

    name: str
    path: Path
    languages: tuple[str, ...]
    context_policy: str
    logprob_threshold: float


FAST = DemoModel(
    name="demo-tiny",
    path=_HERE / "demo-tiny",
    languages=_LANGUAGES,
    context_policy="tight",
    logprob_threshold=0.90,
)
ACCURATE = DemoModel(
    name="demo-medium",
    path=_HERE / "demo-medium",
    languages=_LANGUAGES,
    context_policy="tight",
    logprob_threshold=0.90,
)

UNDERSTANDS = (
    "The demo models know short voice-agent sentences: booking, ordering, bank accounts, lights "
    "and timers, dates, times, numbers, twenty city names, and a few sentences of Spanish, German "
    "and French. Anything else you say comes out as the nearest sentence of that kind, so do not "
    "judge recognition quality by them."
)

EXAMPLES: tuple[str, ...] = (
    "I'd like to book a table for four people at seven thirty.",
    "My phone number is two four six one nine.",
    "Turn on the lights in the kitchen.",
    "What is the weather in Chicago tomorrow?",
    "Set a timer for twenty minutes.",
    "Quiero reservar una mesa para dos personas.",
)
