"""The rounds of a system as one result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rtc_stt.bench.peers.merging import merge
from tests.bench.peers.made import result


def test_rows_keep_the_number_of_their_round():
    merged = merge([result(600, 700), result(650)])
    assert [(row.round, row.ttfs_ms) for row in merged.rows] == [(0, 600), (0, 700), (1, 650)]
    assert merged.rounds == 2
    assert merged.summary["all"]["ttfs_ms"]["n"] == 3


def test_what_went_wrong_in_one_round_went_wrong_in_all():
    bad = replace(
        result(600),
        interrupted=True,
        failures=2,
        extra_finals={"single": 3},
        send_lag_ms={"p50": 1.0, "p95": 9.0, "p99": 11.0, "n": 50},
    )
    merged = merge([replace(result(600), failures=1, extra_finals={"single": 1}), bad])
    assert merged.interrupted
    assert merged.void
    assert (merged.failures, merged.extra_finals) == (3, {"single": 4})
    assert merged.send_lag_ms == {"p50": 1.0, "p95": 9.0, "p99": 11.0, "n": 150}


def test_every_cold_start_is_told():
    merged = merge(
        [replace(result(600), cold={**result(600).cold, "start_ms": ms}) for ms in (900, 3_000, 1_000)]
    )
    assert merged.cold["starts_ms"] == [900, 3_000, 1_000]
    assert merged.cold["start_ms"] == 1_000
    assert merged.cold["connect_ms"]["n"] == 6
    assert merged.cold["first_turn_ttfs_ms"] is None


def test_what_merges_is_still_a_result():
    merged = merge([result(600), result(700)])
    assert type(merged).from_json(merged.to_json()) == merged


@pytest.mark.parametrize(
    "other", [result(600, name="y"), result(600, speakers=2), replace(result(600), hangover_ms=300)]
)
def test_unlike_is_not_merged(other):
    with pytest.raises(ValueError, match="different"):
        merge([result(600), other])


def test_nothing_is_not_merged():
    with pytest.raises(ValueError, match="no rounds"):
        merge([])
