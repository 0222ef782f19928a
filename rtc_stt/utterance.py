"""One stretch of speech, from its start until its final or drop has been told.

Owns what is known of it: its place on the media timeline, its partials, and its segments, each with an
attempt at a final of its own. Most utterances are one segment; a long one is committed piece by piece. The
recognizer decides when something happens; the utterance knows what it means.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtc_stt import guard
from rtc_stt.audio import Samples, ms_to_samples, samples_to_ms
from rtc_stt.commit import Commit, Lengths, at_any_price, between_words
from rtc_stt.config import StreamOptions
from rtc_stt.endpointer import Endpointer, Stopped
from rtc_stt.events import (
    DropReason,
    Event,
    SessionWarning,
    Timing,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.finalizer import Dropped, Finalizer, Kept, Verdict
from rtc_stt.gaps import Gap
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Draft, Hypothesis, Tier, Urgency
from rtc_stt.join import join
from rtc_stt.segment import Attempt, Segment
from rtc_stt.stabilizer import Stabilizer, join_texts

__all__ = ["Utterance"]

FIRST_PARTIAL_MS = 160
"""Speech heard before the first partial is asked for: the shortest words are about so long."""

EAGER_PARTIAL_INTERVAL_MS = 96
"""Between partials while nothing is shown yet. Such decodes are short and few, and the first word is what a
listener waits for."""

LANGUAGE_IS_KNOWN_MS = 1_500
"""From this much audio on, a language detected with confidence serves the later partials of the utterance,
so that they do not waver. The final always detects anew."""

LANGUAGE_IS_KNOWN_PROBABILITY = 0.8


LEAST_HEARD_MS = 100
"""Of the speaker. Where a line dies in a word and lives again later, the codec makes up how the word went on;
that alone is no utterance."""

CONTEXT_CHARS = 1_000
"""Of what was said before, more than this is not carried: a model takes 224 tokens at most."""


@dataclass(slots=True)
class Endpoint:
    """Where and when the utterance was found to be over."""

    position: int
    speech_end: int
    gap: Gap
    now: float


class Utterance:
    """See above. Positions are samples of media time."""

    def __init__(self, stream_id: str, number: int, speech_start: int, audio_start: int) -> None:
        self.id = number
        self.speech_start = speech_start
        self.segments = [Segment(audio_start)]
        """In the order of speech; all but the last are committed. The first begins a pre-roll before it."""
        self.endpoint: Endpoint | None = None
        self.verdict: Verdict | None = None
        """What is to be told; only past the endpoint."""
        self.finalize_ids: list[str] = []
        """Finalize commands that this utterance's end answers."""
        self._stream_id = stream_id
        self._revision = 0
        self._next_partial_at = speech_start + ms_to_samples(FIRST_PARTIAL_MS)
        self._stabilizer = Stabilizer()
        self._shown: tuple[str, int] | None = None
        self._heard_revision = 0  # of the newest partial taken
        self._language: str | None = None  # of the partials, once known
        self._language_probability = 1.0  # as it was detected

    @property
    def audio_start(self) -> int:
        """Where its audio begins: a pre-roll before the speech."""
        return self.segments[0].audio_start

    @property
    def open(self) -> Segment:
        """The segment that audio is added to."""
        return self.segments[-1]

    @property
    def unsettled(self) -> list[Segment]:
        """Those whose verdict is not known."""
        return [segment for segment in self.segments if segment.verdict is None]

    @property
    def deadline(self) -> float | None:
        """Until when the answers that are missing are waited for."""
        if self.verdict:
            return None
        return min((s.deadline for s in self.unsettled if s.deadline is not None), default=None)

    # ── Partials ────────────────────────────────────────────────────────────

    def partial_is_due(self, position: int) -> bool:
        """Whether the next partial should be asked for."""
        return position >= self._next_partial_at

    def ask_for_partial(self, audio: Samples, options: StreamOptions, stretch: float) -> DecodeRequest:
        """The request for the next partial, over all of the open segment so far.

        ``stretch``: factor on the time until the one after it.
        """
        interval_ms = options.partial_interval_ms
        if self._shown is None:
            interval_ms = min(interval_ms, EAGER_PARTIAL_INTERVAL_MS)
        self._next_partial_at = self.open.audio_start + len(audio) + ms_to_samples(interval_ms * stretch)
        self._revision += 1
        return self._request(
            self.open,
            audio,
            self._revision,
            Tier.FAST,
            Urgency.PARTIAL,
            options,
            language=options.language or self._language,
            word_timestamps=len(audio) > Lengths.of(options.commit_after_s).after,
        )

    def receive_partial(self, answer: Hypothesis | DecodeFailure, at_ms: int) -> TranscriptPartial | None:
        """What to show for it; None where it is stale, doubtful or changes nothing."""
        if isinstance(answer, DecodeFailure) or guard.is_suspicious(answer):
            return None  # the next partial, or the final, will do better
        revision = answer.request.revision
        if revision <= self._heard_revision or answer.request.audio_start != self.open.audio_start:
            return None  # overtaken, or of a window that a commit has ended
        self._heard_revision = revision
        self.open.last_partial = answer
        attempt = self.open.attempt
        is_over = self.endpoint is not None or (attempt and attempt.eager_told)
        if is_over or not answer.text.strip():
            return None
        if (
            not answer.language_was_forced
            and answer.request.duration_ms >= LANGUAGE_IS_KNOWN_MS
            and answer.language_probability >= LANGUAGE_IS_KNOWN_PROBABILITY
        ):
            self._language, self._language_probability = answer.language, answer.language_probability
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

    # ── Commits ────────────────────────────────────────────────────────────

    def point_to_commit(
        self, partial: Hypothesis, endpointer: Endpointer, options: StreamOptions
    ) -> Commit | None:
        """Where the open segment can be committed, now that this partial is known."""
        if self.open.attempt or self.open.last_partial is not partial or not partial.request.word_timestamps:
            return None
        words, stable = self._stabilizer.words, self._stabilizer.stable_words
        return between_words(words, stable, partial, endpointer, Lengths.of(options.commit_after_s))

    def point_at_any_price(self, end: int, endpointer: Endpointer, options: StreamOptions) -> Commit:
        """Where to commit audio up to ``end`` that has grown too long."""
        lengths, start = Lengths.of(options.commit_after_s), self.open.audio_start
        return at_any_price(self._stabilizer.words, self.open.partial, endpointer, lengths, start, end)

    def commit(self, commit: Commit) -> Segment:
        """End the open segment and begin the next; gives the one that is now committed."""
        done, following = self.open, Segment(commit.position)
        after = "".join(self._stabilizer.words[commit.words :])
        done.shown = self._stabilizer.commit(commit.words)
        done.last_partial, following.last_partial = done.divide(commit.position, done.shown, after)
        self.segments.append(following)
        return done

    # ── The final ────────────────────────────────────────────────────────────

    @property
    def eager_text(self) -> str | None:
        """What the final will most likely say, once the open segment's attempt is that far."""
        text = self.open.attempt.finalizer.eager_text if self.open.attempt else None
        return None if text is None else join_texts([*(s.text for s in self.segments[:-1]), text])

    def draft(self, speech_end: int) -> Draft | None:
        """The last partial as a draft of the open segment's final, if it heard all speech."""
        partial = self.open.partial
        if partial is None or partial.request.audio_end < speech_end or not partial.text.strip():
            return None
        forced = partial.language_was_forced
        probability = self._language_probability if forced else partial.language_probability
        return Draft(partial.text, partial.language, probability)

    def attempt_final(
        self, segment: Segment, audio: Samples, finalizer: Finalizer, draft: Draft | None = None
    ) -> None:
        """Begin a final over ``audio``, which no later change of the stream can touch."""
        self._revision += 1
        segment.attempt = Attempt(self._revision, audio, finalizer, draft)

    def ask_for_final(self, segment: Segment, options: StreamOptions) -> DecodeRequest | None:
        """The request that a segment's attempt needs now; None where it is made, or nothing is awaited.

        Past the endpoint a request made before it is made again with more urgency.
        """
        attempt = segment.attempt
        urgency = Urgency.EAGER if self.endpoint is None else Urgency.FINAL
        tier = attempt.wants(urgency) if attempt else None
        if attempt is None or tier is None:
            return None
        return self._request(
            segment,
            attempt.audio,
            attempt.revision,
            tier,
            urgency,
            options,
            language=options.language,
            word_timestamps=options.word_timestamps,
            draft=attempt.draft_for(tier),
        )

    def settle(self) -> None:
        """Past the endpoint: the verdict, once every segment has its own."""
        for segment in self.segments:
            segment.settle()
        if self.verdict is None and not self.unsettled:
            self.verdict = join([s.verdict for s in self.segments if s.verdict])

    def stop(self, stopped: Stopped, gap: Gap, now: float) -> None:
        """Note the endpoint, and what of the audio up to it did not come from the speaker."""
        self.endpoint = Endpoint(stopped.audio_end, stopped.speech_end, gap, now)

    def conclusion(self, at_ms: int, now: float) -> list[Event]:
        """The one event that ends this utterance; before a final over a gap a warning that says so."""
        if isinstance(self.verdict, Kept):
            if not self._is_made_up:
                return [*self._gap_warning(at_ms), self._final(self.verdict, at_ms, now)]
            self.verdict = Dropped(DropReason.NO_SPEECH)
        assert isinstance(self.verdict, Dropped)
        return [UtteranceDropped(at_ms=at_ms, utterance_id=self.id, reason=self.verdict.reason)]

    @property
    def _is_made_up(self) -> bool:
        """Whether hardly any of the speech that was heard came from the speaker."""
        assert self.endpoint
        concealed = self.endpoint.gap.concealed
        heard = self.endpoint.speech_end - self.speech_start
        return concealed > 0 and heard - concealed < ms_to_samples(LEAST_HEARD_MS)

    def _gap_warning(self, at_ms: int) -> list[Event]:
        assert self.endpoint
        gap = self.endpoint.gap
        if not gap:
            return []
        parts = {"concealed": gap.concealed_ms, "lost": gap.lost_ms}
        amounts = ", ".join(f"{ms} ms {what}" for what, ms in parts.items() if ms)
        message = f"audio of utterance {self.id} did not arrive: {amounts}; words may be missing or wrong"
        return [SessionWarning(at_ms=at_ms, code="audio_gap", message=message)]

    def _final(self, kept: Kept, at_ms: int, now: float) -> TranscriptFinal:
        assert self.endpoint
        hypothesis = kept.hypothesis
        queue_ms, fast_ms, accurate_ms = map(sum, zip(*(s.timings for s in self.segments), strict=True))
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
            concealed_ms=self.endpoint.gap.concealed_ms,
            lost_ms=self.endpoint.gap.lost_ms,
        )

    def _request(
        self,
        segment: Segment,
        audio: Samples,
        revision: int,
        tier: Tier,
        urgency: Urgency,
        options: StreamOptions,
        *,
        language: str | None,
        word_timestamps: bool,
        draft: Draft | None = None,
    ) -> DecodeRequest:
        return DecodeRequest(
            stream_id=self._stream_id,
            utterance_id=self.id,
            revision=revision,
            tier=tier,
            urgency=urgency,
            audio=audio,
            audio_start=segment.audio_start,
            language=language,
            languages=options.languages,
            prompt=options.prompt,
            context=self._context(segment) if options.carry_context else None,
            hotwords=options.hotwords,
            word_timestamps=word_timestamps,
            draft=draft,
        )

    def _context(self, segment: Segment) -> str | None:
        """What was said before a segment, as well as that is known by now."""
        texts: list[str] = []
        for earlier in reversed(self.segments[: self.segments.index(segment)]):
            texts.insert(0, earlier.text)
            if sum(map(len, texts)) >= CONTEXT_CHARS:
                break
        return join_texts(texts) or None
