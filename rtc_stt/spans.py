"""What a trace tells of a turn and of a recording, made when it is over from the times that were noted: pure.

Times are seconds on the clock of whoever notes them; :mod:`rtc_stt.tracing` makes wall-clock time of them.
``docs/deploy.md`` shows the tree. No attribute holds a word that was said, a prompt or an address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rtc_stt.events import SpeechStopped, TranscriptFinal, UtteranceDropped
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.trace_context import TraceContext, derive_span_id, derive_trace_id

__all__ = ["MOST_DECODES", "MOST_TURNS", "DecodeTimes", "RecordingTimes", "Span", "SpanSink", "TurnTimes"]

MOST_DECODES = 64
"""Of one turn or recording that get spans. A turn of a minute has a few."""

MOST_TURNS = 64
"""Of one session that are open. There are one or two; what is beyond is not traced."""

Value = str | bool | int | float


@dataclass(frozen=True, slots=True)
class Span:
    """One span, as it is exported."""

    name: str
    context: TraceContext
    parent_id: str | None
    """In the same trace; None where it is the root."""
    start: float
    end: float
    """Not before ``start``."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    is_server: bool = False
    """Whether it answers another process (kind SERVER)."""
    is_error: bool = False


class SpanSink(Protocol):
    """Where spans go. Neither method waits."""

    def export(self, spans: Sequence[Span]) -> None:
        """Take spans that are over, parents before their children; those not sampled go nowhere."""

    def is_sampled(self, trace_id: str) -> bool:
        """Whether a trace that begins here is kept."""

    async def aclose(self) -> None:
        """Let go out what waits, within a few seconds."""


@dataclass(slots=True)
class _Decode:
    """One request to a model, without its audio: that is let go of long before."""

    segment: int  # where its audio begins
    revision: int
    tier: Tier
    span_id: str
    attributes: dict[str, Value]
    asked: float
    answered: float | None = None
    infer_s: float = 0.0
    outcome: str = "timeout"


class DecodeTimes:
    """The decodes of one turn or recording. Partials are none: there are many, and they hold nothing up.

    Args:
        context: of the span that theirs are the children of.
    """

    def __init__(self, context: TraceContext) -> None:
        self._context = context
        self._decodes: dict[tuple[int, int, Tier], _Decode] = {}

    def ask(self, request: DecodeRequest, now: float) -> None:
        """A request is submitted; one that repeats its name with more urgency has been asked already."""
        key = _key(request)
        if request.urgency is Urgency.PARTIAL or key in self._decodes or len(self._decodes) >= MOST_DECODES:
            return
        self._decodes[key] = _Decode(
            segment=request.audio_start,
            revision=request.revision,
            tier=request.tier,
            span_id=self.context_of(request).span_id,
            attributes={
                "rtc_stt.tier": str(request.tier),
                "rtc_stt.utterance_id": request.utterance_id,
                "rtc_stt.audio_ms": request.duration_ms,
            },
            asked=now,
        )

    def answer(self, answer: Hypothesis | DecodeFailure, now: float) -> None:
        """It is answered."""
        decode = self._decodes.get(_key(answer.request))
        if decode is None or decode.answered is not None:
            return
        decode.answered = now
        if isinstance(answer, DecodeFailure):
            decode.outcome = "shed" if answer.shed else "failed"
            return
        decode.outcome, decode.infer_s = "ok", answer.infer_ms / 1000
        decode.attributes |= {
            "rtc_stt.model": answer.model,
            "rtc_stt.batch": answer.batch,
            "rtc_stt.queue_ms": answer.queue_ms,
            "rtc_stt.infer_ms": answer.infer_ms,
            "rtc_stt.verified": answer.verified,
        }

    def context_of(self, request: DecodeRequest) -> TraceContext:
        """Of the span of a request: what goes on for it elsewhere is a child of that."""
        return self._sub(derive_span_id(self._context.trace_id, self._context.span_id, *_key(request)))

    def spans(self, start: float, end: float) -> list[Span]:
        """Of those that count, within these bounds. Where speech resumed and a segment was attempted again,
        its last attempt does."""
        last: dict[int, int] = {}
        for decode in self._decodes.values():
            last[decode.segment] = max(last.get(decode.segment, 0), decode.revision)
        used = (decode for decode in self._decodes.values() if decode.revision == last[decode.segment])
        return [span for decode in used for span in self._spans_of(decode, start, end)]

    def _spans_of(self, decode: _Decode, start: float, end: float) -> list[Span]:
        asked = _within(decode.asked, start, end)
        over = _within(end if decode.answered is None else decode.answered, asked, end)
        attributes = {**decode.attributes, "rtc_stt.outcome": decode.outcome}
        own, is_error = self._sub(decode.span_id), decode.outcome != "ok"
        if decode.tier is Tier.ACCURATE:
            return [Span("redecode", own, self._context.span_id, asked, over, attributes, is_error=is_error)]
        began = _within(over - decode.infer_s, asked, over)
        queue = self._sub(derive_span_id(decode.span_id, "queue"))
        return [
            Span("queue", queue, self._context.span_id, asked, began, decode.attributes),
            Span("decode", own, self._context.span_id, began, over, attributes, is_error=is_error),
        ]

    def _sub(self, span_id: str) -> TraceContext:
        return TraceContext(self._context.trace_id, span_id, self._context.is_sampled)


@dataclass(slots=True)
class _Turn:
    """An utterance from its first sample to its conclusion."""

    decodes: DecodeTimes
    context: TraceContext
    began: float
    ended: float | None = None  # the last sample of speech
    decided: float | None = None  # that it was the last
    last_known: float | None = None  # the last sample that the decision was made of
    bounds: tuple[int, int] = (0, 0)  # ms of media time


class TurnTimes:
    """What a session notes of its open utterances. Times are of its own clock, in seconds.

    Args:
        session_id: tells its turns from those of others.
        parent: what the client said of a trace; else each turn is one of its own.
        is_sampled: see :class:`SpanSink`.
    """

    def __init__(
        self, session_id: str, parent: TraceContext | None, is_sampled: Callable[[str], bool]
    ) -> None:
        self._session_id = session_id
        self._parent = parent
        self._is_sampled = is_sampled
        self._turns: dict[int, _Turn] = {}

    def begin(self, utterance_id: int, start_ms: int, began: float) -> None:
        """Speech has started, at ``start_ms`` of media time, which came at ``began``."""
        if len(self._turns) >= MOST_TURNS:
            return
        if self._parent:
            trace_id, is_sampled = self._parent.trace_id, self._parent.is_sampled
        else:
            trace_id = derive_trace_id(self._session_id, utterance_id)
            is_sampled = self._is_sampled(trace_id)
        own = derive_span_id(trace_id, self._session_id, utterance_id)
        context = TraceContext(trace_id, own, is_sampled)
        self._turns[utterance_id] = _Turn(DecodeTimes(context), context, began, bounds=(start_ms, start_ms))

    def stop(self, event: SpeechStopped, ended: float, last_known: float, decided: float) -> None:
        """The endpoint.

        Args:
            ended: when the last sample of speech came.
            last_known: when the last sample came that the detector has judged.
            decided: when it was known to be the last of speech.
        """
        if turn := self._turns.get(event.utterance_id):
            turn.ended, turn.decided, turn.last_known = ended, decided, last_known
            turn.bounds = turn.bounds[0], event.audio_end_ms

    def ask(self, request: DecodeRequest, now: float) -> None:
        """See :meth:`DecodeTimes.ask`."""
        if turn := self._turns.get(request.utterance_id):
            turn.decodes.ask(request, now)

    def answer(self, answer: Hypothesis | DecodeFailure, now: float) -> None:
        """See :meth:`DecodeTimes.answer`."""
        if turn := self._turns.get(answer.request.utterance_id):
            turn.decodes.answer(answer, now)

    def context_of(self, request: DecodeRequest) -> TraceContext | None:
        """See :meth:`DecodeTimes.context_of`."""
        turn = self._turns.get(request.utterance_id)
        return turn.decodes.context_of(request) if turn else None

    def trace_id(self, utterance_id: int) -> str | None:
        """Of the trace that an open turn is in."""
        turn = self._turns.get(utterance_id)
        return turn.context.trace_id if turn else None

    def finish(self, event: TranscriptFinal | UtteranceDropped, decided: float, sent: float) -> list[Span]:
        """The conclusion, decided and handed over: the spans of the turn, the root first."""
        turn = self._turns.pop(event.utterance_id, None)
        if turn is None:
            return []
        start, end = min(turn.began, sent), sent
        attributes = {"rtc_stt.session_id": self._session_id, **_conclusion(event)}
        parent_id = self._parent.span_id if self._parent else None
        return [
            Span("turn", turn.context, parent_id, start, end, attributes),
            *self._speech(turn, start, end),
            *turn.decodes.spans(start, end),
            self._child(turn, "send", _within(decided, start, end), end, {}),
        ]

    def _speech(self, turn: _Turn, start: float, end: float) -> list[Span]:
        if turn.ended is None or turn.decided is None or turn.last_known is None:  # cancelled in mid-speech
            return []
        ended = _within(turn.ended, start, end)
        decided = _within(turn.decided, ended, end)
        start_ms, end_ms = turn.bounds
        detector_ms = round(max(0.0, turn.decided - turn.last_known) * 1000)
        bounds: dict[str, Value] = {"rtc_stt.audio_start_ms": start_ms, "rtc_stt.audio_end_ms": end_ms}
        return [
            self._child(turn, "speech", start, ended, bounds),
            self._child(turn, "endpointing", ended, decided, {"rtc_stt.detector_ms": detector_ms}),
        ]

    @staticmethod
    def _child(turn: _Turn, name: str, start: float, end: float, attributes: Mapping[str, Value]) -> Span:
        own = TraceContext(
            turn.context.trace_id, derive_span_id(turn.context.span_id, name), turn.context.is_sampled
        )
        return Span(name, own, turn.context.span_id, start, end, attributes)


class RecordingTimes:
    """What is noted of one recording, whose spans are children of its request's."""

    def __init__(self, context: TraceContext) -> None:
        self.decodes = DecodeTimes(context)
        self._context = context
        self._first: float | None = None
        self._last = 0.0
        self._detector_s = 0.0

    def detect(self, began: float, ended: float) -> None:
        """The detector has judged a chunk."""
        self._first = began if self._first is None else self._first
        self._last = ended
        self._detector_s += ended - began

    def spans(self, now: float) -> list[Span]:
        """Of all of it, now that it is over: what was not answered ends here."""
        return [*self._detector(), *self.decodes.spans(float("-inf"), now)]

    def _detector(self) -> list[Span]:
        if self._first is None:
            return []
        context = self._context
        own = TraceContext(context.trace_id, derive_span_id(context.span_id, "detector"), context.is_sampled)
        busy: dict[str, Value] = {"rtc_stt.detector_ms": round(self._detector_s * 1000)}
        return [Span("detector", own, context.span_id, self._first, self._last, busy)]


def _conclusion(event: TranscriptFinal | UtteranceDropped) -> dict[str, Value]:
    """Of a final all but what was said."""
    told: dict[str, Value] = {"rtc_stt.utterance_id": event.utterance_id}
    if isinstance(event, UtteranceDropped):
        return told | {"rtc_stt.dropped": str(event.reason)}
    return told | {
        "rtc_stt.tier": str(event.tier),
        "rtc_stt.route": str(event.route.decision),
        "rtc_stt.reasons": " ".join(event.route.reasons),
        "rtc_stt.model": event.model,
        "rtc_stt.language": event.language,
        "rtc_stt.hangover_ms": event.timing.hangover_ms,
        "rtc_stt.endpoint_to_final_ms": event.timing.endpoint_to_final_ms,
        "rtc_stt.concealed_ms": event.concealed_ms,
        "rtc_stt.lost_ms": event.lost_ms,
    }


def _key(request: DecodeRequest) -> tuple[int, int, Tier]:
    return request.utterance_id, request.revision, request.tier


def _within(at: float, low: float, high: float) -> float:
    return min(max(at, low), high)
