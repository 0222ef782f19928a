"""The pure parts of the measurements."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.bench import gpu
from rtc_stt.bench.capacity import Watch, in_bounds
from rtc_stt.bench.gpu import sessions_within
from rtc_stt.bench.limits import growth
from rtc_stt.bench.monologue import Windows, lags
from rtc_stt.bench.quiet import summary
from rtc_stt.events import DropReason, SpeechStarted, UtteranceDropped
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Tier, Urgency
from rtc_stt.testing import hypothesis


def request(start, length, *, revision=1, urgency=Urgency.PARTIAL, utterance=1):
    audio = np.zeros(length, np.float32)
    return DecodeRequest("s", utterance, revision, Tier.FAST, urgency, audio, start)


# ── Monologue ────────────────────────────────────────────────────────────


def test_lag_is_compared_between_the_first_and_the_last_part():
    told = [(1_000, 10.0), (59_000, 30.0), (100_000, 500.0), (250_000, 40.0), (299_000, 60.0)]
    parts = lags(told, 60_000, 300_000)
    assert parts["first"] == {"mean": 20.0, "p50": 10.0, "p95": 30.0, "p99": 30.0, "n": 2}
    assert parts["last"]["mean"] == 50.0
    assert lags([], 60_000, 300_000) == {"first": {}, "last": {}}


def test_an_utterance_without_a_commit_is_one_window():
    seen = Windows()
    seen.decode_finished(hypothesis(request(100, 500), "a"), 0.1)
    seen.decode_finished(hypothesis(request(100, 900, revision=2, urgency=Urgency.EAGER), "a b"), 0.1)
    assert seen.of(1) == [(100, 1_000)]
    assert seen.of(2) == []


def test_a_commit_begins_a_new_window_where_it_cut():
    seen = Windows()
    seen.decode_finished(hypothesis(request(100, 16_000), "a b"), 0.1)
    seen.decode_finished(hypothesis(request(9_000, 8_000, revision=2), "b"), 0.1)
    wasted = request(9_000, 9_000, revision=3, urgency=Urgency.EAGER)
    seen.decode_finished(hypothesis(wasted, "b c"), 0.1)
    seen.decode_finished(hypothesis(request(20_000, 4_000, revision=5, urgency=Urgency.FINAL), "d"), 0.1)
    assert seen.of(1) == [(100, 9_000), (9_000, 20_000), (20_000, 24_000)]
    assert seen.longest_ms == 1_000


def test_failed_decodes_are_counted():
    seen = Windows()
    seen.decode_finished(DecodeFailure(request(0, 10), "it broke"), 0.1)
    assert seen.failures == 1


# ── Overload ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "floor", "ratio"),
    [
        ([1, 5, 9, 10, 10, 10, 10, 10, 10], 1, 1.0),
        ([0, 0, 0, 10, 10, 10, 20, 20, 20], 1, 2.0),
        ([0, 0, 0, 1, 1, 1, 4, 4, 4], 8, 1.0),  # a queue shorter than one request a session is none
        ([3], 1, 1.0),
    ],
)
def test_growth_compares_the_last_third_with_the_middle_one(values, floor, ratio):
    assert growth(values, floor) == ratio


def test_a_partial_takes_its_wait_and_its_decode():
    watch, partial = Watch(), request(0, 10)
    watch.decode_started(partial, 0.2)
    watch.decode_finished(hypothesis(partial, "a"), 0.1)
    final = request(0, 10, revision=2, urgency=Urgency.FINAL)
    watch.decode_started(final, 9.0)
    watch.decode_finished(hypothesis(final, "a"), 9.0)
    assert watch.partials_ms == pytest.approx([300.0])
    watch.queue_changed(Tier.FAST, 3, 1)
    watch.queue_changed(Tier.FAST, 2, 1)
    watch.queue_changed(Tier.ACCURATE, 5, 1)
    assert sum(watch.waiting.values()) == 7


@pytest.mark.parametrize(
    ("ttfs", "partial", "step", "inside"),
    [
        ({"p95": 900.0}, {"p95": 700.0}, "NORMAL", True),
        ({"p95": 901.0}, {"p95": 100.0}, "NORMAL", False),
        ({"p95": 600.0}, {"p95": 701.0}, "NORMAL", False),
        ({"p95": 600.0}, {"p95": 100.0}, "SLOW_PARTIALS", False),
        ({"n": 0}, {"p95": 100.0}, "NORMAL", False),
    ],
)
def test_capacity_ends_where_a_limit_is_passed(ttfs, partial, step, inside):
    probe = {"ttfs_ms": ttfs, "partial_ms": partial, "highest_step": step}
    assert in_bounds(probe, 600.0) is inside


# ── Quiet, GPU ────────────────────────────────────────────────────────────


def test_what_came_of_noise_is_told_by_reason():
    told = [
        SpeechStarted(at_ms=1, utterance_id=1, audio_start_ms=0),
        UtteranceDropped(at_ms=2, utterance_id=1, reason=DropReason.NO_SPEECH),
        UtteranceDropped(at_ms=3, utterance_id=2, reason=DropReason.TOO_SHORT),
    ]
    assert summary(told) == {
        "speech_started": 1,
        "partials": 0,
        "finals": 0,
        "dropped": {"no_speech": 1, "too_short": 1},
    }


def test_sessions_of_a_lane_come_from_the_best_batch_that_is_fast_enough():
    latency = {1: 10.0, 8: 20.0, 64: 100.0}
    assert sessions_within(latency, 40) == 100  # 250 / 20 · 8
    assert sessions_within(latency, 200) == 160  # 250 / 100 · 64
    assert sessions_within(latency, 10) == 0


def test_without_a_gpu_the_figures_wait_for_one(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu.ctranslate2, "get_cuda_device_count", lambda: 0)
    assert gpu.plan_for("cuda", quick=False) is None
    assert gpu.steps(None) == 0
    outcome = gpu.run(None, tmp_path, lambda: None)
    assert "waits for a GPU" in outcome.figures["status"]
    assert outcome.marks == ()
