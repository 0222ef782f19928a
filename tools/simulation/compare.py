"""A real run beside simulated ones of the same length: how far off, and is that more than chance?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rtc_stt.bench.live_calls import WARM_UP_S, LiveRun
from rtc_stt.bench.pacing import MAX_SEND_LAG_MS
from rtc_stt.bench.plot import Chart, Line, write
from rtc_stt.hypothesis import Urgency
from rtc_stt.percentiles import nearest_rank
from rtc_stt.simulation import Setting
from rtc_stt.simulation.calls import Call, of_tier, rates, waits_ms
from rtc_stt.simulation.run import speak

__all__ = ["NEAR", "SEEDS", "marks", "picture", "row"]

NEAR = 0.15
"""By so much, as a share of the real p95, the simulated one may be off."""

SEEDS = 20
"""Simulated runs, each as long as the real one."""

TITLES = {"partial": "A partial", "final_decode": "A final's decode"}
KINDS = {"partial": (Urgency.PARTIAL,), "final_decode": (Urgency.EAGER, Urgency.FINAL)}


def row(real: LiveRun, setting: Setting, sessions: int) -> dict[str, Any]:
    """p50 and p95 from request to answer, really and simulated, and what the load was made of."""
    nodes = [
        speak(setting, sessions, real.seconds, seed, warm_up_s=WARM_UP_S, keep_calls=True)
        for seed in range(SEEDS)
    ]
    runs = [of_tier(node.calls or []) for node in nodes]
    concurrency = setting.times.concurrency
    told: dict[str, Any] = {"sessions": sessions, "seconds": real.seconds}
    for name, urgencies in KINDS.items():
        told[name] = _compare(real.calls, runs, urgencies)
    return told | {
        "real": rates(real.calls, real.seconds, concurrency) | {"highest_step": real.step.name.lower()},
        "simulated": rates([call for calls in runs for call in calls], SEEDS * real.seconds, concurrency)
        | {"highest_step": max(step for node in nodes for step in node.steps).name.lower()},
        "turns": real.figures["turns"],
        "finals_lost": real.figures["lost"],
        "send_lag_ms": real.figures["send_lag_ms"],
    }


def _compare(
    real: Sequence[Call], runs: Sequence[Sequence[Call]], urgencies: Sequence[Urgency]
) -> dict[str, Any]:
    measured = waits_ms(real, *urgencies)
    together = waits_ms([call for calls in runs for call in calls], *urgencies)
    told: dict[str, Any] = {"n": len(measured)}
    for percent in (50, 95):
        real_ms, simulated_ms = nearest_rank(measured, percent), nearest_rank(together, percent)
        each = sorted(nearest_rank(one, percent) for calls in runs if (one := waits_ms(calls, *urgencies)))
        told[f"p{percent}_ms"] = {
            "real": round(real_ms, 1),
            "simulated": round(simulated_ms, 1),
            "off": round(simulated_ms / real_ms - 1, 3),
            # So far apart are runs of this length by chance alone.
            "single_runs": [round(each[0], 1), round(each[-1], 1)],
        }
    return told


def marks(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """p95 of each kind at each load within :data:`NEAR`, and those who spoke on time: else all is void."""
    on_time = {
        f"send_lag_p99_ms_at_{told['sessions']}": {
            "value": told["send_lag_ms"].get("p99"),
            "at_most": MAX_SEND_LAG_MS,
            "met": told["send_lag_ms"].get("p99", 0.0) <= MAX_SEND_LAG_MS,
        }
        for told in rows
    }
    return on_time | {
        f"{kind}_p95_at_{told['sessions']}": {
            "value": told[kind]["p95_ms"]["off"],
            "at_most": NEAR,
            "met": abs(told[kind]["p95_ms"]["off"]) <= NEAR,
        }
        for told in rows
        for kind in KINDS
    }


def picture(rows: Sequence[dict[str, Any]]) -> str:
    """p95 against load, real and simulated, as SVG; between the outer lines are single simulated runs."""

    def line(name: str, kind: str, pick: Callable[[dict[str, Any]], float]) -> Line:
        return Line(name, [(told["sessions"], pick(told[kind]["p95_ms"])) for told in rows])

    return write(
        [
            Chart(
                title,
                "sessions",
                "ms, p95",
                [
                    line("real", kind, lambda told: told["real"]),
                    line("simulated", kind, lambda told: told["simulated"]),
                    line("by chance, least", kind, lambda told: told["single_runs"][0]),
                    line("by chance, most", kind, lambda told: told["single_runs"][1]),
                ],
            )
            for kind, title in TITLES.items()
        ]
    )
