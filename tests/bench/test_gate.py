"""The regression gate: what it says, and that it notices."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench import gate_run
from rtc_stt.bench.calibration import Calibration, Taken, measure
from rtc_stt.bench.clips import load
from rtc_stt.bench.gate import (
    Check,
    Expected,
    Judgement,
    Kind,
    Reading,
    Verdict,
    compare,
    make_baseline,
    read_baseline,
    waver,
)
from rtc_stt.errors import ConfigError
from rtc_stt.hypothesis import DecodeRequest, Hypothesis
from rtc_stt.testing import ScriptedEngine

STEADY = [10.0, 10.5, 10.2]


def check(
    decode: float = 0.5, wait: float = 400.0, *, cpu: list[float] = STEADY, wall: list[float] | None = None
) -> Check:
    readings = {
        "decode": Reading(Kind.CPU, 10 * decode, "ms CPU", decode),
        "wait": Reading(Kind.CLOCK, wait, "ms", wait),
    }
    return Check(readings, cpu, wall or [1.05 * ms for ms in cpu])


BASELINE = {"decode": Expected(0.5, 1.2), "wait": Expected(400.0, 1.3)}


def test_what_is_as_it_was_passes() -> None:
    assert compare(check(), BASELINE) == Judgement(Verdict.PASSED)
    assert compare(check(0.6, 520.0), BASELINE).verdict is Verdict.PASSED


def test_what_is_worse_is_named_with_by_how_much() -> None:
    judgement = compare(check(0.9), BASELINE)
    assert judgement.verdict is Verdict.WORSE
    assert judgement.worse == ("decode: 1.80 times what it was (at most 1.20); 9 ms CPU here",)


def test_an_unsteady_machine_gives_no_verdict() -> None:
    judgement = compare(check(0.9, cpu=[10.0, 12.6]), BASELINE)
    assert judgement.verdict is Verdict.NONE
    assert judgement.worse == ()
    assert "unsteady" in judgement.not_judged[0]


def test_where_others_had_the_core_there_is_no_verdict() -> None:
    judgement = compare(check(0.9, 4_000.0, wall=[2 * ms for ms in STEADY]), BASELINE)
    assert judgement == Judgement(
        Verdict.NONE,
        not_judged=("others had the core: work took 2.00 times its CPU time (at most 1.25)",),
    )


def test_what_was_not_measured_is_no_pass() -> None:
    judgement = compare(Check({}, STEADY, STEADY), BASELINE)
    assert judgement.verdict is Verdict.WORSE
    assert judgement.worse == ("decode: was not measured", "wait: was not measured")


def test_what_the_baseline_does_not_know_is_no_pass_either() -> None:
    judgement = compare(check(), {"decode": BASELINE["decode"]})
    assert judgement == Judgement(Verdict.NONE, not_judged=("wait: not in the baseline",))


def test_what_is_much_better_is_told() -> None:
    judgement = compare(check(0.2), BASELINE)
    assert judgement == Judgement(Verdict.PASSED, better=("decode: 0.40 times what it was",))


def test_tolerances_come_from_how_the_runs_differ() -> None:
    told = make_baseline([check(0.5, 400.0), check(0.55, 402.0), check(0.45, 404.0)])
    assert told["runs"] == 3
    decode, wait = told["figures"]["decode"], told["figures"]["wait"]
    assert decode["compared"] == 0.5
    assert decode["spread"] == pytest.approx(0.5 / 0.45 - 1, abs=1e-4)
    assert decode["tolerance"] == pytest.approx(1 + 2.5 * (0.5 / 0.45 - 1), abs=1e-3)
    assert (wait["tolerance"], wait["value"], wait["unit"]) == (1.15, 402.0, "ms")


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=9))
def test_the_runs_of_a_baseline_pass_by_it(values: list[float]) -> None:
    runs = [check(value) for value in values]
    baseline = read_baseline(json.loads(json.dumps(make_baseline(runs))))
    for run in runs:
        assert compare(run, baseline).verdict is Verdict.PASSED


def test_of_an_unsteady_machine_no_baseline_is_made() -> None:
    unsteady, crowded = check(cpu=[10.0, 20.0]), check(wall=[20.0, 21.0, 20.4])
    with pytest.raises(ConfigError, match=r"2 steady runs.*wavered by 1\.05, 2\.00, 1\.05.*quiet machine"):
        make_baseline([check(), unsteady, check()])
    with pytest.raises(ConfigError, match=r"by the clock took 1\.05, 1\.05, 2\.00 times"):
        make_baseline([check(), check(), crowded])
    told = make_baseline([check(0.5), unsteady, check(0.5), check(0.5), crowded])
    assert (told["runs"], told["figures"]["decode"]["spread"]) == (3, 0.0)


@pytest.mark.parametrize(
    "told",
    [
        [],
        {},
        {"form": 2, "figures": {}},
        {"form": 1, "figures": []},
        {"form": 1, "figures": {"decode": {"compared": "a", "tolerance": 1}}},
        {"form": 1, "figures": {"decode": {"compared": 0, "tolerance": 1.2}}},
        {"form": 1, "figures": {"decode": {"compared": float("nan"), "tolerance": 1.2}}},
        {"form": 1, "figures": {"decode": {"compared": 1, "tolerance": 0.5}}},
    ],
)
def test_what_is_no_baseline_is_told_so(told: Any) -> None:
    with pytest.raises(ConfigError, match="baseline"):
        read_baseline(told)


def test_a_check_is_told_with_how_the_calibration_went() -> None:
    told = check(cpu=[10.0, 11.0]).to_json()
    assert told["calibration"] == {
        "cpu_ms": [10.0, 11.0],
        "wall_ms": [10.5, 11.55],
        "waver": 1.1,
        "crowded": 1.05,
    }
    assert told["figures"]["decode"]["compared"] == 0.5
    assert waver([2.0, 1.0, 4.0]) == 4.0


class Machine:
    """A machine on which work takes what it takes, and all of it more where the machine is slow."""

    def __init__(self, slow: float = 1.0) -> None:
        self.slow = slow
        self.seconds = 0.0

    def work(self, ms: float) -> None:
        self.seconds += ms * self.slow / 1000

    def clock(self) -> tuple[float, float]:
        return self.seconds, 1.02 * self.seconds

    def run(self, times: int) -> Taken:
        """The calibration: 10 ms on a machine of usual speed."""
        return measure(lambda: self.work(10.0), times, self.clock)


class Thinking(ScriptedEngine):
    """An engine whose decodes take 6 ms of such a machine."""

    def __init__(self, machine: Machine) -> None:
        super().__init__([])
        self.machine = machine

    def decode(self, request: DecodeRequest) -> Hypothesis:
        self.machine.work(6.0)
        return super().decode(request)


class Slowed:
    """An engine that thinks a while about each decode before it begins."""

    def __init__(self, engine: Thinking, ms: float) -> None:
        self._engine, self._ms = engine, ms
        self.name, self.languages = engine.name, engine.languages

    def decode(self, request: DecodeRequest) -> Hypothesis:
        self._engine.machine.work(self._ms)
        return self._engine.decode(request)


AUDIO = np.zeros(4 * 16_000, np.float32)


def measured(machine: Machine, slowed_ms: float = 0.0, tick: Callable[[], object] = lambda: None) -> Check:
    engine = Slowed(Thinking(machine), slowed_ms)
    return gate_run.work_figures(machine, gate_run.decoding(engine, AUDIO), 9, tick, machine.clock)


def baseline_of(machine: Machine) -> dict[str, Expected]:
    return read_baseline(make_baseline([measured(machine) for _ in range(3)]))


def test_unchanged_code_passes_on_any_machine() -> None:
    baseline = baseline_of(Machine())
    for slow in (0.2, 1.0, 1.7, 30.0):
        assert compare(measured(Machine(slow)), baseline) == Judgement(Verdict.PASSED), slow


def test_a_decode_that_has_become_slower_is_named_on_any_machine() -> None:
    baseline = baseline_of(Machine())
    for slow in (0.2, 1.0, 1.7, 30.0):
        judgement = compare(measured(Machine(slow), slowed_ms=1.5), baseline)
        assert judgement.verdict is Verdict.WORSE, slow
        assert [sentence.partition(" (")[0] for sentence in judgement.worse] == [
            "decode_partial_3_s: 1.25 times what it was",
            "decode_final_3_s: 1.25 times what it was",
        ]


def test_a_machine_that_becomes_slower_and_slower_does_not_lie() -> None:
    """It is as slow at the calibration beside each decode; by a fifth in all is still a verdict."""
    machine, baseline = Machine(), baseline_of(Machine())

    def tire() -> None:
        machine.slow *= 1.02

    assert compare(measured(machine, tick=tire), baseline).verdict is Verdict.PASSED
    machine.slow = 1.0
    assert compare(measured(machine, 1.5, tire), baseline).verdict is Verdict.WORSE


def test_a_machine_that_becomes_much_slower_says_nothing() -> None:
    machine, baseline = Machine(), baseline_of(Machine())

    def tire() -> None:
        machine.slow *= 1.1

    judgement = compare(measured(machine, 1.5, tire), baseline)
    assert (judgement.verdict, judgement.worse) == (Verdict.NONE, ())
    assert "unsteady" in judgement.not_judged[0]


def test_the_works_are_done_between_calibrations() -> None:
    calibration = Calibration(load("clean", limit=1)[0].audio())
    ticks: list[None] = []
    works = [gate_run.Work("nothing", partial(sum, range(1_000)), count=10)]
    found = gate_run.work_figures(calibration, works, 3, lambda: ticks.append(None))
    assert len(ticks) == 3
    assert len(found.calibration_cpu_ms) == 3
    assert 0 < found.readings["nothing"].compared < 0.1
