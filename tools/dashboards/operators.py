"""The dashboard of those who run it: is it well, what is asked of it, where does the time go."""

from __future__ import annotations

from collections.abc import Iterator

from tools.alerts.objectives import OBJECTIVES
from tools.dashboards.fleet import fleet_panels
from tools.dashboards.panel import CHOSEN, JOB, RED, YELLOW, Board, Panel, Query, Row, percentiles, rate

__all__ = ["OPERATORS"]

FALLING_BACK, BUSY, REFUSED = "always-falling-back", "high-tail-latency", "sporadic-502"
TITLES = {
    "unavailability": "Availability",
    "fallback_failures": "Second opinions",
    "slow_finals": "Finals within 0.5 s",
    "slow_requests": "Recordings within 5 s",
}


def _at_a_glance() -> Iterator[Panel]:
    def stat(title: str, says: str, expr: str, unit: str = "short", **how: object) -> Panel:
        return Panel(title, says, (Query(expr),), unit, "stat", width=3, **how)  # type: ignore[arg-type]

    firing = 'ALERTS{{alertstate="firing",alertname=~"RtcStt.*",severity="{}"}}'
    yield stat("Up", "The share of processes that can be scraped.", f"avg(up{{{CHOSEN}}})", "percentunit")
    yield stat(
        "Pages", "Alerts that cannot wait.", f"count({firing.format('page')}) or vector(0)", limits=[(1, RED)]
    )
    yield stat(
        "Tickets", "Alerts that can.", f"count({firing.format('ticket')}) or vector(0)", limits=[(1, YELLOW)]
    )
    yield stat(
        "Sessions",
        "Open sessions, those included whose client is away.",
        f"sum(rtc_stt_sessions{{{CHOSEN}}})",
    )
    yield stat(
        "Of the limit",
        "Sessions as a share of MAX_SESSIONS.",
        f"sum(rtc_stt_sessions{{{CHOSEN}}}) / sum(rtc_stt_sessions_limit{{{CHOSEN}}})",
        "percentunit",
        limits=[(0.75, YELLOW), (0.9, RED)],
        runbook="sessions-at-limit",
    )
    yield stat("Calls", "Phone calls that are going on.", f"sum(rtc_stt_calls{{{CHOSEN}}})")
    yield stat(
        "Step of the ladder",
        "What is left out under load: 0 nothing, 5 new sessions too.",
        f"max(rtc_stt_load_step{{{CHOSEN}}})",
        limits=[(1, YELLOW), (4, RED)],
        runbook=BUSY,
    )
    yield stat(
        "Engines well",
        "1 while no tier's engine hangs or is broken.",
        f"min(rtc_stt_engine_healthy{{{CHOSEN}}})",
        runbook="gpu-out-of-memory",
    )


def _objectives() -> Iterator[Panel]:
    for objective in OBJECTIVES:
        ratio = f"rtc_stt:{objective.name}:ratio"
        yield Panel(
            f"{TITLES[objective.name]}: budget left",
            f"Of what three days may use ({objective.budget:.1%} of all). Below 0 it is overdrawn.",
            (Query(f"min(1 - {ratio}_3d{{{JOB}}} / {objective.budget})"),),
            "percentunit",
            "stat",
            width=6,
            runbook=objective.runbook,
        )
    for window, limit in (("1h", 14.4), ("6h", 6.0)):
        yield Panel(
            f"Burn rate over {window}",
            f"How many times faster than allowed the budgets are used up; {limit:g} pages.",
            tuple(
                Query(f"max(rtc_stt:{o.name}:ratio_{window}{{{JOB}}}) / {o.budget}", TITLES[o.name])
                for o in OBJECTIVES
            ),
            width=12,
            limits=[(1, YELLOW), (limit, RED)],
        )


def _traffic() -> Iterator[Panel]:
    yield Panel(
        "Sessions",
        "Open ones by how they came, and how many there may be.",
        (
            Query(f"sum by (transport) (rtc_stt_sessions{{{CHOSEN}}})", "{{transport}}"),
            Query(f"sum(rtc_stt_sessions_limit{{{CHOSEN}}})", "limit"),
        ),
        runbook="sessions-at-limit",
    )
    yield Panel(
        "Audio",
        "Seconds of live speech that come in each second: how many are on the line.",
        (Query(rate("rtc_stt_audio_seconds_total", "role"), "{{role}}"),),
    )
    yield Panel(
        "Sessions that end, and come back",
        "Sessions that have ended each second, and clients that came back to theirs.",
        (
            Query(rate("rtc_stt_session_seconds_count"), "ended"),
            Query(rate("rtc_stt_sessions_resumed_total"), "came back"),
        ),
        "ops",
    )
    yield Panel(
        "Recordings",
        "Requests to transcribe each second, refused ones too.",
        (Query(rate("stt_requests_total", "role", "endpoint"), "{{role}} {{endpoint}}"),),
        "reqps",
    )
    yield Panel(
        "Requests that failed",
        "By the type of their error. unavailable, decode_failed, fallback_failed and internal are ours.",
        (Query(rate("stt_requests_exceptions_total", "type"), "{{type}}"),),
        "reqps",
        runbook=REFUSED,
        stacked=True,
    )
    yield Panel(
        "Turned away at the door",
        "full, load, unhealthy and ports are ours; the rest is their senders'.",
        (Query(rate("rtc_stt_rejected_total", "reason"), "{{reason}}"),),
        "reqps",
        runbook=REFUSED,
        stacked=True,
    )


def _latency() -> Iterator[Panel]:
    yield Panel(
        "Endpoint to final",
        "From the end of an utterance to its final, by the tier that had the last word. p95 below 0.5 s.",
        percentiles("rtc_stt_endpoint_to_final_seconds", "tier"),
        "s",
        runbook=BUSY,
        limits=[(0.5, RED)],
    )
    yield Panel(
        "Recordings",
        "From the head of a request to its transcript; errors do not count. p95 below 5 s.",
        percentiles("stt_request_total_seconds"),
        "s",
        runbook=BUSY,
        limits=[(5, RED)],
    )
    yield Panel(
        "Wait for a model",
        "How long decodes wait for their turn. The first to grow when there is too much to do.",
        percentiles("stt_queue_wait_seconds"),
        "s",
        runbook=BUSY,
        limits=[(0.2, YELLOW), (0.5, RED)],
    )
    yield Panel(
        "In the fast tier's engine",
        "A call of it. What it takes with nothing else to do is the least that a final takes.",
        percentiles("stt_primary_infer_seconds", "role"),
        "s",
    )
    yield Panel(
        "In the accurate tier",
        "With the way to a fallback service, if there is one, and all attempts.",
        percentiles("stt_fallback_infer_seconds", "role"),
        "s",
    )
    yield Panel(
        "At each place of the accurate tier",
        "An attempt, by place: 0 is the model here, 1 … are those of FALLBACK_URL.",
        percentiles("rtc_stt_fallback_attempt_seconds", "place"),
        "s",
        runbook=FALLING_BACK,
    )


def _routes() -> Iterator[Panel]:
    yield Panel(
        "Finals by route",
        "accepted: the fast tier was sure. redecoded: the accurate tier had the last word.",
        (Query(rate("rtc_stt_routes_total", "decision"), "{{decision}}"),),
        "ops",
        runbook=FALLING_BACK,
        stacked=True,
    )
    yield Panel(
        "Why they were doubted",
        "A final may have several reasons.",
        (Query(rate("rtc_stt_routes_total", "reason"), "{{reason}}"),),
        "ops",
        runbook=FALLING_BACK,
    )
    yield Panel(
        "Second opinions on recordings",
        "used, failed, or skipped: not wanted, or not to be had.",
        (Query(rate("stt_fallback_total", "result"), "{{result}}"),),
        "ops",
        runbook=FALLING_BACK,
        stacked=True,
    )
    yield Panel(
        "Attempts at the fallback",
        "By place and what came of it. Anything but ok is to be looked into.",
        (Query(rate("rtc_stt_fallback_attempts_total", "place", "outcome"), "{{place}} {{outcome}}"),),
        "ops",
        runbook=FALLING_BACK,
    )
    yield Panel(
        "Circuits",
        "0 closed: it is asked. 1 half open: it is tried. 2 open: it is left alone.",
        (Query(f"max by (role, place) (rtc_stt_fallback_circuit{{{CHOSEN}}})", "{{role}} {{place}}"),),
        runbook=FALLING_BACK,
        limits=[(1, YELLOW), (2, RED)],
        bounds=(0, 2),
    )
    yield Panel(
        "Engines",
        "0 while a tier's engine hangs or is broken.",
        (Query(f"min by (role, tier) (rtc_stt_engine_healthy{{{CHOSEN}}})", "{{role}} {{tier}}"),),
        runbook="gpu-out-of-memory",
        bounds=(0, 1),
    )


def _decoding() -> Iterator[Panel]:
    yield Panel(
        "Queue",
        "Requests that wait, by tier.",
        (Query(f"sum by (role, tier) (stt_queue_depth{{{CHOSEN}}})", "{{role}} {{tier}}"),),
        runbook=BUSY,
    )
    yield Panel(
        "In the engines",
        "Requests that are being decoded, by tier.",
        (Query(f"sum by (role, tier) (stt_in_flight{{{CHOSEN}}})", "{{role}} {{tier}}"),),
    )
    yield Panel(
        "Requests in a call",
        "How full the calls of an engine are, on average.",
        (
            Query(
                f"{rate('rtc_stt_decode_batch_size_sum', 'role', 'tier')} / "
                f"{rate('rtc_stt_decode_batch_size_count', 'role', 'tier')}",
                "{{role}} {{tier}}",
            ),
        ),
    )
    yield Panel(
        "The ladder",
        "What is left out under load: 0 nothing … 5 new sessions too.",
        (Query(f"max by (role, instance) (rtc_stt_load_step{{{CHOSEN}}})", "{{role}} {{instance}}"),),
        runbook=BUSY,
        limits=[(1, YELLOW), (4, RED)],
        bounds=(0, 5),
    )
    yield Panel(
        "Steps on the ladder",
        "Changes of it, by where they led. Many an hour: it is at its limit.",
        (Query(rate("rtc_stt_load_steps_total", "step", "direction"), "{{direction}} to {{step}}"),),
        "ops",
        runbook=BUSY,
    )
    yield Panel(
        "Speculations",
        "Final decodes that began in a pause: used, or wasted because the speaker went on.",
        (Query(rate("rtc_stt_speculations_total", "result"), "{{result}}"),),
        "ops",
    )


def _gpu() -> Iterator[Panel]:
    yield Panel(
        "GPU utilisation",
        "95 % with nobody waiting is good use; with a wait for the model it is too much.",
        (Query(f"max by (instance, gpu) (stt_gpu_utilization_pct{{{CHOSEN}}})", "{{instance}} {{gpu}}"),),
        "percent",
        width=12,
        limits=[(95, YELLOW)],
        runbook=BUSY,
    )
    yield Panel(
        "GPU memory",
        "Share in use.",
        (
            Query(
                "max by (instance, gpu) "
                f"(stt_gpu_mem_used_mb{{{CHOSEN}}} / stt_gpu_mem_total_mb{{{CHOSEN}}})",
                "{{instance}} {{gpu}}",
            ),
        ),
        "percentunit",
        width=12,
        limits=[(0.9, YELLOW), (0.95, RED)],
        runbook="gpu-out-of-memory",
    )


def _processes() -> Iterator[Panel]:
    yield Panel(
        "Memory",
        "Resident. It grows with sessions, and not with time.",
        (Query(f"process_resident_memory_bytes{{{CHOSEN}}}", "{{role}} {{instance}}"),),
        "bytes",
        runbook="memory-growth",
    )
    yield Panel(
        "Processor",
        "Cores in use.",
        (Query(rate("process_cpu_seconds_total", "role", "instance"), "{{role}} {{instance}}"),),
    )
    yield Panel(
        "The event loop is late",
        "Looked at fifty times a second. Above 50 ms something blocks it.",
        percentiles("rtc_stt_loop_lag_seconds", "role"),
        "s",
        runbook="jitter-and-loss",
        limits=[(0.05, RED)],
    )
    yield Panel(
        "Descriptors",
        "Open files and sockets, as a share of those that may be.",
        (
            Query(
                f"process_open_fds{{{CHOSEN}}} / process_max_fds{{{CHOSEN}}}",
                "{{role}} {{instance}}",
            ),
        ),
        "percentunit",
        runbook="memory-growth",
        limits=[(0.8, RED)],
    )
    yield Panel(
        "Media workers",
        "By state; none where WORKERS is 0. lost does not come back by itself.",
        (Query(f"sum by (role, state) (rtc_stt_workers{{{CHOSEN}}})", "{{role}} {{state}}"),),
        runbook=REFUSED,
    )
    yield Panel(
        "What could not be told",
        "Times that usage could not be written, and that a media worker did not tell its figures.",
        (
            Query(rate("rtc_stt_usage_write_failures_total"), "usage"),
            Query(rate("rtc_stt_worker_scrapes_failed_total"), "workers"),
        ),
        "ops",
        runbook="disk",
    )
    yield Panel(
        "Lines of the log",
        "Written, and dropped because nobody reads them fast enough.",
        (Query(rate("rtc_stt_log_lines_total", "role", "result"), "{{role}} {{result}}"),),
        "ops",
        width=12,
        runbook="logs-and-traces",
    )
    yield Panel(
        "Spans of traces",
        "exported; failed: the collector did not take them; dropped: no room to wait. 0 without a collector.",
        (Query(rate("rtc_stt_spans_total", "result"), "{{result}}"),),
        "ops",
        width=12,
        runbook="logs-and-traces",
    )


def _phones() -> Iterator[Panel]:
    yield Panel(
        "Calls",
        "Going on, by where they come from.",
        (Query(f"sum by (source) (rtc_stt_calls{{{CHOSEN}}})", "{{source}}"),),
        runbook="calls",
        stacked=True,
    )
    yield Panel(
        "Calls that end",
        "By why.",
        (Query(rate("rtc_stt_calls_ended_total", "source", "result"), "{{source}} {{result}}"),),
        "ops",
    )
    yield Panel(
        "What telephones brought and was not taken",
        "full is MAX_CALLS. Much of unlisted and auth is somebody who tries.",
        (Query(rate("rtc_stt_phone_refused_total", "reason"), "{{reason}}"),),
        "ops",
        runbook="calls",
    )
    yield Panel(
        "Webhooks",
        "Attempts, and events that were given up: exhausted, overflow, off, drained.",
        (Query(rate("rtc_stt_webhooks_total", "result"), "{{result}}"),),
        "ops",
        runbook="webhooks",
    )
    yield Panel(
        "Webhooks that wait",
        "Events that are to be posted; 10,000 is as many as are kept.",
        (Query(f"sum by (instance) (rtc_stt_webhooks_waiting{{{CHOSEN}}})", "{{instance}}"),),
        runbook="webhooks",
        limits=[(1_000, YELLOW), (9_000, RED)],
    )
    yield Panel(
        "Listeners and lost letters",
        "WebSockets that hear calls; events that could be neither posted nor kept.",
        (
            Query(f"sum(rtc_stt_call_listeners{{{CHOSEN}}})", "listeners"),
            Query(f"sum(rtc_stt_dead_letters_lost_total{{{CHOSEN}}})", "lost letters"),
        ),
        runbook="webhooks",
    )


OPERATORS = Board(
    "rtc-stt-operators",
    "rtc-stt: operators",
    "Is it well, what is asked of it, where does the time go. Explained in docs/operate/grafana.md.",
    (
        Row("At a glance", tuple(_at_a_glance()), height=4),
        Row("Objectives (docs/operate/alerts.md)", tuple(_objectives()), height=5),
        Row("Traffic", tuple(_traffic())),
        Row("Latency", tuple(_latency())),
        Row("Routes and fallbacks", tuple(_routes())),
        Row("Queue and ladder", tuple(_decoding())),
        Row("GPU", tuple(_gpu())),
        Row("Processes", tuple(_processes())),
        Row("Phone calls and webhooks", tuple(_phones())),
        Row("Several gateways, and decode workers", tuple(fleet_panels())),
    ),
)
