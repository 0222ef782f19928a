"""Alerts of several gateways and of decode workers. One machine has none of their series."""

from __future__ import annotations

from tools.alerts.rule import Alert

__all__ = ["FLEET_ALERTS"]

ALIVE = 'rtc_stt_nodes{state="alive"}'
CALLS = "rtc_stt_replica_calls_total"

FLEET_ALERTS = (
    Alert(
        "RtcSttSharedAway",
        "ticket",
        "min by (job, instance) (rtc_stt_shared_up) == 0",
        "2m",
        "Redis is away: each gateway has its part of the limits, and no session moves to another one",
        "shared-state",
    ),
    Alert(
        "RtcSttGatewaysApart",
        "ticket",
        f"{ALIVE}\n< on (job) group_left ()\ncount by (job) ({ALIVE})\n"
        "and on (job, instance)\nrtc_stt_shared_up == 1",
        "5m",
        "Redis answers, and a gateway does not see all of the others",
        "shared-state",
    ),
    Alert(
        "RtcSttReplicasMissing",
        "page",
        'sum by (job, instance, tier) (rtc_stt_replicas{tier="fast",state=~"ready|slow"}) == 0',
        "1m",
        "No decode worker of the fast tier answers this gateway",
        "decode-workers",
    ),
    Alert(
        "RtcSttReplicasSilent",
        "ticket",
        'sum by (job, instance, tier) (rtc_stt_replicas{state="silent"}) > 0',
        "2m",
        "A decode worker is known, and does not answer",
        "decode-workers",
    ),
    Alert(
        "RtcSttReplicasSlow",
        "ticket",
        'sum by (job, instance, tier) (rtc_stt_replicas{state="slow"}) > 0',
        "10m",
        "A decode worker takes twice as long as the others",
        "decode-workers",
    ),
    Alert(
        "RtcSttReplicaCallsFail",
        "ticket",
        f'sum by (job, tier) (rate({CALLS}{{outcome=~"retried|timeout|failed"}}[10m]))\n/\n'
        f"clamp_min(sum by (job, tier) (rate({CALLS}[10m])), 1e-9) > 0.05",
        "10m",
        "More than one batch in twenty fails at the first decode worker that is asked",
        "decode-workers",
    ),
    Alert(
        "RtcSttReplicasFar",
        "ticket",
        "rtc_stt:replica_overhead_seconds:p95_5m > 0.1",
        "10m",
        "The way to the decode workers and back takes more than a tenth of a second",
        "decode-workers",
    ),
)
