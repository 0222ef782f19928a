"""By what a session is found elsewhere: the ids of its log lines and requests, the spans of its turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from rtc_stt.audio import ms_to_samples
from rtc_stt.decoding import Answer
from rtc_stt.events import Event, SpeechStarted, SpeechStopped, TranscriptFinal, UtteranceDropped
from rtc_stt.hypothesis import DecodeRequest, Tier
from rtc_stt.spans import SpanSink, TurnTimes
from rtc_stt.trace_context import read_traceparent

__all__ = ["SessionTrail"]


class SessionTrail:
    """See above. Where nobody wants spans it does next to nothing.

    Args:
        ids: of the request that began the session, as :func:`rtc_stt.logs.bound` has them. A trace that its
            client is in goes on; else each turn is one of its own.
        arrived_at: when a sample of media time came, on the clock.
    """

    def __init__(
        self,
        session_id: str,
        ids: Mapping[str, str],
        sink: SpanSink | None,
        arrived_at: Callable[[int], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ids = ids
        self._sink = sink
        self._arrived_at = arrived_at
        self._clock = clock
        self._began = clock()
        self._turns: TurnTimes | None = None
        if sink:
            self._turns = TurnTimes(session_id, read_traceparent(ids.get("traceparent")), sink.is_sampled)

    @property
    def now(self) -> float:
        """The time, where it is wanted."""
        return self._clock() if self._turns else 0.0

    def ask(self, request: DecodeRequest) -> DecodeRequest:
        """A request is submitted. One that another service may decode tells it what it is for."""
        if self._turns:
            self._turns.ask(request, self._clock())
        if request.tier is not Tier.ACCURATE:
            return request
        span = self._turns.context_of(request) if self._turns else None
        traceparent = span.traceparent if span else self._ids.get("traceparent", "")
        return replace(request, request_id=self._ids.get("request_id", ""), traceparent=traceparent)

    def answer(self, answer: Answer, now: float) -> None:
        """A request is answered."""
        if self._turns:
            self._turns.answer(answer, now)

    def note(self, event: Event, decided: float, at_ms: int) -> None:
        """An event has been told: a moment of a turn, or its end, and then its spans are made.

        Args:
            decided: when it was about to be told.
            at_ms: media time that the detector has judged.
        """
        if self._turns is None or self._sink is None:
            return
        match event:
            case SpeechStarted():
                self._turns.begin(event.utterance_id, event.audio_start_ms, self._came(event.audio_start_ms))
            case SpeechStopped():
                self._turns.stop(event, self._came(event.audio_end_ms), self._came(at_ms), decided)
            case TranscriptFinal() | UtteranceDropped():
                self._sink.export(self._turns.finish(event, decided, self._clock()))

    def _came(self, at_ms: int) -> float:
        return max(self._began, self._arrived_at(ms_to_samples(at_ms)))
