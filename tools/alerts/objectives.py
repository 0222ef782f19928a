"""The service level objectives, and the recording rules and alerts that follow from them. Pure.

An objective is a share of events that are good; its error budget is the rest, and its burn rate how many
times faster than allowed that is used up. An alert looks at two windows: the long one says that it matters,
the short one that it still goes on. 14.4 over an hour is 2 % of the budget of thirty days, 6 over six hours
5 %, 1 over three days 10 % (Google, The Site Reliability Workbook, chapter 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import indent

from rtc_stt.canary import NO_ROOM, SERVERS_FAULT
from tools.alerts.fleet import FLEET_ALERTS
from tools.alerts.rule import Alert, write

__all__ = ["OBJECTIVES", "Objective", "alerts", "recording_rules"]

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")

BURNS = (("page", 14.4, "1h", "5m", "2m"), ("page", 6, "6h", "30m", "15m"), ("ticket", 1, "3d", "6h", "1h"))
"""Severity, burn rate, long and short window, and for how long."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One of them."""

    name: str
    """Of its rules, in snake case."""
    alert: str
    budget: float
    """The share of events that may be bad."""
    says: str
    """What is bad about it, for who is woken."""
    runbook: str
    bad: Callable[[str], str]
    """Bad events a second over a window, by job."""
    all: Callable[[str], str]
    """All of them."""


def _rate(selector: str, window: str) -> str:
    """Zero, not nothing, where a counter has no series yet."""
    return f"(sum by (job) (rate({selector}[{window}])) or sum by (job) (up * 0))"


def _refused(window: str) -> str:
    return _rate(f"rtc_stt_rejected_total{{{NO_ROOM}}}", window)


def _slower(metric: str, bound: str) -> Callable[[str], str]:
    def bad(window: str) -> str:
        quick = _rate(f'{metric}_bucket{{le="{bound}"}}', window)
        return f"{_rate(f'{metric}_count', window)}\n- {quick}"

    return bad


OBJECTIVES = (
    Objective(
        "unavailability",
        "Unavailable",
        0.001,
        "Requests fail or sessions are refused for want of room",
        "sporadic-502",
        lambda w: f"{_rate(f'stt_requests_exceptions_total{{{SERVERS_FAULT}}}', w)}\n+ {_refused(w)}",
        lambda w: (
            f"{_rate('stt_requests_total', w)}\n+ {_rate('rtc_stt_session_seconds_count', w)}\n+ "
            f"{_refused(w)}"
        ),
    ),
    Objective(
        "fallback_failures",
        "FallbackFailing",
        0.005,
        "Second opinions on recordings fail",
        "always-falling-back",
        lambda w: _rate('stt_fallback_total{result="failed"}', w),
        lambda w: _rate('stt_fallback_total{result=~"used|failed"}', w),
    ),
    Objective(
        "slow_finals",
        "FinalsSlow",
        0.05,
        "Finals of live speech take more than half a second from the endpoint",
        "high-tail-latency",
        _slower("rtc_stt_endpoint_to_final_seconds", "0.5"),
        lambda w: _rate("rtc_stt_endpoint_to_final_seconds_count", w),
    ),
    Objective(
        "slow_requests",
        "RequestsSlow",
        0.05,
        "Recordings take more than five seconds",
        "high-tail-latency",
        _slower("stt_request_total_seconds", "5.0"),
        lambda w: _rate("stt_request_total_seconds_count", w),
    ),
)

PERCENTILES = (
    ("request_seconds", "stt_request_total_seconds", "job"),
    ("endpoint_to_final_seconds", "rtc_stt_endpoint_to_final_seconds", "job, tier"),
    ("first_partial_seconds", "rtc_stt_first_partial_seconds", "job"),
    ("queue_wait_seconds", "stt_queue_wait_seconds", "job"),
    ("rtp_jitter_seconds", "rtc_stt_rtp_jitter_seconds", "job"),
    ("replica_overhead_seconds", "rtc_stt_replica_overhead_seconds", "job, tier"),
    ("loop_lag_seconds", "rtc_stt_loop_lag_seconds", "job, instance"),
)

HEADER = (
    "# Written by: python -m tools.alerts. What the objectives are, and why: docs/operate/alerts.md.\n"
    "\ngroups:\n"
)


def recording_rules() -> str:
    """The file of recording rules."""
    parts = [HEADER]
    for objective in OBJECTIVES:
        parts.append(_group(f"rtc-stt-{objective.name.replace('_', '-')}"))
        for window in WINDOWS:
            # With nothing at all in a window the share is 0, not nothing.
            expression = (
                f"(\n{indent(objective.bad(window), '  ')}\n)\n/\n"
                f"clamp_min(\n{indent(objective.all(window), '  ')},\n  1e-9\n)"
            )
            parts.append(_record(f"rtc_stt:{objective.name}:ratio_{window}", expression))
    parts.append(_group("rtc-stt-percentiles"))
    for name, metric, by in PERCENTILES:
        quantile = f"histogram_quantile(0.95, sum by ({by}, le) (rate({metric}_bucket[5m])))"
        parts.append(_record(f"rtc_stt:{name}:p95_5m", quantile))
    lost = _rate('rtc_stt_rtp_packets_total{result=~"lost|concealed|late"}', "5m")
    sent = _rate('rtc_stt_rtp_packets_total{result=~"received|lost|concealed"}', "5m")
    parts.append(_record("rtc_stt:rtp_loss:ratio_5m", f"{lost}\n/\nclamp_min({sent}, 1e-9)"))
    return "".join(parts)


def _group(name: str) -> str:
    return f"  - name: {name}\n    interval: 30s\n    rules:\n"


def _record(name: str, expression: str) -> str:
    return f"      - record: {name}\n        expr: |\n{indent(expression, ' ' * 10)}\n"


def _burning() -> Iterator[Alert]:
    for objective in OBJECTIVES:
        for severity, burn, long, short, lasts in BURNS:
            limit = f"{burn * objective.budget:.4g}"
            ratio = f"rtc_stt:{objective.name}:ratio"
            yield Alert(
                f"RtcStt{objective.alert}",
                severity,
                f"{ratio}_{long} > {limit}\nand\n{ratio}_{short} > {limit}",
                lasts,
                f"{objective.says}: {burn:g} times the budget of {objective.budget:.1%} over {long}",
                objective.runbook,
                long,
            )


MEMORY = 'process_resident_memory_bytes{job=~".*stt.*"}'

ALERTS = (
    Alert(
        "RtcSttDown", "page", 'up{job=~".*stt.*"} == 0', "2m", "A service cannot be scraped", "sporadic-502"
    ),
    Alert(
        "RtcSttEngineBroken",
        "page",
        'rtc_stt_engine_healthy{tier="fast"} == 0',
        "1m",
        "The fast tier's engine hangs or is broken; it is being loaded anew",
        "gpu-out-of-memory",
    ),
    Alert(
        "RtcSttAccurateTierAway",
        "ticket",
        'rtc_stt_engine_healthy{tier="accurate"} == 0',
        "10m",
        "The accurate tier is away; doubted finals stand as the fast tier heard them",
        "always-falling-back",
    ),
    Alert(
        "RtcSttFallbackCircuitOpen",
        "ticket",
        "max by (job, place) (rtc_stt_fallback_circuit) == 2",
        "10m",
        "A fallback service is left alone because it fails",
        "always-falling-back",
    ),
    Alert(
        "RtcSttFallbackSpike",
        "ticket",
        'sum by (job) (rate(rtc_stt_routes_total{decision=~"redecode.*|no_accurate_tier"}[15m]))\n/\n'
        "clamp_min(sum by (job) (rate(rtc_stt_routes_total[15m])), 1e-9) > 0.5\nand\n"
        "sum by (job) (rate(rtc_stt_routes_total[15m])) > 0.1",
        "15m",
        "More than half of all finals are doubted: audio, language or thresholds have changed",
        "always-falling-back",
    ),
    Alert(
        "RtcSttServerErrors",
        "ticket",
        f"sum by (job, type) (increase(stt_requests_exceptions_total{{{SERVERS_FAULT}}}[10m])) > 5",
        "0m",
        "Requests are answered with 5xx",
        "sporadic-502",
    ),
    Alert(
        "RtcSttTailLatency",
        "ticket",
        "rtc_stt:queue_wait_seconds:p95_5m > 0.5",
        "10m",
        "Decodes wait more than half a second for a model",
        "high-tail-latency",
    ),
    Alert(
        "RtcSttOverloaded",
        "page",
        "max by (job) (rtc_stt_load_step) >= 4",
        "5m",
        "The ladder leaves out second opinions, and is about to refuse sessions",
        "high-tail-latency",
    ),
    Alert(
        "RtcSttGpuSaturated",
        "ticket",
        "max by (job, gpu) (stt_gpu_utilization_pct) > 95\nand on "
        "(job)\nrtc_stt:queue_wait_seconds:p95_5m > 0.2",
        "15m",
        "A GPU is busy all the time, and requests wait for it",
        "high-tail-latency",
    ),
    Alert(
        "RtcSttGpuMemory",
        "ticket",
        "max by (job, gpu) (stt_gpu_mem_used_mb / stt_gpu_mem_total_mb) > 0.95",
        "10m",
        "A GPU's memory is nearly full",
        "gpu-out-of-memory",
    ),
    Alert(
        "RtcSttMemoryGrows",
        "ticket",
        f"deriv({MEMORY}[6h]) > 10e6 / 3600\nand\n{MEMORY} > 1.2 * {MEMORY} offset 6h",
        "1h",
        "Memory has grown by more than 10 MB an hour for six hours",
        "memory-growth",
    ),
    Alert(
        "RtcSttSessionsAtLimit",
        "ticket",
        'sum by (job) (rate(rtc_stt_rejected_total{reason="full"}[5m])) > 0\nor\n'
        "sum by (job) (rtc_stt_sessions) >= on (job) max by (job) (rtc_stt_sessions_limit) * 0.9",
        "5m",
        "Nine tenths of MAX_SESSIONS are taken, or clients were turned away",
        "sessions-at-limit",
    ),
    Alert(
        "RtcSttPacketLoss",
        "ticket",
        "rtc_stt:rtp_loss:ratio_5m > 0.05",
        "10m",
        "More than one packet in twenty is lost over all sessions",
        "jitter-and-loss",
    ),
    Alert(
        "RtcSttJitter",
        "ticket",
        "rtc_stt:rtp_jitter_seconds:p95_5m > 0.06",
        "10m",
        "Jitter is more than the buffer waits for",
        "jitter-and-loss",
    ),
    Alert(
        "RtcSttLoopLags",
        "ticket",
        "rtc_stt:loop_lag_seconds:p95_5m > 0.05",
        "5m",
        "The event loop is late: something blocks it, or the machine has too few cores",
        "jitter-and-loss",
    ),
    Alert(
        "RtcSttSilentAudio",
        "ticket",
        "sum by (job) (rate(rtc_stt_audio_seconds_total[30m])) > 1\nunless\n"
        "sum by (job) (rate(rtc_stt_partials_total[30m])) > 0",
        "15m",
        "Audio comes in, and nobody says anything",
        "silent-audio",
    ),
    Alert(
        "RtcSttIceFailures",
        "ticket",
        "max by (job) (rtc_stt_half_open) > 5",
        "10m",
        "Offers are answered and never connect",
        "ice-failures",
    ),
    Alert(
        "RtcSttWorkerLost",
        "ticket",
        'max by (job) (rtc_stt_workers{state="lost"}) > 0',
        "2m",
        "A media worker is gone and does not come back",
        "sporadic-502",
    ),
    Alert(
        "RtcSttUsageNotWritten",
        "ticket",
        "increase(rtc_stt_usage_write_failures_total[15m]) > 0",
        "15m",
        "USAGE_DB cannot be written; usage is kept in memory until then",
        "disk",
    ),
    Alert(
        "RtcSttLogLinesDropped",
        "ticket",
        'sum by (job, instance) (increase(rtc_stt_log_lines_total{result="dropped"}[15m])) > 0',
        "15m",
        "Lines of the log are dropped: whoever reads it is too slow",
        "logs-and-traces",
    ),
    Alert(
        "RtcSttSpansLost",
        "ticket",
        'sum by (job, result) (increase(rtc_stt_spans_total{result=~"failed|dropped"}[15m])) > 0',
        "15m",
        "Spans of traces are lost: the collector does not take them",
        "logs-and-traces",
    ),
    Alert(
        "RtcSttWebhooksGivenUp",
        "ticket",
        'sum by (job, result) (increase(rtc_stt_webhooks_total{result=~"exhausted|overflow|off"}[15m])) > 0',
        "0m",
        "Events of calls were not taken by WEBHOOK_URL, and are not tried again",
        "webhooks",
    ),
    Alert(
        "RtcSttWebhooksWait",
        "ticket",
        "sum by (job, instance) (rtc_stt_webhooks_waiting) > 1000",
        "10m",
        "More than a thousand events of calls wait for WEBHOOK_URL; 10,000 are kept",
        "webhooks",
    ),
    Alert(
        "RtcSttDeadLettersLost",
        "ticket",
        "increase(rtc_stt_dead_letters_lost_total[15m]) > 0",
        "0m",
        "Events of calls could be neither posted nor written to WEBHOOK_DEAD_LETTERS",
        "webhooks",
    ),
    Alert(
        "RtcSttCallsAtLimit",
        "ticket",
        'sum by (job, instance) (increase(rtc_stt_phone_refused_total{reason="full"}[10m])) > 0',
        "2m",
        "Phone calls are turned away: MAX_CALLS are going on, or too many have not begun",
        "calls",
    ),
    Alert(
        "RtcSttCallersRefused",
        "ticket",
        "sum by (job, reason) (rate(rtc_stt_phone_refused_total"
        '{reason=~"unlisted|auth|signature|unknown_call"}[15m])) > 0.1',
        "15m",
        "Phone calls are refused for who they come from: a trunk is not in SIP_ALLOW, or somebody tries",
        "calls",
    ),
)


def alerts() -> str:
    """The file of alerts."""
    parts = [HEADER, _group("rtc-stt-alerts").replace("    interval: 30s\n", "")]
    parts.extend(map(write, (*_burning(), *ALERTS, *FLEET_ALERTS)))
    return "".join(parts)
