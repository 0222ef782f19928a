"""Speakers and a machine on a clock of their own."""

from __future__ import annotations

import dataclasses

import pytest

from rtc_stt.config import Routing, StreamOptions
from rtc_stt.hypothesis import Tier
from rtc_stt.load import Step
from rtc_stt.simulation import Manner, Setting, simulate
from rtc_stt.simulation.plan import Limits, keeps, make_plan
from rtc_stt.simulation.run import Figures
from rtc_stt.simulation.service_times import MachineTimes, ServiceTimes
from rtc_stt.simulation.timeline import Timeline


def constant(seconds: float) -> ServiceTimes:
    """The same for any call."""
    return ServiceTimes((1,), (1.0,), ((seconds,),))


def setting(fast: float = 0.02, accurate: float | None = None, **more: object) -> Setting:
    tiers = {Tier.FAST: constant(fast)} | ({Tier.ACCURATE: constant(accurate)} if accurate else {})
    manner = Manner(turn_s=(3.0,), silence_s=(2.0,), doubted=1.0 if accurate else 0.0)
    return Setting(times=MachineTimes("made up", 1, tiers), manner=manner, **more)  # type: ignore[arg-type]


def test_events_of_one_time_come_in_the_order_in_which_they_were_set():
    timeline, told = Timeline(), list[str]()
    timeline.after(2.0, lambda: told.append("c"))
    timeline.after(1.0, lambda: told.append("a"))
    timeline.after(1.0, lambda: (told.append("b"), timeline.after(0.5, lambda: told.append("b2"))))
    timeline.run(1.6)
    assert told == ["a", "b", "b2"]
    assert timeline.now == 1.6
    timeline.run(5.0)
    assert told[-1] == "c"


def test_a_lone_speaker_has_the_final_before_the_endpoint():
    told = simulate(setting(), 1, seconds=100)
    assert 18 <= told.finals <= 22, "a turn of three seconds, two of silence"
    assert told.final_p95_ms == 0.0
    assert told.final_decode_p95_ms == pytest.approx(20.0, abs=5), "a partial may be under way"
    assert told.partial_p95_ms == pytest.approx(20.0)


def test_what_a_slow_engine_takes_beyond_the_rest_of_the_hangover_is_waited_for():
    told = simulate(setting(0.5, options=StreamOptions(partials=False)), 1, seconds=100)
    assert told.partial_p95_ms is None
    # Asked for 224 ms after the last word, in a hangover of 512: the windows of the detector.
    assert told.final_p50_ms == pytest.approx(500 - (512 - 224))


def test_the_load_is_the_work_over_the_time():
    told = simulate(setting(0.05), 4, seconds=200)
    # Of a turn of three seconds: the first partial, some soon after it, then one each 256 ms; one final.
    a_turn = told.utilisation * 200 / 0.05 / told.finals
    assert 11 <= a_turn <= 15


def test_who_doubts_waits_for_the_accurate_tier_but_not_for_ever():
    told = simulate(setting(0.02, 1.0), 1, seconds=100)
    assert told.final_p50_ms == pytest.approx(20 + 1000 - (512 - 224))
    hasty = simulate(setting(0.02, 3.0, routing=Routing(redecode_deadline_ms=400)), 1, seconds=100)
    assert hasty.final_p95_ms == pytest.approx(400)


def test_the_same_seed_gives_the_same_figures_and_another_one_others():
    assert simulate(setting(0.05), 8, seconds=30) == simulate(setting(0.05), 8, seconds=30)
    assert simulate(setting(0.05), 8, seconds=30) != simulate(setting(0.05), 8, seconds=30, seed=1)


def test_too_many_climb_the_ladder_and_nobody_else_does():
    assert simulate(setting(0.05), 2, seconds=30).steps[Step.NORMAL] == 1.0
    many = simulate(setting(0.05), 60, seconds=60)
    assert many.steps[Step.NORMAL] < 0.2
    assert sum(many.steps) == pytest.approx(1.0)
    left = simulate(setting(0.05, adaptive=False), 60, seconds=60)
    assert left.steps[Step.NORMAL] == 1.0


def test_who_talks_more_makes_more_finals():
    manner = Manner(turn_s=(2.0,))
    little, much = (dataclasses.replace(setting(), manner=manner.talking(share)) for share in (0.1, 0.6))
    assert simulate(little, 4, seconds=200).finals * 4 < simulate(much, 4, seconds=200).finals


# ── The plan ──


def figures(**more: object) -> Figures:
    usual = Figures(1, 60.0, 10, 0.0, 0.0, 50.0, 50.0, 0.1, (1.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    return dataclasses.replace(usual, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more",
    [
        {"final_p95_ms": 201.0},
        {"partial_p95_ms": 701.0},
        {"utilisation": 0.81},
        {"steps": (0.99, 0.01, 0.0, 0.0, 0.0, 0.0)},
    ],
)
def test_each_limit_is_one(more):
    assert keeps(figures(), Limits())
    assert not keeps(figures(**more), Limits())
    assert keeps(figures(final_p95_ms=None, partial_p95_ms=None), Limits())


def test_a_plan_has_room_for_all_with_one_machine_away():
    plan = make_plan(setting(0.05), 100, Limits(), seconds=60)
    assert plan
    assert 4 <= plan.per_machine <= 40
    assert (plan.machines - plan.spare) * plan.per_machine >= 100
    assert (plan.machines - plan.spare - 1) * plan.per_machine < 100
    assert plan.full.utilisation <= 0.8
    assert plan.expected.sessions <= plan.per_machine
    assert [told.sessions for told in plan.tried] == sorted({told.sessions for told in plan.tried})


def test_where_other_things_end_first_a_plan_ends_there():
    plan = make_plan(setting(0.001), 100, Limits(sessions_a_process=10), spare=0, seconds=20)
    assert plan
    assert (plan.per_machine, plan.machines) == (10, 10)


def test_a_machine_that_is_too_slow_for_one_gives_no_plan():
    assert make_plan(setting(2.0), 10, Limits(), seconds=30) is None
