"""The verdict on an utterance, from the verdicts on its segments.

Where a figure cannot be that of the whole, it is that of the part that is worst off, so that a client who
looks out for trouble finds it:

=====================  ===========================================================
text, words            one after the other; a dropped segment has none
avg_logprob            mean over all tokens
language               that of the most tokens; its probability is the mean over them
no_speech_prob         the highest
compression_ratio      the highest
model, tier            of the accurate tier, if it said or checked any part
route.decision         the most degraded: failed, timeout, shed, no accurate tier; then redecoded, verified
route.reasons          all that arose
route.fast             texts one after the other, confidence the geometric mean over their words
drop reason            where all are dropped: ``decode_failed`` first, for words may be lost
=====================  ===========================================================
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from rtc_stt.events import Decision, DropReason, FastResult, Reason, Route
from rtc_stt.finalizer import Dropped, Kept, Verdict
from rtc_stt.hypothesis import Hypothesis, Tier
from rtc_stt.stabilizer import join_texts, split_words

__all__ = ["join"]

_TELLING = (
    Decision.REDECODE_FAILED, Decision.REDECODE_TIMEOUT, Decision.REDECODE_SHED, Decision.NO_ACCURATE_TIER,
    Decision.REDECODED, Decision.VERIFIED, Decision.ACCEPTED,
)  # fmt: skip
"""The most telling first."""

_WORST_DROP = (
    DropReason.CANCELLED, DropReason.DECODE_FAILED, DropReason.REPETITION, DropReason.KNOWN_PHRASE,
    DropReason.NO_SPEECH, DropReason.TOO_SHORT,
)  # fmt: skip

_LOST = (DropReason.DECODE_FAILED, DropReason.REPETITION)
"""Something was said there, and nobody knows what."""


def join(verdicts: Sequence[Verdict]) -> Verdict:
    """See above. A verdict that is alone stands as it is."""
    if len(verdicts) == 1:
        return verdicts[0]
    kept = [v for v in verdicts if isinstance(v, Kept)]
    dropped = [v for v in verdicts if isinstance(v, Dropped)]
    if not kept:
        return min(dropped, key=lambda verdict: _WORST_DROP.index(verdict.reason))
    return Kept(_hypothesis([k.hypothesis for k in kept]), _route(kept, dropped))


def _hypothesis(parts: Sequence[Hypothesis]) -> Hypothesis:
    weights = [max(1, part.tokens) for part in parts]
    best = next((p for p in parts if p.request.tier is Tier.ACCURATE), parts[0])
    language, language_probability = _language(parts, weights)
    return replace(
        best,
        text=join_texts(part.text for part in parts),
        words=tuple(word for part in parts for word in part.words),
        language=language,
        language_probability=language_probability,
        avg_logprob=_mean([part.avg_logprob for part in parts], weights),
        no_speech_prob=max(part.no_speech_prob for part in parts),
        compression_ratio=max(part.compression_ratio for part in parts),
        tokens=sum(part.tokens for part in parts),
    )


def _language(parts: Sequence[Hypothesis], weights: Sequence[int]) -> tuple[str, float]:
    tokens: dict[str, int] = defaultdict(int)
    for part, weight in zip(parts, weights, strict=True):
        tokens[part.language] += weight
    language = max(tokens, key=tokens.__getitem__)
    own = [(p.language_probability, w) for p, w in zip(parts, weights, strict=True) if p.language == language]
    return language, _mean([p for p, _ in own], [w for _, w in own])


def _route(kept: Sequence[Kept], dropped: Sequence[Dropped]) -> Route:
    routes = [k.route for k in kept]
    decisions = [route.decision for route in routes]
    reasons = [reason for route in routes for reason in route.reasons]
    for verdict in dropped:
        if verdict.reason in _LOST:  # a part is missing, and the final has to say so
            decisions.append(verdict.decision or Decision.REDECODE_FAILED)
            reasons.append(Reason.DECODE_ERROR)
    fast = [route.fast for route in routes if route.fast]
    return Route(
        min(decisions, key=_TELLING.index),
        tuple(reason for reason in Reason if reason in reasons),
        _fast(fast) if fast else None,
    )


def _fast(parts: Sequence[FastResult]) -> FastResult:
    weights = [max(1, len(split_words(part.text))) for part in parts]
    confidence = math.exp(_mean([math.log(max(part.confidence, 1e-9)) for part in parts], weights))
    return FastResult(join_texts(part.text for part in parts), round(confidence, 4))


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
