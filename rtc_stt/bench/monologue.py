"""Speech without a pause for minutes: do partials keep up, and does a commit lose or double a word?

One model for partials and finals (the larger demo model), so that a difference between the live text and an
offline decode of the same windows can come from a commit alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from rtc_stt import demo_models
from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench import clips as recordings
from rtc_stt.bench.result import Mark, Outcome, percentiles
from rtc_stt.bench.voice import MakeSpeech, Voice, on_time, partial_lags_ms, silence
from rtc_stt.bench.words import edits
from rtc_stt.config import ContextPolicy, Endpointing
from rtc_stt.config_keys import keys
from rtc_stt.engines import WhisperEngine
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.instrument import Instrument

__all__ = ["Plan", "Windows", "lags", "run", "steps"]

TAIL_S = 1.5
"""Silence behind the speech: more than any hangover."""

LEAST_PART_S = 30.0
"""Seconds up to the first commit are cheaper than all that follow: a shorter part is no measure of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long is spoken, and how much of it counts as its beginning and its end."""

    seconds: float = 300.0
    part_s: float = 60.0
    clips: Path = recordings.CLIPS


@dataclass
class Windows(Instrument):
    """Notes which stretches of each utterance were decoded. Positions are samples of media time."""

    starts: dict[int, set[int]] = field(default_factory=dict)
    """By utterance: where decodes began. A commit moves it on."""
    finals: dict[int, DecodeRequest] = field(default_factory=dict)
    """By utterance: the newest request for a final."""
    longest_ms: int = 0
    failures: int = 0

    def decode_finished(self, answer: Hypothesis | DecodeFailure, infer_s: float) -> None:
        """See :class:`Instrument`."""
        request = answer.request
        self.failures += isinstance(answer, DecodeFailure)
        self.longest_ms = max(self.longest_ms, request.duration_ms)
        self.starts.setdefault(request.utterance_id, set()).add(request.audio_start)
        known = self.finals.get(request.utterance_id)
        if request.urgency is not Urgency.PARTIAL and (known is None or known.revision <= request.revision):
            self.finals[request.utterance_id] = request

    def of(self, utterance: int) -> list[tuple[int, int]]:
        """The windows that make its text: from one commit to the next, and from the last to the end."""
        final = self.finals.get(utterance)
        if final is None:
            return []
        starts = sorted(s for s in self.starts[utterance] if s <= final.audio_start)
        return list(zip(starts, [*starts[1:], final.audio_end], strict=True))


def steps(plan: Plan) -> int:
    """Seconds that it takes, about."""
    return round(plan.seconds)


def run(plan: Plan, make_speech: MakeSpeech, tick: Callable[[], object]) -> Outcome:
    """Speak, then decode the same windows again without any live path."""
    clips = recordings.load("clean", "digits", folder=plan.clips)
    audio, said = recordings.unbroken(clips, plan.seconds)
    windows = Windows()
    voice = asyncio.run(_speak(audio, plan, windows, make_speech, tick))
    spoken_ms = len(audio) * 1000 // SAMPLE_RATE
    lag = lags(partial_lags_ms(voice), round(plan.part_s * 1000), spoken_ms)
    changes = _against_offline(voice, windows, np.concatenate([audio, silence(TAIL_S)]))
    ratio = lag["last"]["mean"] / lag["first"]["mean"] if lag["last"] and lag["first"] else None
    figures = {
        "seconds": round(spoken_ms / 1000, 1),
        "partial_lag_ms": lag,
        "partials": voice.partials,
        "finals": len(voice.finals),
        "lost": voice.lost,
        "failed_decodes": windows.failures,
        "longest_decode_ms": windows.longest_ms,
        "commits": sum(len(windows.of(final.utterance_id)) - 1 for final in voice.finals),
        "live_against_offline": changes,
        "live_against_spoken": asdict(edits(said, " ".join(final.text for final in voice.finals))),
        "send_lag_ms": percentiles(voice.pacer.lags_ms),
    }
    lasting = Mark("partial_lag_ratio_end_to_begin", None if ratio is None else round(ratio, 3), 1.2)
    return Outcome(
        figures,
        (
            *([lasting] if plan.part_s >= LEAST_PART_S else []),
            Mark("words_lost_at_commits", changes["lost"], 0),
            Mark("words_doubled_at_commits", changes["added"], 0),
            Mark("utterances_lost", voice.lost, 0),
        ),
    )


def lags(partials: Iterable[tuple[int, float]], part_ms: int, whole_ms: int) -> dict[str, dict[str, float]]:
    """Mean and percentiles of the lag in the first and in the last ``part_ms``; empty where nothing came.

    Args:
        partials: of each, where its audio ends (ms of media time) and its lag in ms.
    """
    told = list(partials)
    parts = {
        "first": [lag for end, lag in told if end <= part_ms],
        "last": [lag for end, lag in told if whole_ms - part_ms < end],
    }
    return {
        name: {"mean": round(sum(values) / len(values), 1)} | percentiles(values) if values else {}
        for name, values in parts.items()
    }


async def _speak(
    audio: Samples,
    plan: Plan,
    windows: Windows,
    make_speech: MakeSpeech,
    tick: Callable[[], object],
) -> Voice:
    longest = keys(Endpointing)["max_utterance_s"].high
    model = demo_models.ACCURATE
    speech = make_speech(
        windows,
        {"CT2_SMALL_PATH": str(model.path), "CT2_MEDIUM_PATH": "", "MAX_UTTERANCE_S": str(longest)},
    )
    try:
        async with on_time(range(steps(plan)), tick):
            voice = Voice(speech)
            await voice.say(audio)
            await voice.say(silence(TAIL_S))
            await voice.leave()
    finally:
        await speech.aclose()
    return voice


def _against_offline(voice: Voice, windows: Windows, audio: Samples) -> dict[str, int]:
    """Word changes from the offline text of the windows to the live finals, all finals together."""
    model = demo_models.ACCURATE
    engine = WhisperEngine(
        model.path, device="cpu", compute_type="int8", context_policy=ContextPolicy(model.context_policy)
    )
    total = {"windows": 0, "lost": 0, "added": 0, "changed": 0, "words": 0}
    for final in voice.finals:
        spans = windows.of(final.utterance_id)
        total["windows"] += len(spans)
        changes = asdict(edits(_decode(engine, audio, spans), final.text))
        for name, count in changes.items():
            total[name] += count
    return total


def _decode(engine: WhisperEngine, audio: Samples, spans: Sequence[tuple[int, int]]) -> str:
    texts = []
    for number, (start, end) in enumerate(spans, 1):
        window = audio[start:end]
        request = DecodeRequest("offline", 1, number, Tier.FAST, Urgency.FINAL, window, start)
        texts.append(engine.decode(request).text)
    return " ".join(texts)
