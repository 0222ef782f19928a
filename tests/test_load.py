"""The ladder: up while it is too much, down when there is room, and not to and fro."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.load import FALL_S, FULL_EFFORT, RISE_S, SETTLE_S, Ladder, Pressure, Step, effort_at

TICK = 0.125
CALM = Pressure(utilisation=0.0, final_wait_s=0.0, partial_wait_s=0.0, fill=0.0)
OVER = Pressure(utilisation=1.0, final_wait_s=2.0, partial_wait_s=5.0, fill=0.2)


class Machine:
    """A ladder on a clock of its own."""

    def __init__(self) -> None:
        self.ladder = Ladder()
        self.now = 0.0
        self.changes: list[tuple[float, Step]] = []

    def see(self, pressure: Pressure, seconds: float, tick: float = TICK) -> Step:
        """The same for some time."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now += tick
            before = self.ladder.step
            step = self.ladder.observe(self.now, pressure)
            assert abs(step - before) <= 1, "one step at a time"
            if step is not before:
                self.changes.append((self.now, step))
        return self.ladder.step

    def carry(self, load: float, seconds: float) -> Step:
        """A load, as a multiple of what the machine can at NORMAL, of which each step leaves less."""
        for _ in range(round(seconds / TICK)):
            demand = load * LEFT[self.ladder.step]
            wait_s = 1.0 if demand > 1 else 0.1
            self.see(Pressure(min(1.0, demand), wait_s / 2, wait_s, 0.0), TICK)
        return self.ladder.step


LEFT = {
    Step.NORMAL: 1.0,
    Step.SLOW_PARTIALS: 0.5,
    Step.FEW_PARTIALS: 0.3,
    Step.NO_EAGER: 0.25,
    Step.NO_REDECODE: 0.22,
    Step.REFUSE: 0.22,
}
"""What each step leaves of the load: a model, with most of it in the partials."""


def test_each_step_leaves_out_what_those_before_it_do():
    efforts = [effort_at(step) for step in Step]
    assert efforts[0] == FULL_EFFORT
    for more, less in pairwise(efforts):
        assert less.partial_stretch >= more.partial_stretch
        assert (less.eager, less.redecode) <= (more.eager, more.redecode)
    assert (efforts[-1].eager, efforts[-1].redecode) == (False, False)


def test_in_peace_nothing_is_left_out():
    assert Machine().see(CALM, 60) is Step.NORMAL


def test_a_busy_machine_on_which_nobody_waits_is_not_overloaded():
    busy = Pressure(utilisation=1.0, final_wait_s=0.15, partial_wait_s=0.35, fill=0.1)
    assert Machine().see(busy, 60) is Step.NORMAL


@pytest.mark.parametrize("what", [{"final_wait_s": 0.3}, {"partial_wait_s": 0.5}, {"fill": 0.6}])
def test_each_kind_of_waiting_is_overload(what):
    calm = {"utilisation": 0.2, "final_wait_s": 0.0, "partial_wait_s": 0.0, "fill": 0.0}
    assert Machine().see(Pressure(**{**calm, **what}), 1) > Step.NORMAL


def test_a_burst_is_not_overload():
    machine = Machine()
    for _ in range(20):
        machine.see(OVER, 0.25)
        machine.see(CALM, 0.5)
    assert machine.changes == []


def test_lasting_overload_goes_up_step_by_step_to_the_last():
    machine = Machine()
    assert machine.see(OVER, 20) is Step.REFUSE
    assert [step for _, step in machine.changes] == list(Step)[1:]
    times = [0.0, *(when for when, _ in machine.changes)]
    assert times[1] >= RISE_S
    assert all(later - earlier >= SETTLE_S for earlier, later in pairwise(times[1:]))
    assert machine.changes[-1][0] <= 6


@pytest.mark.parametrize("overload_s", [6, 180])
def test_ten_seconds_after_the_load_has_gone_nothing_is_left_out(overload_s):
    machine = Machine()
    machine.see(OVER, overload_s)
    ended = machine.now
    assert machine.see(CALM, 10) is Step.NORMAL
    falls = [when - ended for when, _ in machine.changes if when > ended]
    assert falls[0] >= FALL_S
    assert falls[-1] < 9


def test_a_long_silence_between_two_looks_is_not_taken_for_overload():
    machine = Machine()
    for _ in range(20):  # each a burst of its own, a minute apart
        machine.now += 60
        machine.see(OVER, TICK)
        machine.see(CALM, TICK)
    assert machine.changes == []


def test_no_step_is_left_while_its_return_would_find_no_room():
    machine = Machine()
    machine.see(OVER, 0.6)
    assert machine.ladder.step is Step.SLOW_PARTIALS
    assert machine.see(Pressure(0.5, 0.0, 0.0, 0.0), 30) is Step.SLOW_PARTIALS
    assert machine.see(Pressure(0.25, 0.0, 0.0, 0.0), 3) is Step.NORMAL


@pytest.mark.parametrize("load", [1.1, 1.5, 1.9, 2.1, 3.0, 4.0])
def test_a_steady_load_settles(load):
    machine = Machine()
    machine.carry(load, 120)
    before = len(machine.changes)
    machine.carry(load, 120)
    assert len(machine.changes) - before <= 8, "a try and a return a minute at the most, for some steps"


@pytest.mark.parametrize("load", [1.5, 4.0])
def test_when_the_load_falls_all_is_soon_as_before(load):
    machine = Machine()
    machine.carry(load, 180)
    machine.carry(0.25, 10)
    assert machine.ladder.step is Step.NORMAL


@given(
    st.lists(
        st.tuples(
            st.builds(
                Pressure,
                utilisation=st.floats(0, 1),
                final_wait_s=st.sampled_from([0.0, 0.1, 0.3, 5.0]),
                partial_wait_s=st.sampled_from([0.0, 0.3, 0.5, 5.0]),
                fill=st.sampled_from([0.0, 0.4, 0.6, 2.0]),
            ),
            st.floats(0.1, 5),
            st.sampled_from([0.1, TICK, 0.25]),
        ),
        max_size=12,
    )
)
def test_whatever_came_before_steps_keep_their_distance_and_peace_returns(weather):
    machine = Machine()
    for pressure, seconds, tick in weather:
        before = machine.ladder.step
        step = machine.see(pressure, seconds, tick)
        assert step >= before or not pressure.is_over, "never down while it is over"
        assert step <= before or pressure.is_over, "never up while it is not"
    for (earlier, a), (later, b) in pairwise(machine.changes):
        assert later - earlier >= (SETTLE_S if b > a else FALL_S) - 1e-6
    assert machine.see(CALM, 10) is Step.NORMAL
    assert machine.see(OVER, 6) is Step.REFUSE
