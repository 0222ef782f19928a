"""What Prometheus finds after a session."""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path

import pytest

from rtc_stt.events import (
    Decision,
    DropReason,
    Reason,
    Route,
    SpeechStarted,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.failover import Outcome, State
from rtc_stt.gpu import GpuReading
from rtc_stt.hypothesis import DecodeFailure, Tier, Urgency
from rtc_stt.load import Step
from rtc_stt.testing import hypothesis
from signaling.metrics import Metrics, _Process
from tests.harness import request
from tests.test_wire import FINAL

SECRET = "the-words-of-a-user"


async def scrape(metrics: Metrics) -> str:
    response = await metrics.scrape(None)  # type: ignore[arg-type]
    assert response.headers["Content-Type"].startswith("text/plain")
    assert isinstance(response.body, bytes)
    return response.body.decode()


@pytest.fixture
def metrics() -> Metrics:
    """After a little of everything."""
    told = Metrics()
    told.session_opened("webrtc")
    told.session_opened("file")
    told.audio_received(2.5)
    told.event_sent(SpeechStarted(at_ms=0, utterance_id=1, audio_start_ms=0))
    told.first_partial(400)
    told.event_sent(
        TranscriptPartial(
            at_ms=0, utterance_id=1, revision=1, text=SECRET, stable_chars=0, audio_end_ms=0, language="en"
        )
    )
    told.event_sent(dataclasses.replace(FINAL, text=SECRET, model=SECRET))
    told.event_sent(dataclasses.replace(FINAL, route=Route(Decision.ACCEPTED), tier=Tier.FAST))
    told.event_sent(
        dataclasses.replace(
            FINAL,
            route=Route(Decision.NO_ACCURATE_TIER, (Reason.FEW_WORDS, Reason.LOW_LOGPROB)),
            tier=Tier.FAST,
        )
    )
    told.event_sent(UtteranceDropped(at_ms=0, utterance_id=2, reason=DropReason.NO_SPEECH))
    told.speculated(used=2, wasted=1)
    told.decode_started(request(SECRET), 0.01)
    told.decode_dropped(request(SECRET, urgency=Urgency.PARTIAL))
    told.decode_dropped(request(SECRET, urgency=Urgency.EAGER))
    told.decode_shed(request(SECRET, urgency=Urgency.PARTIAL))
    told.decode_shed(request(SECRET, tier=Tier.ACCURATE))
    told.batch_started(Tier.FAST, 3)
    for tier in Tier:
        told.decode_finished(hypothesis(request(SECRET, tier=tier), SECRET), 0.25)
    told.decode_finished(DecodeFailure(request(SECRET), SECRET), 9.0)
    told.load_changed(Step.NORMAL, Step.SLOW_PARTIALS)
    told.load_changed(Step.SLOW_PARTIALS, Step.FEW_PARTIALS)
    told.load_changed(Step.FEW_PARTIALS, Step.SLOW_PARTIALS)
    told.engine_health_changed(Tier.FAST, True)
    told.engine_health_changed(Tier.ACCURATE, False)
    told.session_refused("full")
    told.queue_changed(Tier.FAST, 3, 1)
    told.session_closed("webrtc", 12.0)
    told.session_resumed(1.5)
    told.request_begun("/v1/transcribe")
    told.request_done("/v1/transcribe", {"total": 0.4, "queue_wait": 0.01, "primary_infer": 0.2})
    told.request_failed("/v1/transcribe", "bad_audio", 400)
    told.fallback_decided("used")
    told.rtp_packets("lost", 3)
    told.line_measured("opus", 0.03, 0.004, 23.0)
    told.line_measured("PCMU", None, 0.004, 64.0)
    told.jitter_delayed(0.03)
    told.message_refused("rate")
    told.datagrams_refused("stranger", 5)
    told.loop_lagged(0.002)
    told.half_open_changed(4)
    told.workers_changed({"ready": 2, "lost": 1})
    told.worker_scrape_failed()
    told.fallback_attempted(1, Outcome.OK, 0.75)
    told.fallback_circuit_changed(1, State.OPEN)
    return told


@pytest.mark.parametrize(
    "line",
    [
        'rtc_stt_sessions{transport="webrtc"} 0.0',
        'rtc_stt_sessions{transport="file"} 1.0',
        "rtc_stt_session_seconds_count 1.0",
        "rtc_stt_audio_seconds_total 2.5",
        'rtc_stt_endpoint_to_final_seconds_count{tier="fast"} 2.0',
        'rtc_stt_endpoint_to_final_seconds_count{tier="accurate"} 1.0',
        "rtc_stt_first_partial_seconds_sum 0.4",
        'rtc_stt_partials_total{result="emitted"} 1.0',
        'rtc_stt_partials_total{result="stale"} 1.0',
        'rtc_stt_routes_total{decision="accepted",reason="none"} 1.0',
        'rtc_stt_routes_total{decision="no_accurate_tier",reason="few_words"} 1.0',
        'rtc_stt_routes_total{decision="no_accurate_tier",reason="low_logprob"} 1.0',
        'rtc_stt_utterances_dropped_total{reason="no_speech"} 1.0',
        'rtc_stt_speculations_total{result="used"} 2.0',
        'rtc_stt_speculations_total{result="wasted"} 1.0',
        "stt_queue_wait_seconds_count 1.0",
        'stt_queue_depth{tier="fast"} 3.0',
        'stt_in_flight{tier="fast"} 1.0',
        'rtc_stt_partials_total{result="shed"} 1.0',
        'rtc_stt_decode_batch_size_bucket{le="2.0",tier="fast"} 0.0',
        'rtc_stt_decode_batch_size_bucket{le="4.0",tier="fast"} 1.0',
        "stt_primary_infer_seconds_sum 0.25",
        "stt_fallback_infer_seconds_count 1.0",
        "rtc_stt_load_step 1.0",
        'rtc_stt_load_steps_total{direction="up",step="slow_partials"} 1.0',
        'rtc_stt_load_steps_total{direction="up",step="few_partials"} 1.0',
        'rtc_stt_load_steps_total{direction="down",step="slow_partials"} 1.0',
        'rtc_stt_engine_healthy{tier="fast"} 1.0',
        'rtc_stt_engine_healthy{tier="accurate"} 0.0',
        'rtc_stt_rejected_total{reason="full"} 1.0',
        "rtc_stt_sessions_resumed_total 1.0",
        'rtc_stt_rtp_packets_total{result="lost"} 3.0',
        "rtc_stt_round_trip_seconds_count 1.0",
        "rtc_stt_rtp_jitter_seconds_count 2.0",
        'rtc_stt_rtp_bit_rate_kbps_sum{codec="opus"} 23.0',
        'rtc_stt_rtp_bit_rate_kbps_count{codec="PCMU"} 1.0',
        'rtc_stt_jitter_delay_seconds_bucket{le="0.04"} 1.0',
        'rtc_stt_messages_refused_total{reason="rate"} 1.0',
        'rtc_stt_datagrams_refused_total{reason="stranger"} 5.0',
        'rtc_stt_loop_lag_seconds_bucket{le="0.005"} 1.0',
        "rtc_stt_half_open 4.0",
        'rtc_stt_workers{state="ready"} 2.0',
        "rtc_stt_worker_scrapes_failed_total 1.0",
        'stt_requests_total{endpoint="/v1/transcribe"} 1.0',
        'stt_requests_exceptions_total{endpoint="/v1/transcribe",type="bad_audio"} 1.0',
        'stt_request_total_seconds_bucket{le="0.5"} 1.0',
        'stt_fallback_total{result="used"} 1.0',
        'rtc_stt_fallback_attempts_total{outcome="ok",place="1"} 1.0',
        'rtc_stt_fallback_attempt_seconds_sum{place="1"} 0.75',
        'rtc_stt_fallback_circuit{place="1"} 2.0',
    ],
)
async def test_the_metrics_of_the_contract_are_there(metrics, line):
    assert line in (await scrape(metrics)).splitlines()


async def test_no_label_holds_what_a_user_said_or_is(metrics):
    assert SECRET not in await scrape(metrics)


async def test_labels_are_of_few_values(metrics):
    labels = set(re.findall(r'(\w+)="', await scrape(metrics)))
    known = {"transport", "tier", "result", "decision", "reason", "le", "step", "direction", "codec", "state"}
    assert labels <= known | {"place", "outcome", "endpoint", "type"}


async def test_the_reference_names_every_metric(metrics):
    """And no metric that is not there."""
    names = set(re.findall(r"^# HELP (\S+) ", await scrape(metrics), re.M))
    text = (Path(__file__).parents[2] / "docs/reference/metrics.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(\w*stt_\w+|process_\w+)`", text))
    assert {n for n in names if not n.endswith("_created")} == {n for n in told if "_gpu_" not in n}


def test_the_process_is_told_of_where_proc_shows_nothing_else(tmp_path: Path) -> None:
    """As a hardened unit has it."""
    (tmp_path / "self").symlink_to("/proc/self")
    hidden, whole = (
        {m.name: m for m in _Process(proc=at, registry=None).collect()} for at in (str(tmp_path), "/proc")
    )
    assert hidden.keys() == whole.keys() >= {"process_resident_memory_bytes", "process_open_fds"}
    [began] = hidden["process_start_time_seconds"].samples
    assert 0 <= time.time() - began.value < 3600 * 24


async def test_two_servers_in_one_process_count_for_themselves(metrics):
    assert "rtc_stt_audio_seconds_total 0.0" in (await scrape(Metrics())).splitlines()


class Gpus:
    """A machine whose GPUs come and go."""

    def __init__(self) -> None:
        self.readings: list[GpuReading] = []

    def read(self) -> list[GpuReading]:
        return self.readings


async def test_the_gpus_are_there_when_there_are_any():
    gpus = Gpus()
    metrics = Metrics(gpus)  # type: ignore[arg-type]
    assert "gpu" not in await scrape(metrics)
    gpus.readings = [GpuReading(0, 1_000.0, 80_000.0, 50.0), GpuReading(1, 2_000.0, 80_000.0, None)]
    lines = (await scrape(metrics)).splitlines()
    assert 'stt_gpu_utilization_pct{gpu="0"} 50.0' in lines
    assert 'stt_gpu_mem_used_mb{gpu="1"} 2000.0' in lines
    assert 'stt_gpu_mem_total_mb{gpu="1"} 80000.0' in lines
    assert not any(line.startswith('stt_gpu_utilization_pct{gpu="1"}') for line in lines)
    gpus.readings = []
    assert not any(line.startswith("stt_gpu") for line in (await scrape(metrics)).splitlines())
