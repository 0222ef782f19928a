"""A part of an utterance that is decoded by itself: the whole of it, or what lies between two commits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from rtc_stt.audio import Samples, samples_to_ms
from rtc_stt.finalizer import Finalizer, Kept, Verdict
from rtc_stt.hypothesis import DecodeFailure, Draft, Hypothesis, Tier, Urgency

__all__ = ["Attempt", "Segment"]

_NO_AUDIO: Samples = np.empty(0, np.float32)


@dataclass(slots=True)
class Attempt:
    """A final decode, speculative until the endpoint or the commit."""

    revision: int
    audio: Samples
    finalizer: Finalizer
    draft: Draft | None = None
    """For the fast tier: the last partial, if that heard all there is."""
    eager_told: bool = False
    asked: set[tuple[Tier, Urgency]] = field(default_factory=set)

    def wants(self, urgency: Urgency) -> Tier | None:
        """Which tier to ask now; None where nothing is awaited, or it was asked with this urgency already."""
        tier = self.finalizer.awaits
        if tier is None or (tier, urgency) in self.asked:
            return None
        self.asked.add((tier, urgency))
        return tier

    def draft_for(self, tier: Tier) -> Draft | None:
        """What the tier only needs to check."""
        return self.draft if tier is Tier.FAST else self.finalizer.draft


class Segment:
    """See above. Its audio begins at ``audio_start`` and ends where the next one's begins."""

    def __init__(self, audio_start: int) -> None:
        self.audio_start = audio_start
        self.last_partial: Hypothesis | None = None
        """The newest sound one; after a commit at first the words of it that belong here."""
        self.attempt: Attempt | None = None
        self.deadline: float | None = None
        """Until when the awaited tier is waited for; only past the endpoint."""
        self.verdict: Verdict | None = None
        self.shown = ""
        """Once it is committed: the text that partials show of it."""
        self.timings = (0, 0, 0)
        """As of :meth:`Finalizer.timings`, once there is a verdict."""

    @property
    def partial(self) -> Hypothesis | None:
        """The last partial, if its audio is of this segment."""
        partial = self.last_partial
        return partial if partial and partial.request.audio_start == self.audio_start else None

    def fallback(self, *, words: bool) -> Hypothesis | None:
        """What may stand in for a final; with the times of ``words`` only where the session wants them."""
        if self.last_partial is None or words:
            return self.last_partial
        return replace(self.last_partial, words=())

    @property
    def text(self) -> str:
        """What was said in it, as well as that is known by now."""
        if self.verdict:
            return self.verdict.hypothesis.text.strip() if isinstance(self.verdict, Kept) else ""
        heard = self.attempt.finalizer.eager_text if self.attempt else None
        return (self.shown if heard is None else heard).strip()

    def settle(self) -> None:
        """Make the attempt's verdict that of the segment, and let the audio go: a monologue is long."""
        verdict = self.attempt.finalizer.verdict if self.attempt else None
        if self.attempt is None or verdict is None or self.verdict:
            return
        if isinstance(verdict, Kept):
            said = verdict.hypothesis
            light = replace(said, request=replace(said.request, audio=_NO_AUDIO, draft=None))
            verdict = replace(verdict, hypothesis=light)
        self.verdict, self.timings = verdict, self.attempt.finalizer.timings()
        self.attempt = self.last_partial = self.deadline = None

    def divide(self, position: int, before: str, after: str) -> tuple[Hypothesis | None, Hypothesis | None]:
        """The last partial as two: the words that are committed at ``position``, and the others.

        They stand in where no tier can decode the audio, which is better than to lose them.
        """
        partial = self.last_partial
        if partial is None:
            return None, None
        at_ms = samples_to_ms(position)
        share = len(before) / max(1, len(before) + len(after))
        first = replace(
            partial,
            text=before.strip(),
            tokens=round(partial.tokens * share),
            words=tuple(word for word in partial.words if word.start_ms < at_ms),
        )
        rest = replace(
            partial,
            text=after.strip(),
            tokens=round(partial.tokens * (1 - share)),
            words=tuple(word for word in partial.words if word.start_ms >= at_ms),
        )
        return first if first.text else None, rest if rest.text else None

    def answers(self, answer: Hypothesis | DecodeFailure) -> bool:
        """Whether an answer is to this segment's attempt."""
        return self.attempt is not None and self.attempt.revision == answer.request.revision
