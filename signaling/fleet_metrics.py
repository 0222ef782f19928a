"""The metrics of more than one machine: what gateways share, and those who decode elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from rtc_stt.hypothesis import Tier
from signaling.http_metrics import HttpMetrics

__all__ = ["FleetMetrics"]

OVERHEAD_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.5)
"""From the same rack to a network that is ill."""


class FleetMetrics(HttpMetrics):
    """The part of :class:`~signaling.metrics.Metrics` that is told of them."""

    def _make_fleet_metrics(self) -> None:
        self._sharing = Gauge(
            "rtc_stt_shared_up",
            "Whether Redis, which gateways share, answers; absent where there is none.",
            ("store",),
            registry=self.registry,
        )
        self._nodes = Gauge(
            "rtc_stt_nodes",
            "Gateways that share Redis, as this one sees it.",
            ("state",),
            registry=self.registry,
        )
        self._sharing_failures = Counter(
            "rtc_stt_shared_failures_total",
            "Times that Redis did not answer, or too late.",
            ("what",),
            registry=self.registry,
        )
        self._moved = Counter(
            "rtc_stt_sessions_moved_total",
            "Resumes of sessions of other gateways, by what became of them.",
            ("result",),
            registry=self.registry,
        )
        self._replicas = Gauge(
            "rtc_stt_replicas",
            "Decode workers that are known; none where models are here.",
            ("tier", "state"),
            registry=self.registry,
        )
        self._replica_calls = Counter(
            "rtc_stt_replica_calls_total",
            "Batches for decode workers by result.",
            ("tier", "outcome"),
            registry=self.registry,
        )
        self._replica_overhead = Histogram(
            "rtc_stt_replica_overhead_seconds",
            "Of a batch to a decode worker and back, without its time over there.",
            ("tier",),
            buckets=OVERHEAD_BUCKETS,
            registry=self.registry,
        )

    def sharing_changed(self, is_up: bool) -> None:
        """See :class:`Instrument`."""
        self._sharing.labels("redis").set(is_up)

    def nodes_known(self, count: int) -> None:
        """See :class:`Instrument`."""
        self._nodes.labels("alive").set(count)

    def sharing_failed(self, what: str) -> None:
        """See :class:`Instrument`."""
        self._sharing_failures.labels(what).inc()

    def session_moved(self, result: str) -> None:
        """See :class:`Instrument`."""
        self._moved.labels(result).inc()

    def replicas_changed(self, tier: Tier, states: Mapping[str, int]) -> None:
        """See :class:`Instrument`."""
        for state, count in states.items():
            self._replicas.labels(tier, state).set(count)

    def replica_called(self, tier: Tier, outcome: str) -> None:
        """See :class:`Instrument`."""
        self._replica_calls.labels(tier, outcome).inc()

    def replica_answered(self, tier: Tier, overhead_s: float) -> None:
        """See :class:`Instrument`."""
        self._replica_overhead.labels(tier).observe(overhead_s)
