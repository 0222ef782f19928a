"""The realtime metrics, for Prometheus. No label holds user text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from rtc_stt.events import Event, TranscriptFinal, TranscriptPartial, UtteranceDropped
from rtc_stt.failover import Outcome, State
from rtc_stt.gpu import GpuMonitor
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.load import Step
from signaling.fleet_metrics import FleetMetrics
from signaling.log_metrics import LogLines
from signaling.telephony.call_source import REASONS
from signaling.telephony.webhook_policy import Result
from signaling.workers import figures
from signaling.workers.figures import Figures

__all__ = ["Metrics"]

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32)
LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0)


class _Process(ProcessCollector):
    """Tells them also where ``/proc`` shows processes and nothing else (``ProcSubset=pid`` of systemd)."""

    def _boot_time(self) -> float:
        """Since 1970, in seconds; the original reads it from ``/proc/stat``, and without it tells nothing."""
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class Metrics(FleetMetrics):
    """Counts what the hooks tell. Owns its registry, so that several servers fit into one process."""

    def __init__(self, gpus: GpuMonitor | None = None) -> None:
        self.registry = CollectorRegistry()
        self.gpus = gpus or GpuMonitor()
        self._gpu_gauges: tuple[Gauge, Gauge, Gauge] | None = None  # made when there is something to show
        self._make_speech_metrics()
        self._make_decode_metrics()
        self._make_fallback_metrics()
        self._make_ingest_metrics()
        self._make_phone_metrics()
        self._make_worker_metrics()
        self._make_fleet_metrics()
        self._make_http_metrics()
        self._begin_at_zero()
        self.registry.register(LogLines())
        _Process(registry=self.registry)  # memory, processor time, descriptors
        self.others: Callable[[], Awaitable[Sequence[Figures]]] | None = None
        """Asks other processes for theirs; ``/metrics`` tells the sum."""

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(name, help, labels, registry=self.registry)

    def _gauge(self, name: str, help: str, *labels: str) -> Gauge:
        return Gauge(name, help, labels, registry=self.registry)

    def _histogram(
        self, name: str, help: str, *labels: str, buckets: Sequence[float] = LATENCY_BUCKETS
    ) -> Histogram:
        return Histogram(name, help, labels, buckets=buckets, registry=self.registry)

    def _make_speech_metrics(self) -> None:
        counter, histogram = self._counter, self._histogram
        self._sessions = self._gauge("rtc_stt_sessions", "Open sessions.", "transport")
        self._sessions_limit = self._gauge("rtc_stt_sessions_limit", "MAX_SESSIONS.")
        self._session_seconds = histogram(
            "rtc_stt_session_seconds", "Length of sessions.", buckets=(1, 10, 60, 300, 1800, 7200)
        )
        self._rejected = counter("rtc_stt_rejected_total", "Clients turned away at the door.", "reason")
        self._audio = counter("rtc_stt_audio_seconds_total", "Audio received.")
        self._endpoint_to_final = histogram(
            "rtc_stt_endpoint_to_final_seconds", "From the endpoint to the final.", "tier"
        )
        self._first_partial = histogram(
            "rtc_stt_first_partial_seconds",
            "Media time from the start of speech to its first partial.",
        )
        self._partials = counter("rtc_stt_partials_total", "Partials by what became of them.", "result")
        self._routes = counter("rtc_stt_routes_total", "Finals by route.", "decision", "reason")
        self._dropped = counter("rtc_stt_utterances_dropped_total", "Utterances without a final.", "reason")
        self._speculations = counter(
            "rtc_stt_speculations_total", "Final decodes started in a pause.", "result"
        )

    def _make_decode_metrics(self) -> None:
        gauge, histogram = self._gauge, self._histogram
        self._queue_wait = histogram("stt_queue_wait_seconds", "Wait for a turn at a model.")
        self._queue_depth = gauge("stt_queue_depth", "Requests that wait.", "tier")
        self._in_flight = gauge("stt_in_flight", "Requests being decoded.", "tier")
        self._infer = {
            Tier.FAST: histogram("stt_primary_infer_seconds", "Time in the fast tier's engine."),
            Tier.ACCURATE: histogram("stt_fallback_infer_seconds", "Time in the accurate tier's engine."),
        }
        self._batch_size = histogram(
            "rtc_stt_decode_batch_size", "Requests in one call of an engine.", "tier", buckets=BATCH_BUCKETS
        )
        self._load_step = gauge(
            "rtc_stt_load_step", "What is left out under load: 0 nothing, 5 new sessions too."
        )
        self._load_steps = self._counter(
            "rtc_stt_load_steps_total", "Changes of that, by where they led.", "step", "direction"
        )
        self._healthy = gauge(
            "rtc_stt_engine_healthy", "Whether a tier's engine neither hangs nor is broken.", "tier"
        )

    def _make_fallback_metrics(self) -> None:
        self._fallback_attempts = self._counter(
            "rtc_stt_fallback_attempts_total", "Attempts at places of the accurate tier.", "place", "outcome"
        )
        self._fallback_seconds = self._histogram(
            "rtc_stt_fallback_attempt_seconds", "How long an attempt took.", "place"
        )
        self._fallback_circuit = self._gauge(
            "rtc_stt_fallback_circuit", "0 closed: it is asked, 1 half open: it is tried, 2 open.", "place"
        )

    def _make_ingest_metrics(self) -> None:
        counter = self._counter
        self._rtp_packets = counter(
            "rtc_stt_rtp_packets_total", "RTP packets by what became of them.", "result"
        )
        self._jitter_delay = self._histogram(
            "rtc_stt_jitter_delay_seconds",
            "Wait of packets for those before them.",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1),
        )
        self._round_trip = self._histogram(
            "rtc_stt_round_trip_seconds",
            "To a client and back, looked at every ten seconds.",
            buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6),
        )
        self._rtp_jitter = self._histogram(
            "rtc_stt_rtp_jitter_seconds",
            "Interarrival jitter of a stream (RFC 3550), looked at every ten seconds.",
            buckets=(0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16),
        )
        self._bit_rate = self._histogram(
            "rtc_stt_rtp_bit_rate_kbps",
            "Of the payload of a stream, looked at every ten seconds.",
            "codec",
            buckets=(8, 16, 24, 32, 48, 64, 128),
        )
        self._resumed = counter("rtc_stt_sessions_resumed_total", "Clients that came back to their session.")
        self._messages_refused = counter(
            "rtc_stt_messages_refused_total", "What clients sent and was not taken.", "reason"
        )
        self._datagrams_refused = counter(
            "rtc_stt_datagrams_refused_total", "UDP datagrams that were dropped.", "reason"
        )
        self._half_open = self._gauge("rtc_stt_half_open", "Offers answered and not yet connected.")
        self._loop_lag = self._histogram(
            "rtc_stt_loop_lag_seconds",
            "How late the event loop is.",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
        )

    def _make_phone_metrics(self) -> None:
        self._calls = self._gauge("rtc_stt_calls", "Phone calls that are going on.", "source")
        self._calls_ended = self._counter(
            "rtc_stt_calls_ended_total", "Phone calls that have ended, by why.", "source", "result"
        )
        self._call_seconds = self._histogram(
            "rtc_stt_call_seconds", "Length of phone calls.", buckets=(1, 10, 60, 300, 1800, 7200)
        )
        self._phone_refused = self._counter(
            "rtc_stt_phone_refused_total", "What protocols of telephones brought and was not taken.", "reason"
        )
        self._listeners = self._gauge("rtc_stt_call_listeners", "WebSockets that hear calls.")
        self._webhooks = self._counter("rtc_stt_webhooks_total", "Attempts to post events.", "result")
        self._webhooks_waiting = self._gauge("rtc_stt_webhooks_waiting", "Events that are to be posted.")
        self._dead_letters_lost = self._counter(
            "rtc_stt_dead_letters_lost_total", "Events that could be neither posted nor kept."
        )

    def _make_worker_metrics(self) -> None:
        self._workers = self._gauge("rtc_stt_workers", "Media workers.", "state")
        self._scrapes_failed = self._counter(
            "rtc_stt_worker_scrapes_failed_total", "Times that a media worker did not tell its figures."
        )
        self._detector_losses = self._counter(
            "rtc_stt_vad_process_losses_total", "Times that the detector's process was begun anew."
        )
        self._spans = self._counter(
            "rtc_stt_spans_total", "Spans of traces by what became of them.", "result"
        )
        self._usage_failures = self._counter(
            "rtc_stt_usage_write_failures_total", "Times that usage could not be written to its file."
        )

    def _begin_at_zero(self) -> None:
        """What alerts look at: of a counter that begins with its first event, Prometheus sees no increase."""
        for reason in ("full", "load", "unhealthy", "ports"):
            self._rejected.labels(reason)
        for step in Step:
            for direction in ("up", "down"):
                self._load_steps.labels(step.name.lower(), direction)
        for result in Result:
            self._webhooks.labels(result)
        self._phone_refused.labels("full")
        for became in ("exported", "failed", "dropped"):
            self._spans.labels(became)

    def limit_sessions(self, number: int) -> None:
        """So many there may be."""
        self._sessions_limit.set(number)

    def session_opened(self, transport: str) -> None:
        """See :class:`Instrument`."""
        self._sessions.labels(transport).inc()

    def session_closed(self, transport: str, seconds: float) -> None:
        """See :class:`Instrument`."""
        self._sessions.labels(transport).dec()
        self._session_seconds.observe(seconds)

    def audio_received(self, seconds: float) -> None:
        """See :class:`Instrument`."""
        self._audio.inc(seconds)

    def event_sent(self, event: Event) -> None:
        """See :class:`Instrument`."""
        match event:
            case TranscriptPartial():
                self._partials.labels("emitted").inc()
            case TranscriptFinal():
                self._endpoint_to_final.labels(event.tier).observe(event.timing.endpoint_to_final_ms / 1000)
                for reason in event.route.reasons or ("none",):
                    self._routes.labels(event.route.decision, reason).inc()
            case UtteranceDropped():
                self._dropped.labels(event.reason).inc()

    def first_partial(self, media_ms: int) -> None:
        """See :class:`Instrument`."""
        self._first_partial.observe(media_ms / 1000)

    def speculated(self, *, used: int, wasted: int) -> None:
        """See :class:`Instrument`."""
        self._speculations.labels("used").inc(used)
        self._speculations.labels("wasted").inc(wasted)

    def decode_started(self, request: DecodeRequest, queued_s: float) -> None:
        """See :class:`Instrument`."""
        self._queue_wait.observe(queued_s)

    def decode_dropped(self, request: DecodeRequest) -> None:
        """See :class:`Instrument`."""
        if request.urgency is Urgency.PARTIAL:
            self._partials.labels("stale").inc()

    def decode_shed(self, request: DecodeRequest) -> None:
        """See :class:`Instrument`."""
        if request.urgency is Urgency.PARTIAL:
            self._partials.labels("shed").inc()

    def decode_finished(self, answer: Hypothesis | DecodeFailure, infer_s: float) -> None:
        """See :class:`Instrument`."""
        if isinstance(answer, Hypothesis):
            self._infer[answer.request.tier].observe(infer_s)

    def batch_started(self, tier: Tier, size: int) -> None:
        """See :class:`Instrument`."""
        self._batch_size.labels(tier).observe(size)

    def load_changed(self, before: Step, step: Step) -> None:
        """See :class:`Instrument`."""
        self._load_step.set(step)
        self._load_steps.labels(step.name.lower(), "up" if step > before else "down").inc()

    def engine_health_changed(self, tier: Tier, healthy: bool) -> None:
        """See :class:`Instrument`."""
        self._healthy.labels(tier).set(healthy)

    def fallback_attempted(self, place: int, outcome: Outcome, seconds: float) -> None:
        """See :class:`Instrument`."""
        self._fallback_attempts.labels(str(place), outcome).inc()
        self._fallback_seconds.labels(str(place)).observe(seconds)

    def fallback_circuit_changed(self, place: int, state: State) -> None:
        """See :class:`Instrument`."""
        self._fallback_circuit.labels(str(place)).set(state)

    def session_refused(self, reason: str) -> None:
        """See :class:`Instrument`."""
        self._rejected.labels(reason).inc()

    def session_resumed(self, gap_s: float) -> None:
        """See :class:`Instrument`."""
        self._resumed.inc()

    def rtp_packets(self, result: str, count: int) -> None:
        """See :class:`Instrument`."""
        self._rtp_packets.labels(result).inc(count)

    def line_measured(
        self, codec: str, round_trip_s: float | None, jitter_s: float, bit_rate_kbps: float
    ) -> None:
        """See :class:`Instrument`."""
        if round_trip_s is not None:
            self._round_trip.observe(round_trip_s)
        self._rtp_jitter.observe(jitter_s)
        self._bit_rate.labels(codec).observe(bit_rate_kbps)

    def jitter_delayed(self, seconds: float) -> None:
        """See :class:`Instrument`."""
        self._jitter_delay.observe(seconds)

    def message_refused(self, reason: str) -> None:
        """See :class:`Instrument`."""
        self._messages_refused.labels(reason).inc()

    def datagrams_refused(self, reason: str, count: int) -> None:
        """See :class:`Instrument`."""
        self._datagrams_refused.labels(reason).inc(count)

    def half_open_changed(self, count: int) -> None:
        """See :class:`Instrument`."""
        self._half_open.set(count)

    def call_began(self, source: str) -> None:
        """See :class:`Instrument`."""
        self._calls.labels(source).inc()

    def call_ended(self, source: str, reason: str, seconds: float) -> None:
        """See :class:`Instrument`."""
        self._calls.labels(source).dec()
        self._calls_ended.labels(source, reason if reason in REASONS else "other").inc()
        self._call_seconds.observe(seconds)

    def phone_refused(self, reason: str) -> None:
        """See :class:`Instrument`."""
        self._phone_refused.labels(reason).inc()

    def listeners_changed(self, count: int) -> None:
        """See :class:`Instrument`."""
        self._listeners.set(count)

    def webhook_settled(self, result: str) -> None:
        """See :class:`Instrument`."""
        self._webhooks.labels(result).inc()

    def webhooks_changed(self, waiting: int) -> None:
        """See :class:`Instrument`."""
        self._webhooks_waiting.set(waiting)

    def dead_letter_lost(self) -> None:
        """See :class:`Instrument`."""
        self._dead_letters_lost.inc()

    def spans_settled(self, result: str, count: int) -> None:
        """See :class:`Instrument`."""
        self._spans.labels(result).inc(count)

    def workers_changed(self, states: Mapping[str, int]) -> None:
        """See :class:`Instrument`."""
        for state, count in states.items():
            self._workers.labels(state).set(count)

    def usage_not_written(self) -> None:
        """See :class:`Instrument`."""
        self._usage_failures.inc()

    def detector_lost(self) -> None:
        """See :class:`Instrument`."""
        self._detector_losses.inc()

    def worker_scrape_failed(self) -> None:
        """See :class:`Instrument`."""
        self._scrapes_failed.inc()

    def loop_lagged(self, seconds: float) -> None:
        """See :class:`Instrument`."""
        self._loop_lag.observe(seconds)

    def queue_changed(self, tier: Tier, waiting: int, running: int) -> None:
        """See :class:`Instrument`."""
        self._queue_depth.labels(tier).set(waiting)
        self._in_flight.labels(tier).set(running)

    async def scrape(self, _request: web.Request) -> web.Response:
        """``GET /metrics``."""
        await self._read_gpus()
        others = await self.others() if self.others else ()
        body = await asyncio.get_running_loop().run_in_executor(None, self._render, others)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _render(self, others: Sequence[Figures]) -> bytes:
        """In a thread: it takes milliseconds."""
        if not others:
            return generate_latest(self.registry)
        merged = figures.Merged(figures.add([figures.take(self.registry), *others]))
        return generate_latest(merged)

    async def _read_gpus(self) -> None:
        readings = await asyncio.get_running_loop().run_in_executor(None, self.gpus.read)
        if not readings and self._gpu_gauges is None:
            return
        if self._gpu_gauges is None:
            self._gpu_gauges = (
                self._gauge("stt_gpu_utilization_pct", "How busy the GPU is.", "gpu"),
                self._gauge("stt_gpu_mem_used_mb", "Memory in use, in MiB.", "gpu"),
                self._gauge("stt_gpu_mem_total_mb", "Memory there is, in MiB.", "gpu"),
            )
        utilization, used, total = self._gpu_gauges
        for gauge in self._gpu_gauges:
            gauge.clear()  # a GPU that is gone has no figures
        for reading in readings:
            gpu = str(reading.index)
            used.labels(gpu).set(reading.mem_used_mb)
            total.labels(gpu).set(reading.mem_total_mb)
            if reading.utilization_pct is not None:
                utilization.labels(gpu).set(reading.utilization_pct)
