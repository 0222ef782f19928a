"""What tests of the word error rates make: recordings and what was heard of them, without models."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rtc_stt.bench.wer.corpus import Recording
from rtc_stt.bench.wer.heard import Cost, Heard, Piece
from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Tier, Urgency
from rtc_stt.testing import hypothesis

SPEECH = SpeechEvidence(speech_ms=3_000, mean_probability=1.0)


def request(tier=Tier.FAST, language=None):
    return DecodeRequest("wer", 1, 1, tier, Urgency.RECORDING, np.zeros(0, np.float32), 0, language=language)


def piece(fast, accurate, confidence=0.95, *, fast_s=1.0, accurate_s=10.0, language=None, **figures):
    """A text of None is a tier that failed. CPU time is half of the wall's."""
    answers = []
    for tier, text in ((Tier.FAST, fast), (Tier.ACCURATE, accurate)):
        asked = request(tier, language)
        more = {"avg_logprob": math.log(confidence), **figures} if tier is Tier.FAST else {}
        answers.append(DecodeFailure(asked, "broken") if text is None else hypothesis(asked, text, **more))
    return Piece(SPEECH, *answers, Cost(fast_s, fast_s / 2), Cost(accurate_s, accurate_s / 2))


def heard(text, *pieces, name="a.wav", part="", audio_s=3_600.0):
    return Heard(Recording(name, Path(name), text, set=part), audio_s, pieces)
