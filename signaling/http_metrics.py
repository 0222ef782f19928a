"""The metrics of the HTTP services, and what ``/v1/metrics`` tells of them. No label holds user text."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from rtc_stt.instrument import Instrument
from signaling.tally import Tally

__all__ = ["HttpMetrics"]

TOTAL_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""From a word on a GPU to an hour of speech on a processor."""


class HttpMetrics(Instrument):
    """The part of :class:`~signaling.metrics.Metrics` that is told of requests."""

    registry: CollectorRegistry

    def _make_http_metrics(self) -> None:
        self.tally = Tally()
        self._requests = Counter(
            "stt_requests_total", "Requests to transcribe.", ("endpoint",), registry=self.registry
        )
        self._exceptions = Counter(
            "stt_requests_exceptions_total",
            "Those that were answered with an error, by its type.",
            ("endpoint", "type"),
            registry=self.registry,
        )
        self._fallback = Counter(
            "stt_fallback_total",
            "Recordings by what became of the second opinion.",
            ("result",),
            registry=self.registry,
        )
        for result in ("used", "skipped", "failed"):  # so that the first one is seen as an increase
            self._fallback.labels(result)
        self._total = Histogram(
            "stt_request_total_seconds",
            "From the head of a request to its transcript.",
            buckets=TOTAL_BUCKETS,
            registry=self.registry,
        )

    def request_begun(self, endpoint: str) -> None:
        """See :class:`Instrument`."""
        self._requests.labels(endpoint).inc()
        self.tally.begun(endpoint)

    def request_done(self, endpoint: str, stages: Mapping[str, float]) -> None:
        """See :class:`Instrument`."""
        self._total.observe(stages["total"])
        self.tally.answered(200)
        self.tally.took(stages)

    def request_failed(self, endpoint: str, kind: str, status: int) -> None:
        """See :class:`Instrument`."""
        self._exceptions.labels(endpoint, kind).inc()
        self.tally.answered(status)
        self.tally.failed(kind)

    def fallback_decided(self, result: str) -> None:
        """See :class:`Instrument`."""
        self._fallback.labels(result).inc()
        self.tally.fallback(result)
