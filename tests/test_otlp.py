"""Spans on their way to a collector that takes them, refuses them, or does not answer."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from rtc_stt.instrument import Instrument
from rtc_stt.otlp import CLOSE_S, MOST_WAITING, OtlpSink
from rtc_stt.spans import Span
from rtc_stt.trace_context import TraceContext, derive_span_id
from rtc_stt.tracing import make_sink
from tests.collector import SERVER, Collector
from tests.e2e.support import until

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Exporter(SpanExporter):
    """Takes what it gets, once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.result = SpanExportResult.SUCCESS
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.gate.wait(10)
        self.spans += spans
        return self.result

    def shutdown(self) -> None:
        self.gate.set()


class Watcher(Instrument):
    def __init__(self) -> None:
        self.spans: Counter[str] = Counter()

    def spans_settled(self, result: str, count: int) -> None:
        self.spans[result] += count


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exporter]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    made = Exporter()
    yield made
    made.gate.set()


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
async def sink(exporter: Exporter, watcher: Watcher) -> AsyncIterator[OtlpSink]:
    made = OtlpSink(exporter, "gateway", watcher, clock=lambda: 10.0, wall=lambda: 1_000.0)
    yield made
    await made.aclose()


def span(name: str = "turn", *, sampled: bool = True, **how: object) -> Span:
    context = TraceContext(TRACE, derive_span_id(name), sampled)
    return Span(name, context, CALLER, 10.0, 11.5, {"rtc_stt.tier": "fast"}, **how)  # type: ignore[arg-type]


async def test_a_span_leaves_with_its_ids_and_in_wall_clock_time(exporter: Exporter, sink: OtlpSink) -> None:
    sink.export([span(is_server=True, is_error=True)])
    await until(lambda: exporter.spans)
    (told,) = exporter.spans
    assert told.context
    assert told.parent
    assert f"{told.context.trace_id:032x}" == TRACE
    assert (f"{told.context.span_id:016x}", f"{told.parent.span_id:016x}") == (derive_span_id("turn"), CALLER)
    assert (told.start_time, told.end_time) == (1_000_000_000_000, 1_001_500_000_000)
    assert dict(told.attributes or {}) == {"rtc_stt.tier": "fast"}
    assert told.kind.name == "SERVER"
    assert told.status.status_code.name == "ERROR"
    assert told.resource.attributes["service.name"] == "rtc-stt-gateway"


async def test_what_is_not_sampled_stays(exporter: Exporter, sink: OtlpSink, watcher: Watcher) -> None:
    sink.export([span(sampled=False)])
    sink.export([span()])
    await until(lambda: watcher.spans["exported"])
    assert len(exporter.spans) == 1


async def test_a_collector_that_hangs_is_not_waited_for(
    exporter: Exporter, sink: OtlpSink, watcher: Watcher
) -> None:
    exporter.gate.clear()
    began = time.monotonic()
    for number in range(MOST_WAITING + 100):
        sink.export([span(f"span {number}")])
    assert time.monotonic() - began < 2
    assert watcher.spans == {"dropped": 100}
    exporter.gate.set()
    await until(lambda: watcher.spans["exported"] == MOST_WAITING)
    sink.export([span()])  # there is room again
    await until(lambda: watcher.spans["exported"] == MOST_WAITING + 1)
    assert watcher.spans["dropped"] == 100


@pytest.mark.slow
async def test_its_end_does_not_wait_either(exporter: Exporter, watcher: Watcher) -> None:
    sink = OtlpSink(exporter, "gateway", watcher)
    exporter.gate.clear()
    sink.export([span()])
    began = time.monotonic()
    await sink.aclose()
    assert time.monotonic() - began < CLOSE_S + 1


async def test_one_that_refuses_is_told_of_once(
    exporter: Exporter, sink: OtlpSink, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    exporter.result = SpanExportResult.FAILURE
    for count in (1, 2):
        sink.export([span()])
        await until(lambda count=count: watcher.spans["failed"] == count)
    exporter.result = SpanExportResult.SUCCESS
    sink.export([span()])
    await until(lambda: watcher.spans["exported"])
    told = [record.getMessage() for record in caplog.records if record.name == "rtc_stt.otlp"]
    assert told == ["spans cannot be exported, and are lost", "spans are taken again"]


async def test_a_clock_that_jumps_is_noticed(exporter: Exporter, watcher: Watcher) -> None:
    wall = [1_000.0]
    sink = OtlpSink(exporter, "gateway", watcher, clock=lambda: 10.0, wall=lambda: wall[0])
    for offset in (0.0, 0.05, 60.0):
        wall[0] = 1_000.0 + offset
        sink.export([span()])
    await until(lambda: len(exporter.spans) == 3)
    await sink.aclose()
    assert [(told.start_time or 0) // 1_000_000_000 for told in exporter.spans] == [1_000, 1_000, 1_060]


async def test_a_sampler_decides_of_traces_that_begin_here(
    exporter: Exporter, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    sink = OtlpSink(exporter, "gateway", watcher)
    sampled = [sink.is_sampled(f"{number * 2**58:032x}") for number in range(1, 64)]
    assert 20 < sum(sampled) < 44
    await sink.aclose()


# ── Whether there is one ────────────────────────────────────────────────────────────


def test_without_a_collector_nobody_wants_spans(watcher: Watcher) -> None:
    assert make_sink("gateway", watcher, {}) is None
    off = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1", "OTEL_SDK_DISABLED": "true"}
    assert make_sink("gateway", watcher, off) is None


def test_without_the_extra_that_is_said(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert make_sink("gateway", watcher, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"}) is None
    assert "rtc-stt[otel]" in caplog.text


@pytest.mark.slow
def test_without_a_collector_nothing_of_it_is_imported() -> None:
    script = (
        "import sys, rtc_stt.cli.serve, rtc_stt.cli.service\n"
        "from rtc_stt.instrument import Instrument\n"
        "from rtc_stt.tracing import make_sink\n"
        "assert make_sink('gateway', Instrument(), {}) is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=Path(__file__).parents[1])


@pytest.mark.slow
async def test_the_real_exporter_speaks_to_a_real_collector(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    collector = await Collector().start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    sink = make_sink("fallback", watcher, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    assert sink
    try:
        sink.export([span(is_server=True)])
        await until(lambda: collector.spans)
        (told,) = collector.spans
        assert (told.service, told.name, told.kind) == ("rtc-stt-fallback", "turn", SERVER)
        assert (told.trace_id, told.parent_id) == (TRACE, CALLER)
        await collector.stop()  # and now it is away
        sink.export([span()])
        await until(lambda: watcher.spans["failed"])
        assert watcher.spans == {"exported": 1, "failed": 1}
        assert str(collector.port) not in caplog.text
    finally:
        await asyncio.wait_for(sink.aclose(), CLOSE_S + 1)
        logging.getLogger("opentelemetry").setLevel(logging.NOTSET)
