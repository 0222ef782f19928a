"""From one utterance to its verdict: guard, route, decode again, and what to do when a tier fails.

::

    fast answer            accurate tier   next
    ─────────────────────  ──────────────  ──────────────────────────────────────────────
    sound, trusted         any             final ``accepted``
    sound, doubted         there           ask it
    sound, doubted         none            final ``no_accurate_tier``
    sound, doubted         shed            final ``redecode_shed``
    nothing heard          there           drop ``no_speech`` if the model is sure, else ask it
    nothing heard          none            drop ``no_speech``
    known phrase           any             drop ``known_phrase``
    loop, failure, none    there           ask it, reason ``decode_error``
    loop                   none            drop ``repetition``
    failure, none          none            final from the last partial, else drop ``decode_failed``

    accurate answer        next
    ─────────────────────  ──────────────────────────────────────────────────────────────
    sound                  final ``redecoded``
    the draft, verified    final ``verified``: the fast text, and the better ear's opinion of it
    nothing, known phrase  drop, with that reason: the better ear has the last word
    loop, failure          what the fast tier gave stands, ``redecode_failed``
    not tried: no capacity what the fast tier gave stands, ``redecode_shed``
    none in time           what the fast tier gave stands, ``redecode_timeout``

The fast tier is never held up by the accurate one: it has answered before the other is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rtc_stt import guard
from rtc_stt.config import RedecodeMode, Routing
from rtc_stt.endpointer import SpeechEvidence
from rtc_stt.events import Decision, DropReason, FastResult, Reason, Route
from rtc_stt.hypothesis import DecodeFailure, Draft, Hypothesis, Tier
from rtc_stt.router import reasons_to_redecode

__all__ = ["Dropped", "Finalizer", "Kept", "Verdict"]


@dataclass(frozen=True, slots=True)
class Kept:
    """The utterance gets this final."""

    hypothesis: Hypothesis
    route: Route


@dataclass(frozen=True, slots=True)
class Dropped:
    """The utterance gets none."""

    reason: DropReason
    decision: Decision | None = None
    """What would have been told of the route, where a text was wanted and there was none."""


Verdict = Kept | Dropped


class Finalizer:
    """The table above, for one attempt at one utterance."""

    def __init__(
        self,
        evidence: SpeechEvidence,
        routing: Routing,
        *,
        has_accurate_tier: bool,
        last_partial: Hypothesis | None = None,
    ) -> None:
        self._evidence = evidence
        self._routing = routing
        self._has_accurate = has_accurate_tier
        self._fallback = last_partial  # stands in where the fast tier fails; it is degraded and says so
        self._heard: Hypothesis | None = None  # what the fast tier gave, if it is fit to be a final
        self._otherwise = DropReason.DECODE_FAILED  # the verdict where nothing is fit
        self._reasons: tuple[Reason, ...] = ()
        self._answers: dict[Tier, Hypothesis] = {}
        self._may_redecode = True
        self.verdict: Verdict | None = None
        """None while an answer is awaited."""
        self.awaits: Tier | None = Tier.FAST
        """Whose answer is awaited."""

    @property
    def eager_text(self) -> str | None:
        """What the final will most likely say, as soon as the fast tier has spoken."""
        return self._heard.text if self._heard and not isinstance(self.verdict, Dropped) else None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the fast answer is doubted, if it is."""
        return self._reasons

    @property
    def draft(self) -> Draft | None:
        """What the accurate tier only needs to check; a text that failed is no draft."""
        if self._routing.redecode_mode is not RedecodeMode.VERIFY or self.awaits is not Tier.ACCURATE:
            return None
        if self._heard is None or Reason.DECODE_ERROR in self._reasons:
            return None
        return Draft(self._heard.text, self._heard.language, self._heard.language_probability)

    def receive(self, answer: Hypothesis | DecodeFailure, *, may_redecode: bool = True) -> None:
        """Take the answer of a tier; one that is not awaited any more changes nothing.

        ``may_redecode``: whether there is capacity for the accurate tier, should it be wanted now.
        """
        self._may_redecode = may_redecode
        tier = answer.request.tier
        if self.verdict is not None or tier is not self.awaits:
            return
        if isinstance(answer, Hypothesis):
            self._answers[tier] = answer
        if tier is Tier.FAST:
            self._receive_fast(answer)
        else:
            self._receive_accurate(answer)

    def give_up(self, *, may_redecode: bool = True) -> None:
        """The awaited tier is too late; ``may_redecode`` as in :meth:`receive`."""
        self._may_redecode = may_redecode
        if self.verdict is not None:
            return
        if self.awaits is Tier.FAST:
            self._fast_failed()
        else:
            self._settle(Decision.REDECODE_TIMEOUT)

    def timings(self) -> tuple[int, int, int]:
        """``(queue_ms, fast_infer_ms, accurate_infer_ms)`` of the answers received."""
        fast, accurate = self._answers.get(Tier.FAST), self._answers.get(Tier.ACCURATE)
        return (
            sum(answer.queue_ms for answer in self._answers.values()),
            fast.infer_ms if fast else 0,
            accurate.infer_ms if accurate else 0,
        )

    def _receive_fast(self, answer: Hypothesis | DecodeFailure) -> None:
        if isinstance(answer, DecodeFailure):
            self._fast_failed()
            return
        doubt = guard.doubt(answer, self._evidence)
        if doubt is None:
            self._heard = answer
            self._reasons = reasons_to_redecode(answer, self._routing)
            if self._reasons:
                self._ask_accurate()
            else:
                self._settle(Decision.ACCEPTED)
        elif doubt is DropReason.REPETITION:
            self._otherwise = doubt
            self._reasons = (Reason.DECODE_ERROR,)
            self._ask_accurate()
        elif doubt is DropReason.NO_SPEECH and answer.no_speech_prob <= guard.NO_SPEECH_PROB:
            # The detector heard speech and the model is not sure there was none: a second opinion.
            self._otherwise = doubt
            self._reasons = reasons_to_redecode(answer, self._routing) or (Reason.FEW_WORDS,)
            self._ask_accurate()
        else:
            self._drop(doubt)

    def _fast_failed(self) -> None:
        if self._fallback and guard.doubt(self._fallback, self._evidence) is None:
            self._heard = self._fallback
        self._reasons = (Reason.DECODE_ERROR,)
        self._ask_accurate()

    def _receive_accurate(self, answer: Hypothesis | DecodeFailure) -> None:
        doubt = guard.doubt(answer, self._evidence) if isinstance(answer, Hypothesis) else None
        if isinstance(answer, DecodeFailure) and answer.shed:
            self._settle(Decision.REDECODE_SHED)
        elif isinstance(answer, DecodeFailure) or doubt is DropReason.REPETITION:
            self._settle(Decision.REDECODE_FAILED)
        elif doubt is not None:
            self._drop(doubt)
        elif answer.verified and self._heard:
            words = answer.words or self._heard.words
            self._keep(replace(answer, text=self._heard.text, words=words), Decision.VERIFIED)
        else:
            self._keep(answer, Decision.REDECODED)

    def _ask_accurate(self) -> None:
        if not self._has_accurate:
            self._settle(Decision.NO_ACCURATE_TIER)
        elif not self._may_redecode:
            self._settle(Decision.REDECODE_SHED)
        else:
            self.awaits = Tier.ACCURATE

    def _settle(self, decision: Decision) -> None:
        """End with what the fast tier gave, if it gave anything fit."""
        if self._heard:
            self._keep(self._heard, decision)
        else:
            self._drop(self._otherwise, decision)

    def _keep(self, hypothesis: Hypothesis, decision: Decision) -> None:
        self.awaits = None
        fast = self._answers.get(Tier.FAST)
        said = FastResult(fast.text, round(math.exp(min(0.0, fast.avg_logprob)), 4)) if fast else None
        self.verdict = Kept(hypothesis, Route(decision, self._reasons, said))

    def _drop(self, reason: DropReason, decision: Decision | None = None) -> None:
        self.awaits = None
        self.verdict = Dropped(reason, decision)
