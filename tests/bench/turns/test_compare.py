"""A difference is told with its sign and size, and chance is called noise."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.compare import MIN_TURNS, _percentile, _weights, compare
from rtc_stt.percentiles import nearest_rank
from tests.turn_results import Kind, made

HEAVY = 400  # draws: fewer than in use, enough here


def of(found, name):
    return next(one for one in found.differences if one.name == name)


def test_a_result_is_as_good_as_itself():
    found = compare(made(turns=6), made(turns=6), resamples=HEAVY)
    assert found.is_paired
    assert found.turns == (30, 30)
    assert not found.warnings
    assert {one.verdict for one in found.differences} == {"noise"}
    assert {(one.change, one.low, one.high) for one in found.differences if one.kind == "ratio"} == {
        (1, 1, 1)
    }
    assert found.got_worse == ()


def test_a_known_shift_is_found_with_its_sign_and_size():
    slow = compare(made(seed=1), made(seed=1, factor=1.3), resamples=HEAVY)
    time_to_final = of(slow, "endpoint_to_final_ms.p50")
    assert time_to_final.verdict == "slower"
    assert time_to_final.change == pytest.approx(1.3, rel=0.01)
    assert time_to_final.low <= 1.3 <= time_to_final.high
    assert of(slow, "partial_lag_ms.p95").verdict == "slower"
    assert of(slow, "wel_ms.p50").verdict == "noise"  # the same in both
    fast = compare(made(seed=1, factor=1.3), made(seed=1), resamples=HEAVY)
    assert of(fast, "ttfs_ms.p50").verdict == "faster"
    assert not fast.got_worse


def test_of_other_draws_the_interval_holds_the_shift_that_was_made():
    found = compare(made(seed=1, turns=60), made(seed=2, turns=60, factor=1.3), resamples=HEAVY)
    one = of(found, "endpoint_to_final_ms.p50")
    assert one.verdict == "slower"
    assert one.low < 1.3 < one.high
    assert one.high - one.low < 0.3


def test_rates_are_told_as_differences():
    right, wrong = made(Kind(wrong=0.01), turns=40), made(Kind(wrong=0.12, unsteady=0.4), turns=40, seed=2)
    found = compare(right, wrong, resamples=HEAVY)
    rate = of(found, "word_error_rate_percent")
    errors = [100 * sum(r.word_errors for r in x.rows) / sum(r.words for r in x.rows) for x in (right, wrong)]
    assert (rate.kind, rate.unit, rate.verdict) == ("difference", "%", "worse")
    assert rate.change == pytest.approx(errors[1] - errors[0], abs=1e-3)
    assert rate.low < rate.change < rate.high
    assert of(found, "normalized_erasure").verdict == "worse"
    assert of(compare(wrong, right, resamples=HEAVY), "normalized_erasure").verdict == "better"


@pytest.mark.slow
def test_two_runs_of_the_same_are_mostly_noise():
    """At 95 % about one verdict in twenty is wrong; a few more with percentiles of few values."""
    verdicts = [
        one.verdict
        for seed in range(20)
        for one in compare(
            made(seed=seed, turns=12), made(seed=100 + seed, turns=12), resamples=HEAVY
        ).differences
    ]
    wrong = sum(verdict != "noise" for verdict in verdicts) / len(verdicts)
    assert 0.005 < wrong < 0.09


def test_the_same_seed_gives_the_same_intervals():
    a, b = made(seed=1, turns=6), made(seed=2, turns=6)
    assert compare(a, b, seed=7, resamples=200) == compare(a, b, seed=7, resamples=200)
    assert compare(a, b, seed=7, resamples=200) != compare(a, b, seed=8, resamples=200)


def test_other_turns_are_drawn_apart_and_it_is_said():
    other = made(seed=2, turns=6, data={"folder": "elsewhere", "sha256": "00", "scenes": 3})
    found = compare(made(turns=6), other, resamples=200)
    assert not found.is_paired
    assert any("drawn apart" in said for said in found.warnings)
    assert any(said.startswith("the data differs") for said in found.warnings)


def test_turns_that_only_one_has_are_left_out_of_pairs():
    short = made(turns=6)
    short.rows = short.rows[3:]
    found = compare(made(turns=6), short, resamples=200)
    assert found.is_paired
    assert found.turns == (27, 27)
    assert any(said.startswith("3 turns are in one result only") for said in found.warnings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hangover_ms": 300}, "the hangover differs: 500 ms and 300 ms"),
        ({"speakers": 8}, "the number of speakers differs: 1 and 8"),
        ({"condition": {"noise": "babble", "snr_db": 10}}, "the condition differs"),
        ({"provenance": {"machine": {"cpu": "another", "cores": 96}}}, "the machine differs"),
        ({"target": {"name": "x", "models": {"fast": "large"}}}, "the models differ"),
        ({"send_lag_ms": {"p99": 40.0}}, "B is void"),
        ({"interrupted": True}, "B was interrupted"),
        ({"failures": 2}, "in B the target failed 2 times"),
        ({"cost_only": True}, "whether only the cost counts differs"),
    ],
)
def test_what_is_not_alike_is_said(change, said):
    found = compare(made(turns=3), made(turns=3, **change), resamples=100)
    assert any(one.startswith(said) for one in found.warnings), found.warnings


def test_of_few_turns_nothing_is_told():
    a, b = made(turns=1), made(turns=1, factor=10.0)
    found = compare(a, b, resamples=200)
    assert len(a.rows) < MIN_TURNS
    assert {one.verdict for one in found.differences} == {"noise"}
    assert any(f"fewer than {MIN_TURNS}" in said for said in found.warnings)


def test_figures_that_one_does_not_have_are_left_out():
    silent = made(Kind(has_partials=False, has_endpoints=False), turns=4)
    names = {one.name for one in compare(made(turns=4), silent, resamples=100).differences}
    assert "ttfs_ms.p50" in names
    assert not any(name.startswith(("eou", "ttfp", "wel", "partial", "turns_without")) for name in names)


def test_nothing_to_compare_is_no_comparison():
    empty = made(turns=0)
    assert compare(empty, empty, resamples=100).differences == ()
    assert compare(empty, made(turns=2), resamples=100).differences == ()


def test_a_ratio_to_nothing_is_told_as_a_difference():
    a, b = made(turns=4), made(turns=4)
    a.rows = [dataclasses.replace(row, eou_ms=row.eou_ms - 540) for row in a.rows]  # on both sides of 0
    assert of(compare(a, b, resamples=100), "eou_ms.p50").kind == "difference"


def test_the_comparison_is_fit_for_json():
    found = compare(made(turns=3), made(turns=3, seed=2), resamples=100)
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["measurement"] == "turns_compared"
    assert told["differences"][0]["verdict"] in {"noise", "faster", "slower"}


@given(
    st.lists(st.lists(st.integers(-50, 900), max_size=4), min_size=1, max_size=40),
    st.integers(1, 99),
    st.integers(0, 1_000),
)
def test_percentiles_of_draws_are_those_of_the_values_drawn(turns, percent, seed):
    weights = _weights(np.random.default_rng(seed), len(turns), 5)
    values = np.array([value for turn in turns for value in turn], float)
    if not len(values):
        return
    owner = np.repeat(np.arange(len(turns)), [len(turn) for turn in turns])
    order = np.argsort(values, kind="stable")
    for drawn, found in zip(weights, _percentile(weights, values[order], owner[order], percent), strict=True):
        whole = sorted(v for turn, times in zip(turns, drawn, strict=True) for v in turn * int(times))
        assert np.isnan(found) if not whole else found == nearest_rank(whole, percent)


@pytest.mark.slow
def test_two_thousand_turns_take_little_time():
    a, b = made(turns=20), made(turns=20, seed=2)
    for one in (a, b):
        one.rows = [dataclasses.replace(row, round=round_) for round_ in range(20) for row in one.rows]
    assert len(a.rows) == 2_000
    begun = time.process_time()
    compare(a, b)
    assert time.process_time() - begun < 4.0  # 1.3 s on two cores of 2.6 GHz; others may be slower
