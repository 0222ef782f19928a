"""The realtime metrics, for Prometheus. The only room that knows its client; no label holds user text."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from rtc_stt.events import Event, TranscriptFinal, TranscriptPartial, UtteranceDropped
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency
from rtc_stt.instrument import Instrument

__all__ = ["Metrics"]

LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0)


class Metrics(Instrument):
    """Counts what the hooks tell. Owns its registry, so that several servers fit into one process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, help: str, *labels: str) -> Counter:
            return Counter(name, help, labels, registry=registry)

        def histogram(name: str, help: str, *labels: str) -> Histogram:
            return Histogram(name, help, labels, buckets=LATENCY_BUCKETS, registry=registry)

        self._sessions = Gauge("rtc_stt_sessions", "Open sessions.", ["transport"], registry=registry)
        self._session_seconds = Histogram(
            "rtc_stt_session_seconds",
            "Length of sessions.",
            buckets=(1, 10, 60, 300, 1800, 7200),
            registry=registry,
        )
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
        self._queue_wait = histogram("stt_queue_wait_seconds", "Wait for a turn at a model.")
        self._queue_depth = Gauge("stt_queue_depth", "Requests that wait.", ["tier"], registry=registry)
        self._in_flight = Gauge("stt_in_flight", "Requests being decoded.", ["tier"], registry=registry)

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

    def queue_changed(self, tier: Tier, waiting: int, running: int) -> None:
        """See :class:`Instrument`."""
        self._queue_depth.labels(tier).set(waiting)
        self._in_flight.labels(tier).set(running)

    async def scrape(self, _request: web.Request) -> web.Response:
        """``GET /metrics``."""
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
