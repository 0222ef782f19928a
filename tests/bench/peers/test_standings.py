"""What was asked of ours, and where a peer is ahead."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.peers.recipe import OURS, PEERS
from rtc_stt.bench.peers.standings import standings
from tests.bench.peers.made import result

SETTINGS: dict[str, Any] = {"models": "demo", "cost_only": False}


def marks(told, system="ours-websocket"):
    return told["marks"][system]


def test_the_best_peer_is_what_ours_is_compared_with():
    told = standings(
        {
            ("ours-websocket", 1): result(550),
            ("whisperlive", 1): result(1_500),
            ("pipecat_whisper", 1): result(900),
        },
        SETTINGS,
    )
    assert marks(told)["ttfs_less_hangover_p50_to_best_peer"] == {"value": 0.125, "at_most": 0.2, "met": True}
    assert told["better_than_ours"] == []


def test_a_crowd_is_compared_with_one():
    told = standings(
        {("ours-websocket", 1): result(500), ("ours-websocket", 8): result(800, speakers=8)}, SETTINGS
    )
    assert marks(told)["ttfs_p95_8_sessions_to_1"] == {"value": 1.6, "at_most": 1.5, "met": False}


def test_without_a_peer_nothing_is_said_to_be_met():
    told = standings({("ours-websocket", 1): result(550)}, SETTINGS)
    assert marks(told)["ttfs_less_hangover_p50_to_best_peer"]["met"] is None
    assert "word_error_rate_percent" not in marks(told)


def test_retractions_count_at_every_number_of_sessions():
    told = standings(
        {
            ("ours-websocket", 1): result(550),
            ("ours-websocket", 8): result(550, speakers=8, more={"retractions": 1}),
        },
        SETTINGS,
    )
    assert marks(told)["retractions"] == {"value": 1.0, "at_most": 0.0, "met": False}


def test_what_is_unfavourable_is_told():
    told = standings(
        {
            ("ours-websocket", 1): result(550, more={"word_errors": 1, "ttfp_ms": 400.0}),
            ("ours-webrtc", 1): result(540, more={"word_errors": 1, "ttfp_ms": 500.0}),
            ("realtimestt", 1): result(900),
        },
        SETTINGS,
    )
    assert told["better_than_ours"] == [
        {"figure": "TTFP, p50", "sessions": 1, "peer": "realtimestt", "peers": 300.0, "ours": 400.0},
        {"figure": "word error rate", "sessions": 1, "peer": "realtimestt", "peers": 0.0, "ours": 25.0},
    ]
    assert marks(told)["word_error_rate_percent"] == {"value": 25.0, "at_most": 0.0, "met": False}


def test_who_shows_no_partials_is_not_praised_for_taking_none_back():
    silent = {"ttfp_ms": None, "has_partials": False}
    told = standings(
        {
            ("ours-websocket", 1): result(550, more={"erased_words": 1}),
            ("pipecat_whisper", 1): result(900, more=silent),
        },
        SETTINGS,
    )
    assert told["better_than_ours"] == []


systems = st.sampled_from([*OURS, *PEERS])
times = st.lists(st.floats(0, 20_000, allow_nan=False), max_size=3)


@given(st.dictionaries(st.tuples(systems, st.sampled_from([1, 8])), times, min_size=1))
def test_any_results_can_be_compared(by):
    told = standings({key: result(*ms, speakers=key[1]) for key, ms in by.items()}, SETTINGS)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert {(name, int(n)) for name, own in told["systems"].items() for n in own} == set(by)
