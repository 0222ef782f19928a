"""Counts since the start, and percentiles of the newest."""

from __future__ import annotations

from signaling.tally import Tally


def test_what_is_told():
    tally = Tally()
    for _ in range(3):
        tally.begun("/v1/transcribe")
    tally.answered(200)
    tally.answered(400)
    tally.answered(502)
    tally.failed("bad_audio")
    tally.failed("fallback_failed")
    tally.fallback("failed")
    tally.took({"total": 0.2, "queue_wait": 0.0})
    tally.took({"total": 0.4, "queue_wait": 0.01, "fallback_infer": 0.3})
    assert tally.snapshot() == {
        "requests": {
            "total": 3,
            "by_endpoint": {"/v1/transcribe": 3},
            "by_status": {"2xx": 1, "4xx": 1, "5xx": 1},
            "exceptions": {"bad_audio": 1, "fallback_failed": 1},
            "fallback": {"used": 0, "skipped": 0, "failed": 1},
        },
        "latency_ms": {
            "total": {"count": 2, "p50": 200.0, "p95": 400.0, "p99": 400.0},
            "queue_wait": {"count": 2, "p50": 0.0, "p95": 10.0, "p99": 10.0},
            "fallback_infer": {"count": 1, "p50": 300.0, "p95": 300.0, "p99": 300.0},
        },
    }


def test_kinds_of_errors_cannot_grow_without_end():
    tally = Tally()
    for n in range(1_000):
        tally.failed(f"kind-{n}")
    told = tally.snapshot()["requests"]["exceptions"]
    assert len(told) <= 65
    assert sum(told.values()) == 1_000
