"""The tables of a fleet, of results in little."""

from __future__ import annotations

from typing import Any

from tools.fleet.faults import FAULTS
from tools.fleet.table import WHAT, cost_table, fleet_tables


def group(lost: int) -> dict[str, Any]:
    way = {"spoken": 10, "in_no_final": lost, "in_two": 0, "other": 1}
    waits = {"before": {"p95": 0.61}, "during": {"p95": 1.5}, "after": {"p95": None}}
    return {
        "words": {"websocket": way, "webrtc": way},
        "events_missed": 0,
        "gone_on_after_s": -0.4,
        "longest_silence_s": {"before": 1.0, "during": 2.0, "after": 1.1},
        "end_to_final_s": waits,
    }


RUN = {"decodes_per_s": 30.0, "cpu_s_of_workers_per_decode": 0.03, "cores_of_workers": 0.9}
SCALE = {
    "streams": 32,
    "seconds": 20.0,
    "workers": {
        "1": [RUN | {"cores": {"busy": 1.2, "there": 2.0}}],
        "2": [RUN | {"cores": {"busy": 2, "there": 2}}],
    },
    "two_against_one": 1.4,
}


def test_every_fault_has_words_for_it() -> None:
    assert WHAT.keys() == FAULTS.keys()


def test_each_row_says_what_was_lost() -> None:
    arrivals = {"welcomed": 40, "refused": 2, "refused_until_s": 1.5}
    faults = {
        "gateway_killed": {
            "lasted_s": 12.0,
            "lived": group(0),
            "gateway_died": group(3),
            "arrivals": arrivals,
        },
        "head_killed": {"failed": "RuntimeError: nobody listens"},
    }
    lines = fleet_tables({"speakers": 10, "faults": faults}, SCALE).splitlines()
    rows = [line for line in lines if line.startswith(("| SIGKILL", "| Ray"))]
    assert "20 / 0 / 0 / 2" in rows[0]
    assert "0.61 / 1.50 / –" in rows[0]
    assert "40 / 2 (1.5)" in rows[0]
    assert "the sessions that it had" in rows[1]
    assert "20 / 6 / 0 / 2" in rows[1]
    assert "could not be run: RuntimeError" in rows[2]
    assert all(row.count("|") == rows[0].count("|") for row in rows)
    assert "1.4 times" in lines[-1]


def test_costs_are_told_beside_each_other() -> None:
    def took(p50: float) -> dict[str, float]:
        return {"p50": p50, "p95": 2 * p50, "calls": 12}

    def way(p50: float) -> dict[str, Any]:
        return {"endpoint_to_final_ms": took(p50), "end_of_speech_to_final_ms": took(500 + p50)}

    attack = {
        "keys": 50, "asked": 14_500, "seconds": 40.1, "granted": 8_950, "allowed_at_least": 8_950,
        "allowed_at_most": 9_000, "neighbours_refused": 0, "neighbours_asked": 730,
    }  # fmt: skip
    told = cost_table(
        {"ways": {"local": way(1.5), "ray": way(2.5)}},
        {"batches": {"of_4": {"here_ms": took(30), "replica_ms": took(33)}}},
        {"cost_ms": {"alone": took(1.1), "shared": took(2.1)}, "attack": attack},
    ).splitlines()
    assert told[2] == "| endpoint to final, WebRTC, one session | 1.5 / 3.0 | 2.5 / 5.0 |"
    assert told[4] == "| a decode of 4 (12 calls) | 30.0 / 60.0 | 33.0 / 66.0 |"
    assert told[5] == "| a request that is counted against a limit | 1.1 / 2.2 | 2.1 / 4.2 |"
    assert (
        "50 keys asked 14,500 times in 40.1 s and were granted 8,950; theirs were 8,950 to 9,000" in told[-1]
    )
