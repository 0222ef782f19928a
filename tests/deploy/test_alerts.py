"""The rules of Prometheus, by its own tool: each alert fires on a made series, and none on a healthy one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.alerts.objectives import alerts, recording_rules

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.e2e

JOB = 'job="rtc-stt"'

HEALTHY = {
    f"up{{{JOB}}}": "1x{N}",
    f'stt_requests_total{{{JOB},endpoint="/v1/transcribe"}}': "0+60x{N}",
    f'stt_requests_exceptions_total{{{JOB},endpoint="/v1/transcribe",type="unavailable"}}': "0+0x{N}",
    f"rtc_stt_session_seconds_count{{{JOB}}}": "0+30x{N}",
    f'rtc_stt_rejected_total{{{JOB},reason="full"}}': "0x{N}",
    f'stt_fallback_total{{{JOB},result="used"}}': "0+20x{N}",
    f'stt_fallback_total{{{JOB},result="failed"}}': "0x{N}",
    f'rtc_stt_endpoint_to_final_seconds_bucket{{{JOB},tier="fast",le="0.5"}}': "0+99x{N}",
    f'rtc_stt_endpoint_to_final_seconds_bucket{{{JOB},tier="fast",le="+Inf"}}': "0+100x{N}",
    f'rtc_stt_endpoint_to_final_seconds_count{{{JOB},tier="fast"}}': "0+100x{N}",
    f'stt_request_total_seconds_bucket{{{JOB},le="5.0"}}': "0+59x{N}",
    f'stt_request_total_seconds_bucket{{{JOB},le="+Inf"}}': "0+60x{N}",
    f"stt_request_total_seconds_count{{{JOB}}}": "0+60x{N}",
    f'rtc_stt_engine_healthy{{{JOB},tier="fast"}}': "1x{N}",
    f'rtc_stt_engine_healthy{{{JOB},tier="accurate"}}': "1x{N}",
    f'rtc_stt_fallback_circuit{{{JOB},place="1"}}': "0x{N}",
    f'rtc_stt_routes_total{{{JOB},decision="accepted",reason="none"}}': "0+80x{N}",
    f'rtc_stt_routes_total{{{JOB},decision="redecoded",reason="low_logprob"}}': "0+20x{N}",
    f'stt_queue_wait_seconds_bucket{{{JOB},le="0.05"}}': "0+100x{N}",
    f'stt_queue_wait_seconds_bucket{{{JOB},le="+Inf"}}': "0+100x{N}",
    f"rtc_stt_load_step{{{JOB}}}": "0x{N}",
    f'stt_gpu_utilization_pct{{{JOB},gpu="0"}}': "97x{N}",
    f'stt_gpu_mem_used_mb{{{JOB},gpu="0"}}': "8000x{N}",
    f'stt_gpu_mem_total_mb{{{JOB},gpu="0"}}': "24000x{N}",
    f"process_resident_memory_bytes{{{JOB}}}": "400000000x{N}",
    f'rtc_stt_sessions{{{JOB},transport="webrtc"}}': "12x{N}",
    f"rtc_stt_sessions_limit{{{JOB}}}": "32x{N}",
    f'rtc_stt_rtp_packets_total{{{JOB},result="received"}}': "0+30000x{N}",
    f'rtc_stt_rtp_packets_total{{{JOB},result="lost"}}': "0+100x{N}",
    f'rtc_stt_rtp_jitter_seconds_bucket{{{JOB},le="0.01"}}': "0+100x{N}",
    f'rtc_stt_rtp_jitter_seconds_bucket{{{JOB},le="+Inf"}}': "0+100x{N}",
    f'rtc_stt_loop_lag_seconds_bucket{{{JOB},le="0.005"}}': "0+3000x{N}",
    f'rtc_stt_loop_lag_seconds_bucket{{{JOB},le="+Inf"}}': "0+3000x{N}",
    f"rtc_stt_audio_seconds_total{{{JOB}}}": "0+600x{N}",
    f'rtc_stt_partials_total{{{JOB},result="emitted"}}': "0+900x{N}",
    f"rtc_stt_half_open{{{JOB}}}": "1x{N}",
    f'rtc_stt_workers{{{JOB},state="lost"}}': "0x{N}",
    f"rtc_stt_usage_write_failures_total{{{JOB}}}": "0x{N}",
    f'rtc_stt_log_lines_total{{{JOB},result="written"}}': "0+200x{N}",
    f'rtc_stt_log_lines_total{{{JOB},result="dropped"}}': "0x{N}",
    f'rtc_stt_spans_total{{{JOB},result="exported"}}': "0+200x{N}",
    f'rtc_stt_spans_total{{{JOB},result="failed"}}': "0x{N}",
    f'rtc_stt_webhooks_total{{{JOB},result="delivered"}}': "0+20x{N}",
    f'rtc_stt_webhooks_total{{{JOB},result="failed"}}': "0+1x{N}",
    f'rtc_stt_webhooks_total{{{JOB},result="exhausted"}}': "0x{N}",
    f"rtc_stt_webhooks_waiting{{{JOB}}}": "40x{N}",
    f"rtc_stt_dead_letters_lost_total{{{JOB}}}": "0x{N}",
    f'rtc_stt_phone_refused_total{{{JOB},reason="full"}}': "0x{N}",
    f'rtc_stt_phone_refused_total{{{JOB},reason="unlisted"}}': "0+1x{N}",
    f'rtc_stt_shared_up{{{JOB},instance="a",store="redis"}}': "1x{N}",
    f'rtc_stt_shared_up{{{JOB},instance="b",store="redis"}}': "1x{N}",
    f'rtc_stt_nodes{{{JOB},instance="a",state="alive"}}': "2x{N}",
    f'rtc_stt_nodes{{{JOB},instance="b",state="alive"}}': "2x{N}",
    f'rtc_stt_replicas{{{JOB},instance="a",tier="fast",state="ready"}}': "3x{N}",
    f'rtc_stt_replicas{{{JOB},instance="a",tier="fast",state="silent"}}': "0x{N}",
    f'rtc_stt_replicas{{{JOB},instance="a",tier="accurate",state="slow"}}': "0x{N}",
    f'rtc_stt_replica_calls_total{{{JOB},tier="fast",outcome="ok"}}': "0+600x{N}",
    f'rtc_stt_replica_calls_total{{{JOB},tier="fast",outcome="retried"}}': "0+1x{N}",
    f'rtc_stt_replica_overhead_seconds_bucket{{{JOB},tier="fast",le="0.01"}}': "0+600x{N}",
    f'rtc_stt_replica_overhead_seconds_bucket{{{JOB},tier="fast",le="+Inf"}}': "0+600x{N}",
}
"""A minute a value. A busy GPU alone is no trouble."""

EXCEPTIONS = f'stt_requests_exceptions_total{{{JOB},endpoint="/v1/transcribe",type="unavailable"}}'
FINALS = f'rtc_stt_endpoint_to_final_seconds_bucket{{{JOB},tier="fast",le="0.5"}}'
REQUESTS = f'stt_request_total_seconds_bucket{{{JOB},le="5.0"}}'
FAILED = f'stt_fallback_total{{{JOB},result="failed"}}'
WAITS = f'stt_queue_wait_seconds_bucket{{{JOB},le="0.05"}}'

ILL: dict[str, dict[str, str]] = {
    "RtcSttUnavailable": {EXCEPTIONS: "0+5x{N}"},
    "RtcSttFallbackFailing": {FAILED: "0+5x{N}"},
    "RtcSttFinalsSlow": {FINALS: "0+10x{N}"},
    "RtcSttRequestsSlow": {REQUESTS: "0+5x{N}"},
    "RtcSttDown": {f"up{{{JOB}}}": "0x{N}"},
    "RtcSttEngineBroken": {f'rtc_stt_engine_healthy{{{JOB},tier="fast"}}': "0x{N}"},
    "RtcSttAccurateTierAway": {f'rtc_stt_engine_healthy{{{JOB},tier="accurate"}}': "0x{N}"},
    "RtcSttFallbackCircuitOpen": {f'rtc_stt_fallback_circuit{{{JOB},place="1"}}': "2x{N}"},
    "RtcSttFallbackSpike": {
        f'rtc_stt_routes_total{{{JOB},decision="redecoded",reason="low_logprob"}}': "0+300x{N}"
    },
    "RtcSttServerErrors": {EXCEPTIONS: "0+1x{N}"},
    "RtcSttTailLatency": {WAITS: "0+1x{N}"},
    "RtcSttOverloaded": {f"rtc_stt_load_step{{{JOB}}}": "4x{N}"},
    "RtcSttGpuSaturated": {WAITS: "0+1x{N}"},
    "RtcSttGpuMemory": {f'stt_gpu_mem_used_mb{{{JOB},gpu="0"}}': "23500x{N}"},
    "RtcSttMemoryGrows": {f"process_resident_memory_bytes{{{JOB}}}": "400000000+1000000x{N}"},
    "RtcSttSessionsAtLimit": {f'rtc_stt_sessions{{{JOB},transport="webrtc"}}': "30x{N}"},
    "RtcSttPacketLoss": {f'rtc_stt_rtp_packets_total{{{JOB},result="lost"}}': "0+3000x{N}"},
    "RtcSttJitter": {f'rtc_stt_rtp_jitter_seconds_bucket{{{JOB},le="0.01"}}': "0+1x{N}"},
    "RtcSttLoopLags": {f'rtc_stt_loop_lag_seconds_bucket{{{JOB},le="0.005"}}': "0+10x{N}"},
    "RtcSttSilentAudio": {f'rtc_stt_partials_total{{{JOB},result="emitted"}}': "0x{N}"},
    "RtcSttIceFailures": {f"rtc_stt_half_open{{{JOB}}}": "20x{N}"},
    "RtcSttWorkerLost": {f'rtc_stt_workers{{{JOB},state="lost"}}': "1x{N}"},
    "RtcSttUsageNotWritten": {f"rtc_stt_usage_write_failures_total{{{JOB}}}": "0+1x{N}"},
    "RtcSttLogLinesDropped": {f'rtc_stt_log_lines_total{{{JOB},result="dropped"}}': "0+1x{N}"},
    "RtcSttSpansLost": {f'rtc_stt_spans_total{{{JOB},result="failed"}}': "0+1x{N}"},
    "RtcSttWebhooksGivenUp": {f'rtc_stt_webhooks_total{{{JOB},result="exhausted"}}': "0+1x{N}"},
    "RtcSttWebhooksWait": {f"rtc_stt_webhooks_waiting{{{JOB}}}": "4000x{N}"},
    "RtcSttDeadLettersLost": {f"rtc_stt_dead_letters_lost_total{{{JOB}}}": "0+1x{N}"},
    "RtcSttCallsAtLimit": {f'rtc_stt_phone_refused_total{{{JOB},reason="full"}}': "0+1x{N}"},
    "RtcSttSharedAway": {f'rtc_stt_shared_up{{{JOB},instance="a",store="redis"}}': "0x{N}"},
    "RtcSttGatewaysApart": {f'rtc_stt_nodes{{{JOB},instance="a",state="alive"}}': "1x{N}"},
    "RtcSttReplicasMissing": {f'rtc_stt_replicas{{{JOB},instance="a",tier="fast",state="ready"}}': "0x{N}"},
    "RtcSttReplicasSilent": {f'rtc_stt_replicas{{{JOB},instance="a",tier="fast",state="silent"}}': "1x{N}"},
    "RtcSttReplicasSlow": {f'rtc_stt_replicas{{{JOB},instance="a",tier="accurate",state="slow"}}': "1x{N}"},
    "RtcSttReplicaCallsFail": {
        f'rtc_stt_replica_calls_total{{{JOB},tier="fast",outcome="retried"}}': "0+100x{N}"
    },
    "RtcSttReplicasFar": {
        f'rtc_stt_replica_overhead_seconds_bucket{{{JOB},tier="fast",le="0.01"}}': "0+1x{N}"
    },
    "RtcSttCallersRefused": {f'rtc_stt_phone_refused_total{{{JOB},reason="unlisted"}}': "0+30x{N}"},
}
"""What is not as it should be, by the alert that says so."""

LOOKED_AT = {"RtcSttMemoryGrows": 8}
"""After how many hours, where it takes longer than the rest."""

SLOWEST = {
    'rtc_stt_rtp_jitter_seconds_bucket{job="rtc-stt",le="0.16"}': "0+100x{N}",
    'stt_queue_wait_seconds_bucket{job="rtc-stt",le="1.0"}': "0+100x{N}",
    'rtc_stt_loop_lag_seconds_bucket{job="rtc-stt",le="0.1"}': "0+3000x{N}",
    'rtc_stt_replica_overhead_seconds_bucket{job="rtc-stt",tier="fast",le="0.5"}': "0+600x{N}",
}
"""Higher buckets of histograms, which promise nothing."""


def names() -> set[str]:
    return set(re.findall(r"- alert: (\w+)", alerts()))


def test_the_files_are_what_the_objectives_come_to() -> None:
    assert (FOLDER / "slo.rules.yml").read_text() == recording_rules(), "python -m tools.alerts"
    assert (FOLDER / "alerts.rules.yml").read_text() == alerts(), "python -m tools.alerts"


def test_every_alert_has_an_illness_of_its_own() -> None:
    assert names() == set(ILL)


def test_every_metric_of_the_rules_is_one_of_ours() -> None:
    """The reference names every metric that there is, and no other (``test_metrics.py``)."""
    told = set(re.findall(r"`((?:rtc_)?stt_\w+|process_\w+)`", (DOCS / "reference/metrics.md").read_text()))
    used = set(re.findall(r"(?<![:\w])((?:rtc_)?stt_[a-z_]+|process_[a-z_]+)", recording_rules() + alerts()))
    bare = {name if name in told else re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    assert bare - told == set()


def test_every_alert_has_a_runbook() -> None:
    chapters = set(re.findall(r"^## (\S+)$", (DOCS / "operate/runbooks.md").read_text(), re.M))
    assert set(re.findall(r"runbooks\.md#(\S+)", alerts())) == chapters


def run(*arguments: str, cwd: Path) -> str:
    assert shutil.which("promtool"), "tools/ensure_operations.sh installs it"
    done = subprocess.run(
        ["promtool", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    found = run("check", "rules", "slo.rules.yml", "alerts.rules.yml", cwd=FOLDER)
    assert re.findall(r"(\d+) rules found", found) == ["36", "45"]


def write(path: Path, tests: list[dict[str, Any]]) -> None:
    files = [str(FOLDER / name) for name in ("slo.rules.yml", "alerts.rules.yml")]
    told = {"rule_files": files, "evaluation_interval": "5m", "tests": tests}
    path.write_text(yaml.safe_dump(told, sort_keys=False, width=10_000))


def series(changes: dict[str, str], minutes: int) -> list[dict[str, str]]:
    made = HEALTHY | SLOWEST | changes
    return [{"series": name, "values": values.replace("{N}", str(minutes))} for name, values in made.items()]


def look(name: str, when: str) -> dict[str, Any]:
    return {"eval_time": when, "alertname": name, "exp_alerts": []}


def test_a_healthy_service_raises_nothing(tmp_path: Path) -> None:
    looks = [look(name, when) for name in sorted(names()) for when in ("2h", "8h")]
    write(tmp_path / "healthy.yml", [group(series({}, 500), looks)])
    run("test", "rules", "healthy.yml", cwd=tmp_path)


def group(input_series: list[dict[str, str]], looks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"interval": "1m", "input_series": input_series, "alert_rule_test": looks}


def test_each_alert_fires(tmp_path: Path) -> None:
    """That none is expected must be wrong for each: promtool would compare labels and words, which are the
    rules' own."""
    tests = []
    for name, changes in ILL.items():
        hours = LOOKED_AT.get(name, 2)
        tests.append(group(series(changes, 60 * hours + 10), [look(name, f"{hours}h")]))
    write(tmp_path / "ill.yml", tests)
    done = subprocess.run(
        ["promtool", "test", "rules", "ill.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    fired = set(re.findall(r'alertname="(\w+)"', done.stdout + done.stderr))
    assert done.returncode == 1
    assert fired == set(ILL)
