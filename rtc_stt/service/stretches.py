"""The stretches of one recording while they are decoded, each with its own finalizer, as a live utterance."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from rtc_stt.audio import Samples, samples_to_ms
from rtc_stt.config import Routing, StreamOptions
from rtc_stt.decoding import Answer
from rtc_stt.errors import DecodeFailed
from rtc_stt.events import Decision, DropReason, Route
from rtc_stt.finalizer import Finalizer, Kept
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Draft, Hypothesis, Tier, Urgency
from rtc_stt.load import effort_at
from rtc_stt.logs import bound
from rtc_stt.service.cutter import Stretch
from rtc_stt.service.transcript import Dropped, Segment, Spent
from rtc_stt.session import Speech
from rtc_stt.spans import RecordingTimes
from rtc_stt.trace_context import read_traceparent

__all__ = ["Stretches"]


@dataclass(slots=True)
class _Waiting:
    """A stretch that is being decoded."""

    stretch: Stretch
    audio: Samples
    finalizer: Finalizer | None
    """None where the fast tier has the last word, whatever it says."""
    done: asyncio.Future[None]


class Stretches:
    """Asks the decode pool, and keeps what came of it. Called on the event loop only.

    Finals are always answered by the pool, so each stretch ends: as a segment, dropped, or by an error.

    Args:
        tell: takes each segment as soon as all before it are decided; it must not raise.
    """

    def __init__(
        self,
        speech: Speech,
        routing: Routing,
        options: StreamOptions,
        tell: Callable[[Segment], None] | None = None,
    ) -> None:
        self._pool = speech.pool
        self._routing = routing
        self._options = options
        self._id = f"recording-{secrets.token_urlsafe(9)}"
        self._waiting: dict[int, _Waiting] = {}  # by utterance id
        self._outcomes: list[Segment | Dropped | None] = []  # in the order of speech
        self._tell = tell
        self._told = 0  # so many of the outcomes
        self._spent = Spent()
        self._fast_error = ""
        self.fallback_error: str | None = None
        """As of :class:`~rtc_stt.service.transcript.Transcript`."""
        self._ids = bound()  # of the request
        self._sink = speech.sink
        context = read_traceparent(self._ids.get("traceparent"))
        self._times = RecordingTimes(context) if speech.sink and context else None
        self._pool.attach(self._id, self._receive)

    def close(self) -> None:
        """Nobody waits any more: what is not being decoded yet is forgotten."""
        self._pool.detach(self._id)
        if self._times and self._sink:
            self._sink.export(self._times.spans(time.monotonic()))
        for waiting in self._waiting.values():
            if waiting.done.done():
                waiting.done.exception()  # another one was told

    def detected(self, began: float) -> None:
        """The detector has judged a chunk, which it was given at ``began`` (monotonic, in seconds)."""
        if self._times:
            self._times.detect(began, time.monotonic())

    @property
    def in_flight(self) -> list[asyncio.Future[None]]:
        """Of each stretch that is not decided; fails with DecodeFailed where nobody can decode it."""
        return [waiting.done for waiting in self._waiting.values()]

    @property
    def spent(self) -> Spent:
        """On all that is decided."""
        return self._spent

    def outcomes(self) -> tuple[tuple[Segment, ...], tuple[Dropped, ...]]:
        """What became of all stretches, once none is in flight."""
        segments = [outcome for outcome in self._outcomes if isinstance(outcome, Segment)]
        dropped = tuple(outcome for outcome in self._outcomes if isinstance(outcome, Dropped))
        return tuple(replace(segment, id=number) for number, segment in enumerate(segments)), dropped

    def add(self, stretch: Stretch, audio: Samples) -> None:
        """Begin to decode a stretch; ``audio`` is not changed any more."""
        if stretch.evidence.speech_ms < self._options.endpointing.min_speech_ms:
            self._outcomes.append(_dropped(stretch, DropReason.TOO_SHORT))
            self._tell_decided()
            return
        finalizer = Finalizer(stretch.evidence, self._routing, has_accurate_tier=self._pool.has_accurate_tier)
        self._begin(stretch, audio, finalizer)

    def add_raw(self, stretch: Stretch, audio: Samples) -> None:
        """Likewise, but what the fast tier says stands as it is."""
        self._begin(stretch, audio, None)

    def _begin(self, stretch: Stretch, audio: Samples, finalizer: Finalizer | None) -> None:
        self._outcomes.append(None)
        number = len(self._outcomes)
        done = asyncio.get_running_loop().create_future()
        self._waiting[number] = _Waiting(stretch, audio, finalizer, done)
        self._ask(number, Tier.FAST)

    def _ask(self, number: int, tier: Tier, draft: Draft | None = None) -> None:
        waiting, options = self._waiting[number], self._options
        request = DecodeRequest(
            stream_id=self._id,
            utterance_id=number,
            revision=1,
            tier=tier,
            urgency=Urgency.RECORDING,
            audio=waiting.audio,
            audio_start=waiting.stretch.start,
            language=options.language,
            languages=options.languages,
            prompt=options.prompt,
            hotwords=options.hotwords,
            word_timestamps=options.word_timestamps,
            draft=draft,
            request_id=self._ids.get("request_id", ""),
        )
        self._pool.submit(self._with_trail(request))

    def _with_trail(self, request: DecodeRequest) -> DecodeRequest:
        """A request that another service may decode tells it what it is for."""
        if self._times:
            self._times.decodes.ask(request, time.monotonic())
        if request.tier is not Tier.ACCURATE:
            return request
        traceparent = self._ids.get("traceparent", "")
        if self._times:
            traceparent = self._times.decodes.context_of(request).traceparent
        return replace(request, traceparent=traceparent)

    def _receive(self, answer: Answer) -> None:
        if self._times:
            self._times.decodes.answer(answer, time.monotonic())
        number, tier = answer.request.utterance_id, answer.request.tier
        waiting = self._waiting.get(number)
        if waiting is None:
            return
        if isinstance(answer, DecodeFailure):
            self._note_failure(answer)
        finalizer = waiting.finalizer
        if finalizer is None:
            self._take_raw(number, answer)
        elif tier is finalizer.awaits:
            finalizer.receive(answer, may_redecode=effort_at(self._pool.step).redecode)
            if finalizer.awaits is Tier.ACCURATE:
                self._ask(number, Tier.ACCURATE, finalizer.draft)
            else:
                self._settle(number, finalizer)

    def _note_failure(self, failure: DecodeFailure) -> None:
        if failure.request.tier is Tier.FAST:
            self._fast_error = failure.error
        elif self.fallback_error is None:
            self.fallback_error = failure.error

    def _take_raw(self, number: int, answer: Answer) -> None:
        if isinstance(answer, DecodeFailure):
            self._fail(number)
            return
        self._add_up(answer.queue_ms, answer.infer_ms, 0)
        self._end(number, _segment(self._waiting[number].stretch, answer, Route(Decision.ACCEPTED)))

    def _settle(self, number: int, finalizer: Finalizer) -> None:
        self._add_up(*finalizer.timings())
        verdict, stretch = finalizer.verdict, self._waiting[number].stretch
        assert verdict
        if isinstance(verdict, Kept):
            self._end(number, _segment(stretch, verdict.hypothesis, verdict.route))
        elif verdict.reason is DropReason.DECODE_FAILED and verdict.decision is Decision.NO_ACCURATE_TIER:
            self._fail(number)
        else:
            self._end(number, _dropped(stretch, verdict.reason, verdict.decision))

    def _end(self, number: int, outcome: Segment | Dropped) -> None:
        self._outcomes[number - 1] = outcome
        self._tell_decided()
        done = self._waiting.pop(number).done
        if not done.done():
            done.set_result(None)

    def _tell_decided(self) -> None:
        while self._told < len(self._outcomes) and (outcome := self._outcomes[self._told]) is not None:
            self._told += 1
            if self._tell and isinstance(outcome, Segment):
                self._tell(outcome)

    def _fail(self, number: int) -> None:
        done = self._waiting[number].done
        if not done.done():
            done.set_exception(DecodeFailed(f"the recording could not be decoded: {self._fast_error}"))

    def _add_up(self, queue_ms: int, fast_ms: int, accurate_ms: int) -> None:
        spent = self._spent
        self._spent = Spent(
            spent.queue_ms + queue_ms,
            spent.primary_infer_ms + fast_ms,
            spent.fallback_infer_ms + accurate_ms,
        )


def _segment(stretch: Stretch, said: Hypothesis, route: Route) -> Segment:
    return Segment(
        id=0,
        start_ms=samples_to_ms(stretch.speech_start),
        end_ms=samples_to_ms(stretch.speech_end),
        text=said.text.strip(),
        language=said.language,
        language_probability=round(said.language_probability, 4),
        avg_logprob=round(said.avg_logprob, 4),
        no_speech_prob=round(said.no_speech_prob, 4),
        compression_ratio=round(said.compression_ratio, 3),
        model=said.model,
        tier=said.request.tier,
        route=route,
        words=said.words,
    )


def _dropped(stretch: Stretch, reason: DropReason, decision: Decision | None = None) -> Dropped:
    return Dropped(samples_to_ms(stretch.speech_start), samples_to_ms(stretch.speech_end), reason, decision)
