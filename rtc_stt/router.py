"""Is the fast hypothesis good enough, or should the accurate tier decode again?"""

from __future__ import annotations

from rtc_stt.config import Routing
from rtc_stt.events import Reason
from rtc_stt.hypothesis import Hypothesis
from rtc_stt.stabilizer import split_words

__all__ = ["reasons_to_redecode"]


def reasons_to_redecode(hypothesis: Hypothesis, routing: Routing) -> tuple[Reason, ...]:
    """Why the fast hypothesis is doubted; empty where it stands.

    The language is only doubted where it was detected: a forced one has no probability to speak of.
    """
    reasons = []
    if hypothesis.confidence < routing.logprob_threshold:
        reasons.append(Reason.LOW_LOGPROB)
    if not hypothesis.language_was_forced and hypothesis.language_probability < routing.langprob_threshold:
        reasons.append(Reason.LOW_LANGUAGE_PROBABILITY)
    if len(split_words(hypothesis.text)) < routing.min_words:
        reasons.append(Reason.FEW_WORDS)
    return tuple(reasons)
