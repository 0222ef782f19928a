"""One stretch of speech, from its start until its final or drop has been told.

Owns what is known of it: its place on the media timeline, its partials, and its attempt at a final. The
recognizer decides when something happens; the utterance knows what it means.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtc_stt import guard
from rtc_stt.audio import Samples, ms_to_samples, samples_to_ms
from rtc_stt.config import StreamOptions
from rtc_stt.endpointer import Stopped
from rtc_stt.events import Event, Timing, TranscriptFinal, TranscriptPartial, UtteranceDropped
from rtc_stt.finalizer import Dropped, Finalizer, Kept, Verdict
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.stabilizer import Stabilizer

__all__ = ["Attempt", "Utterance"]

FIRST_PARTIAL_MS = 160
"""Speech heard before the first partial is asked for: the shortest words are about so long."""

EAGER_PARTIAL_INTERVAL_MS = 96
"""Between partials while nothing is shown yet. Such decodes are short and few, and the first word is what a
listener waits for."""

LANGUAGE_IS_KNOWN_MS = 1_500
"""From this much audio on, a language detected with confidence serves the later partials of the utterance,
so that they do not waver. The final always detects anew."""

LANGUAGE_IS_KNOWN_PROBABILITY = 0.8


@dataclass(slots=True)
class Attempt:
    """A final decode, speculative until the endpoint."""

    revision: int
    audio: Samples
    finalizer: Finalizer
    eager_told: bool = False
    asked: set[tuple[Tier, Urgency]] = field(default_factory=set)


@dataclass(slots=True)
class Endpoint:
    """Where and when the utterance was found to be over."""

    position: int
    speech_end: int
    now: float


class Utterance:
    """See above. Positions are samples of media time."""

    def __init__(self, stream_id: str, number: int, speech_start: int, audio_start: int) -> None:
        self.id = number
        self.speech_start = speech_start
        self.audio_start = audio_start
        """``speech_start`` less the pre-roll."""
        self.attempt: Attempt | None = None
        self.endpoint: Endpoint | None = None
        self.verdict: Verdict | None = None
        """What is to be told; only past the endpoint."""
        self.deadline: float | None = None
        """Until when the awaited tier is waited for."""
        self.finalize_ids: list[str] = []
        """Finalize commands that this utterance's end answers."""
        self.last_partial: Hypothesis | None = None
        self._stream_id = stream_id
        self._revision = 0
        self._next_partial_at = speech_start + ms_to_samples(FIRST_PARTIAL_MS)
        self._stabilizer = Stabilizer()
        self._shown: tuple[str, int] | None = None
        self._language: str | None = None  # of the partials, once known

    # ── Partials ────────────────────────────────────────────────────────────

    def partial_is_due(self, position: int) -> bool:
        """Whether the next partial should be asked for."""
        return position >= self._next_partial_at

    def ask_for_partial(self, audio: Samples, options: StreamOptions, stretch: float) -> DecodeRequest:
        """The request for the next partial, over all of the utterance so far.

        ``stretch``: factor on the time until the one after it.
        """
        interval_ms = options.partial_interval_ms
        if self._shown is None:
            interval_ms = min(interval_ms, EAGER_PARTIAL_INTERVAL_MS)
        self._next_partial_at = self.audio_start + len(audio) + ms_to_samples(interval_ms * stretch)
        self._revision += 1
        return self._request(audio, self._revision, Tier.FAST, Urgency.PARTIAL, options)

    def receive_partial(self, answer: Hypothesis | DecodeFailure, at_ms: int) -> TranscriptPartial | None:
        """What to show for it; None where it is stale, doubtful or changes nothing."""
        if isinstance(answer, DecodeFailure) or guard.is_suspicious(answer):
            return None  # the next partial, or the final, will do better
        revision = answer.request.revision
        if self.last_partial and self.last_partial.request.revision >= revision:
            return None
        self.last_partial = answer
        is_over = self.endpoint is not None or (self.attempt and self.attempt.eager_told)
        if is_over or not answer.text.strip():
            return None
        if (
            answer.request.duration_ms >= LANGUAGE_IS_KNOWN_MS
            and answer.language_probability >= LANGUAGE_IS_KNOWN_PROBABILITY
        ):
            self._language = answer.language
        stable = self._stabilizer.update(answer.text)
        if not stable.text or self._shown == (stable.text, stable.stable_chars):
            return None
        self._shown = (stable.text, stable.stable_chars)
        return TranscriptPartial(
            at_ms=at_ms,
            utterance_id=self.id,
            revision=revision,
            text=stable.text,
            stable_chars=stable.stable_chars,
            audio_end_ms=samples_to_ms(answer.request.audio_end),
            language=answer.language,
        )

    # ── The final ────────────────────────────────────────────────────────────

    def attempt_final(self, audio: Samples, finalizer: Finalizer) -> None:
        """Begin a final over ``audio``, which no later change of the stream can touch."""
        self._revision += 1
        self.attempt = Attempt(self._revision, audio, finalizer)

    def ask_for_final(self, options: StreamOptions) -> DecodeRequest | None:
        """The request that the attempt needs now; None where it is made already, or nothing is awaited.

        Past the endpoint a request made in the hangover is made again with more urgency.
        """
        assert self.attempt
        tier = self.attempt.finalizer.awaits
        urgency = Urgency.EAGER if self.endpoint is None else Urgency.FINAL
        if tier is None or (tier, urgency) in self.attempt.asked:
            return None
        self.attempt.asked.add((tier, urgency))
        return self._request(self.attempt.audio, self.attempt.revision, tier, urgency, options)

    def stop(self, stopped: Stopped, now: float) -> None:
        """Note the endpoint."""
        self.endpoint = Endpoint(stopped.audio_end, stopped.speech_end, now)

    def conclusion(self, at_ms: int, now: float) -> Event:
        """The one event that ends this utterance."""
        if isinstance(self.verdict, Kept):
            return self._final(self.verdict, at_ms, now)
        assert isinstance(self.verdict, Dropped)
        return UtteranceDropped(at_ms=at_ms, utterance_id=self.id, reason=self.verdict.reason)

    def _final(self, kept: Kept, at_ms: int, now: float) -> TranscriptFinal:
        assert self.attempt
        assert self.endpoint
        hypothesis = kept.hypothesis
        queue_ms, fast_ms, accurate_ms = self.attempt.finalizer.timings()
        return TranscriptFinal(
            at_ms=at_ms,
            utterance_id=self.id,
            text=hypothesis.text.strip(),
            words=hypothesis.words,
            language=hypothesis.language,
            language_probability=round(hypothesis.language_probability, 4),
            confidence=round(hypothesis.confidence, 4),
            avg_logprob=round(hypothesis.avg_logprob, 4),
            no_speech_prob=round(hypothesis.no_speech_prob, 4),
            compression_ratio=round(hypothesis.compression_ratio, 3),
            model=hypothesis.model,
            tier=hypothesis.request.tier,
            route=kept.route,
            audio_start_ms=samples_to_ms(self.speech_start),
            audio_end_ms=samples_to_ms(self.endpoint.speech_end),
            timing=Timing(
                hangover_ms=samples_to_ms(self.endpoint.position - self.endpoint.speech_end),
                queue_ms=queue_ms,
                fast_infer_ms=fast_ms,
                accurate_infer_ms=accurate_ms,
                endpoint_to_final_ms=round((now - self.endpoint.now) * 1000),
            ),
        )

    def _request(
        self, audio: Samples, revision: int, tier: Tier, urgency: Urgency, options: StreamOptions
    ) -> DecodeRequest:
        is_partial = urgency is Urgency.PARTIAL
        return DecodeRequest(
            stream_id=self._stream_id,
            utterance_id=self.id,
            revision=revision,
            tier=tier,
            urgency=urgency,
            audio=audio,
            audio_start=self.audio_start,
            language=options.language or (self._language if is_partial else None),
            prompt=options.prompt,
            hotwords=options.hotwords,
            word_timestamps=options.word_timestamps and not is_partial,
        )
