"""Spans on their way to a collector, by the SDK of OpenTelemetry: nothing here waits.

They are put into a bounded queue, a thread of the SDK sends them, and what finds no room is dropped and
counted. Imported by :mod:`~rtc_stt.tracing` where there is a collector.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from rtc_stt import __version__
from rtc_stt.instrument import Instrument
from rtc_stt.spans import Span

__all__ = ["MOST_WAITING", "OtlpSink"]

log = logging.getLogger(__name__)

SERVICE_NAME_KEY = "OTEL_SERVICE_NAME"

MOST_WAITING = 2_048
"""Spans, those included that are being sent: some hundred turns."""

CLOSE_S = 2.0
"""For what waits, at the end."""

CLOCK_JUMP_S = 0.1
"""By which the wall clock may part from the monotonic one before its times are taken anew. Within a trace
times are to nest, so it is not read for each span."""


class OtlpSink:
    """A :class:`~rtc_stt.spans.SpanSink`. Called on the event loop.

    Args:
        exporter: sends; it may block, in a thread of the SDK.
        instrument: is told of spans, from that thread too.
        clock: of the times of spans.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        role: str,
        instrument: Instrument,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock, self._wall = clock, wall
        self._offset = wall() - clock()
        self._instrument = instrument
        self._waiting = 0
        self._lock = threading.Lock()
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=Resource.create(
                {
                    SERVICE_NAME: os.environ.get(SERVICE_NAME_KEY) or f"rtc-stt-{role}",
                    SERVICE_VERSION: __version__,
                }
            ),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._exporter = _Counting(exporter, self._settle)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter, max_queue_size=MOST_WAITING))
        self._tracer = self._provider.get_tracer("rtc_stt", __version__)

    def export(self, spans: Sequence[Span]) -> None:
        """See :class:`~rtc_stt.spans.SpanSink`."""
        wanted = [span for span in spans if span.context.is_sampled]
        if not wanted:
            return
        with self._lock:
            room = max(0, MOST_WAITING - self._waiting)
            self._waiting += min(room, len(wanted))
        if len(wanted) > room:  # of a turn its root comes first
            self._instrument.spans_settled("dropped", len(wanted) - room)
        self._look_at_clock()
        for span in wanted[:room]:
            self._export(span)

    def is_sampled(self, trace_id: str) -> bool:
        """See :class:`~rtc_stt.spans.SpanSink`; ``OTEL_TRACES_SAMPLER`` decides."""
        result = self._provider.sampler.should_sample(None, int(trace_id, 16), "turn")
        return result.decision is Decision.RECORD_AND_SAMPLE

    async def aclose(self) -> None:
        """See :class:`~rtc_stt.spans.SpanSink`."""
        thread = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        thread.start()
        deadline = time.monotonic() + CLOSE_S
        while thread.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if thread.is_alive():  # it waits for a collector that does not answer
            threading.Thread(target=self._exporter.shutdown, name="spans-end", daemon=True).start()

    def _export(self, span: Span) -> None:
        context = span.context
        self._ids.next = int(context.trace_id, 16), int(context.span_id, 16)
        made = self._tracer.start_span(
            span.name,
            _parent(span),
            SpanKind.SERVER if span.is_server else SpanKind.INTERNAL,
            span.attributes,
            start_time=self._nanoseconds(span.start),
        )
        if span.is_error:
            made.set_status(StatusCode.ERROR)
        made.end(self._nanoseconds(span.end))

    def _nanoseconds(self, at: float) -> int:
        return round((at + self._offset) * 1e9)

    def _look_at_clock(self) -> None:
        offset = self._wall() - self._clock()
        if abs(offset - self._offset) > CLOCK_JUMP_S:
            self._offset = offset

    def _settle(self, result: str, count: int) -> None:
        with self._lock:
            self._waiting -= count
        self._instrument.spans_settled(result, count)


class _Ids(IdGenerator):
    """Gives the next span the ids that it has already."""

    next = (1, 1)

    def generate_trace_id(self) -> int:
        return self.next[0]

    def generate_span_id(self) -> int:
        return self.next[1]


class _Counting(SpanExporter):
    """Says what became of spans."""

    def __init__(self, exporter: SpanExporter, settle: Callable[[str, int], None]) -> None:
        self._exporter = exporter
        self._settle = settle
        self._is_well = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # whatever it is, the next spans may fare better
            result = SpanExportResult.FAILURE
        is_well = result is SpanExportResult.SUCCESS
        self._settle("exported" if is_well else "failed", len(spans))
        if is_well is not self._is_well:
            self._is_well = is_well
            log.warning("spans are taken again" if is_well else "spans cannot be exported, and are lost")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _parent(span: Span) -> Context:
    """As the SDK has it; none for a root."""
    if span.parent_id is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED)
    parent = SpanContext(
        int(span.context.trace_id, 16), int(span.parent_id, 16), is_remote=True, trace_flags=flags
    )
    return set_span_in_context(NonRecordingSpan(parent), Context())
