"""The measurements: each takes turns that were spoken and gives a JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rtc_stt import demo_models
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.pacing import MAX_SEND_LAG_MS
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.words import word_error_rate, word_errors
from rtc_stt.config import ContextPolicy, Routing
from rtc_stt.engines import WhisperEngine
from rtc_stt.events import Decision, SpeechStopped, TranscriptFinal, TranscriptPartial
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.router import reasons_to_redecode
from tools.live_line.speak import Turn

__all__ = ["accuracy", "engine", "latency", "offline", "routing"]


def latency(turns: Sequence[Turn]) -> dict[str, object]:
    """Times in ms, against the known times of speech.

    TTFS: true end of speech to receipt of the last final. Its parts: the hangover (to the endpoint), and
    endpoint to final. TTFP: true start of speech to receipt of the first partial whose first word is right.
    """
    whole = [turn for turn in turns if turn.finals]
    last_final = [turn.of(TranscriptFinal)[-1] for turn in whole]
    last_stop = [turn.of(SpeechStopped)[-1] for turn in whole]
    lag = percentiles(ms for turn in turns for ms in turn.send_lag_ms)
    return {
        "turns": len(turns),
        "turns_without_final": len(turns) - len(whole),
        "turns_with_several_finals": sum(len(turn.finals) > 1 for turn in turns),
        "void": lag["p99"] > MAX_SEND_LAG_MS,
        "send_lag_ms": lag,
        "endpoint_to_final_ms": {
            "client": percentiles((f.at - s.at) * 1000 for f, s in zip(last_final, last_stop, strict=True)),
            "server": percentiles(turn.finals[-1].timing.endpoint_to_final_ms for turn in whole),
        },
        "ttfs_ms": percentiles((f.at - t.t_off) * 1000 for f, t in zip(last_final, whole, strict=True)),
        "ttfs_less_hangover_ms": percentiles(
            (f.at - t.t_off) * 1000 - t.finals[-1].timing.hangover_ms
            for f, t in zip(last_final, whole, strict=True)
        ),
        "end_of_utterance_ms": percentiles(
            (s.at - t.t_off) * 1000 for s, t in zip(last_stop, whole, strict=True)
        ),
        "ttfp_ms": percentiles(
            (first.at - turn.t_on) * 1000 for turn in turns if (first := turn.first_right_partial)
        ),
        "turns_without_right_partial": sum(turn.first_right_partial is None for turn in turns),
        "stability": stability(turns),
        "by_decision": dict(Counter(str(f.route.decision) for turn in turns for f in turn.finals)),
    }


def stability(turns: Sequence[Turn]) -> dict[str, float]:
    """How steady the partials were.

    Normalized erasure: words taken back over words of the finals. Retractions: partials that changed text
    which an earlier partial of the utterance had declared stable; there must be none.
    """
    erased = words = retracted = 0
    for turn in turns:
        words += sum(len(final.text.split()) for final in turn.finals)
        shown: dict[int, TranscriptPartial] = {}
        for received in turn.received:
            event = received.event
            if isinstance(event, TranscriptPartial):
                if before := shown.get(event.utterance_id):
                    erased += _erased(before.text, event.text)
                    retracted += not event.text.startswith(before.text[: before.stable_chars])
                shown[event.utterance_id] = event
            elif isinstance(event, TranscriptFinal) and (before := shown.get(event.utterance_id)):
                erased += _erased(before.text, event.text)
    return {
        "normalized_erasure": round(erased / max(1, words), 3),
        "stable_text_retracted": retracted,
    }


def _erased(before: str, after: str) -> int:
    old, new = before.split(), after.split()
    common = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    return len(old) - common


def offline(clips: Sequence[Clip], routing_: Routing) -> dict[str, tuple[str, str]]:
    """What the models say to whole clips without any live path: fast text and routed text by clip id."""
    fast, accurate = engine(demo_models.FAST, beam_size=1), engine(demo_models.ACCURATE, beam_size=5)
    texts = {}
    for clip in clips:
        audio = clip.audio()
        first = _decode(fast, audio, Tier.FAST)
        routed = _decode(accurate, audio, Tier.ACCURATE) if reasons_to_redecode(first, routing_) else first
        texts[clip.id] = (first.text, routed.text)
    return texts


def engine(model: demo_models.DemoModel, beam_size: int) -> WhisperEngine:
    """A demo model as the demo loads it."""
    return WhisperEngine(
        model.path,
        device="cpu",
        compute_type="int8",
        beam_size=beam_size,
        context_policy=ContextPolicy(model.context_policy),
    )


def _decode(engine: WhisperEngine, audio: np.ndarray, tier: Tier) -> Hypothesis:
    return engine.decode(DecodeRequest("offline", 1, 1, tier, Urgency.FINAL, audio, 0))


def accuracy(turns: Sequence[Turn], decoded: dict[str, tuple[str, str]]) -> dict[str, object]:
    """Word error rates in percent, live against offline, on the same clips and with the same routing."""

    def rates(chosen: Sequence[Turn]) -> dict[str, float]:
        live = word_error_rate((t.clip.text, t.text) for t in chosen)
        whole = word_error_rate((t.clip.text, decoded[t.clip.id][1]) for t in chosen)
        return {
            "clips": len(chosen),
            "offline": round(100 * whole, 2),
            "live": round(100 * live, 2),
            "live_less_offline": round(100 * (live - whole), 2),
        }

    sets = sorted({turn.clip.set for turn in turns})
    table: dict[str, object] = {name: rates([t for t in turns if t.clip.set == name]) for name in sets}
    return table | {"all": rates(turns)}


def routing(turns: Sequence[Turn]) -> dict[str, object]:
    """What re-decoding does: word error rate of the fast tier alone, and of what was sent, by decision."""
    single = [turn for turn in turns if len(turn.finals) == 1]
    rows: dict[str, list[Turn]] = {}
    for turn in single:
        rows.setdefault(turn.finals[0].route.decision, []).append(turn)
    table: dict[str, object] = {
        str(decision): _before_and_after(rows[decision]) for decision in Decision if decision in rows
    }
    return table | {"all": _before_and_after(single)}


def _before_and_after(turns: Sequence[Turn]) -> dict[str, float]:
    better = worse = 0
    for turn in turns:
        fast, _ = word_errors(turn.clip.text, turn.fast_text)
        final, _ = word_errors(turn.clip.text, turn.text)
        better, worse = better + (final < fast), worse + (final > fast)
    return {
        "utterances": len(turns),
        "wer_fast_alone": round(100 * word_error_rate((t.clip.text, t.fast_text) for t in turns), 2),
        "wer_sent": round(100 * word_error_rate((t.clip.text, t.text) for t in turns), 2),
        "better": better,
        "worse": worse,
    }
