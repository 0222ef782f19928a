"""Of the operators' dashboard: what gateways share, and who decodes for them. Empty on one machine."""

from __future__ import annotations

from collections.abc import Iterator

from tools.dashboards.panel import CHOSEN, RED, Panel, Query, percentiles, rate

__all__ = ["fleet_panels"]

WORKERS, SHARED = "decode-workers", "shared-state"


def fleet_panels() -> Iterator[Panel]:
    """All of them."""
    yield Panel(
        "Decode workers",
        "As gateways know them. silent ones are not asked, slow ones are hedged around.",
        (Query(f"max by (tier, state) (rtc_stt_replicas{{{CHOSEN}}})", "{{tier}} {{state}}"),),
        runbook=WORKERS,
    )
    yield Panel(
        "Batches for decode workers",
        "Each second, by what became of them. Anything but ok cost time, and no final.",
        (Query(rate("rtc_stt_replica_calls_total", "tier", "outcome"), "{{tier}} {{outcome}}"),),
        "ops",
        runbook=WORKERS,
    )
    yield Panel(
        "The way to a decode worker",
        "There and back, without its work. Some ms within a data centre.",
        percentiles("rtc_stt_replica_overhead_seconds", "tier"),
        "s",
        runbook=WORKERS,
        limits=[(0.1, RED)],
    )
    yield Panel(
        "Redis answers",
        "1 while it does. Below, each gateway has its part of the limits.",
        (Query(f"min by (instance) (rtc_stt_shared_up{{{CHOSEN}}})", "{{instance}}"),),
        runbook=SHARED,
        bounds=(0, 1),
    )
    yield Panel(
        "Redis did not answer",
        "Times each second that it did not when asked for something, or too late.",
        (Query(rate("rtc_stt_shared_failures_total", "what"), "{{what}}"),),
        "ops",
        runbook=SHARED,
    )
    yield Panel(
        "Gateways that see each other",
        "How many each of them sees. All lines lie on each other.",
        (Query(f"sum by (instance) (rtc_stt_nodes{{{CHOSEN}}})", "{{instance}}"),),
        runbook=SHARED,
    )
