"""Gateways over replicas that all of them use, on a clock of their own."""

from __future__ import annotations

import random

import pytest

from rtc_stt.hypothesis import Tier
from rtc_stt.simulation import Fleet, FleetSetting, Manner, Scaler, Seen, Setting, Told, plan_fleet
from rtc_stt.simulation.fleet import day
from rtc_stt.simulation.fleet_plan import simulate_fleet
from rtc_stt.simulation.lanes import ReplicaTier, Work
from rtc_stt.simulation.plan import Limits
from rtc_stt.simulation.service_times import MachineTimes, ServiceTimes
from rtc_stt.simulation.timeline import Timeline


def constant(seconds: float) -> ServiceTimes:
    return ServiceTimes((1,), (1.0,), ((seconds,),))


def setting(seconds: float = 0.02, **more: object) -> FleetSetting:
    manner = Manner(turn_s=(3.0,), silence_s=(3.0,), doubted=0.0)
    times = MachineTimes("made up", 1, {Tier.FAST: constant(seconds)})
    return FleetSetting(node=Setting(times=times, manner=manner), **more)  # type: ignore[arg-type]


def tier(timeline: Timeline, seconds: float = 0.1, told: Told = Told.ALIVE) -> ReplicaTier:
    made = ReplicaTier(
        timeline, constant(seconds), calls=1, network_s=0.01, told=told, chance=random.Random(1)
    )
    made.add()
    made.add()
    return made


def test_a_call_takes_the_way_there_and_back_too():
    timeline, done = Timeline(), list[float]()
    lane = tier(timeline).lane()
    lane.start(Work(1, 1.0, 0), lambda: done.append(timeline.now))
    timeline.run(1.0)
    assert done == [pytest.approx(0.12)]


def test_each_replica_gets_its_calls_and_one_more_that_waits():
    timeline, done = Timeline(), list[float]()
    lane = tier(timeline).lane()
    assert lane.free == 4
    for stream in range(4):
        lane.start(Work(1, 1.0, stream), lambda: done.append(timeline.now))
    assert lane.free == 0
    timeline.run(1.0)
    assert done == [pytest.approx(at) for at in (0.12, 0.12, 0.22, 0.22)]
    assert lane.free == 4


def test_what_a_dead_replica_had_is_answered_by_another_once():
    timeline, done = Timeline(), list[int]()
    made = tier(timeline)
    lane = made.lane()
    for stream in range(4):
        lane.start(Work(1, 1.0, stream), lambda stream=stream: done.append(stream))
    timeline.run(0.05)
    made.remove(dies=True)
    timeline.run(1.0)
    assert sorted(done) == [0, 1, 2, 3]


def test_where_no_replica_is_left_calls_wait_for_the_next_one():
    timeline, done = Timeline(), list[float]()
    made = tier(timeline)
    lane = made.lane()
    made.remove(dies=True)
    made.remove(dies=True)
    assert lane.free == 0
    lane.start(Work(1, 1.0, 0), lambda: done.append(timeline.now))
    timeline.run(5.0)
    assert not done
    made.add()
    timeline.run(6.0)
    assert len(done) == 1


def test_a_replica_that_is_taken_away_answers_what_it_has():
    timeline, done = Timeline(), list[float]()
    made = tier(timeline)
    lane = made.lane()
    lane.start(Work(1, 1.0, 1), lambda: done.append(timeline.now))
    timeline.run(0.05)
    made.remove(dies=False)
    timeline.run(1.0)
    assert done == [pytest.approx(0.12)]


def fleet(sessions: int, replicas: int, **more: object) -> tuple[Timeline, Fleet]:
    timeline = Timeline()
    made = Fleet(timeline, setting(**more), {Tier.FAST: replicas}, seed=1)
    made.set_sessions(sessions)
    return timeline, made


def test_sessions_are_dealt_out_and_those_of_a_lost_gateway_come_again():
    timeline, made = fleet(40, 4, sessions_a_gateway=10)
    timeline.run(20)
    assert made.gateways == 4
    before = made.end_minute()
    made.lose_gateway()
    assert made.gateways == 3
    timeline.run(40)
    behind = made.end_minute()
    assert behind.sessions == 40
    assert behind.finals == pytest.approx(before.finals, rel=0.4), "all forty speak"
    made.set_sessions(0)
    timeline.run(60)
    made.end_minute()
    timeline.run(80)
    assert made.end_minute().finals == 0


def test_a_lost_replica_is_replaced_when_another_has_started():
    timeline, made = fleet(10, 3, start_s=5.0)
    timeline.run(2.5)
    made.lose_replica()
    assert made.replicas() == 2
    timeline.run(7.5)
    assert made.replicas() == 2
    timeline.run(9.5)
    assert made.replicas() == 3


def test_replicas_follow_the_scaler_up_after_their_start_and_down_at_once():
    seen = list[Seen]()

    def make() -> Scaler:
        def scale(told: Seen, target: int, now: float) -> int:
            seen.append(told)
            return 5 if now < 20 else 1

        return scale

    timeline, made = fleet(10, 2, start_s=5.0, scaler=make)
    timeline.run(5.5)
    assert made.replicas() == 2
    timeline.run(7.5)
    assert made.replicas() == 5
    timeline.run(22)
    assert made.replicas() == 1
    assert {told.running for told in seen} == {2, 5, 1}
    assert all(0 <= told.busy <= told.calls and told.queued_audio_s >= 0 for told in seen)


def test_the_same_seed_gives_the_same_and_more_replicas_are_no_slower():
    one = simulate_fleet(setting(0.05), 40, 4, seconds=20)
    assert one == simulate_fleet(setting(0.05), 40, 4, seconds=20)
    more = simulate_fleet(setting(0.05), 40, 16, seconds=20)
    assert (more.final_decode_p95_ms or 0) <= (one.final_decode_p95_ms or 0)
    assert more.busy < one.busy


def test_gateways_that_hear_late_of_each_other_all_choose_the_same_replica():
    late, at_once = (
        simulate_fleet(setting(0.01, sessions_a_gateway=20, told=told), 100, 6, seconds=20)
        for told in (Told.ALIVE, Told.ANSWERS)
    )
    assert (late.final_decode_p95_ms or 0) > 1.3 * (at_once.final_decode_p95_ms or 0)


@pytest.mark.slow
def test_a_plan_of_a_fleet_keeps_its_limits_and_has_spares():
    plan = plan_fleet(setting(0.05), 24, Limits(sessions_a_process=6), spare=1, seconds=6)
    assert plan
    assert plan.gateways == 5
    assert plan.replicas >= 3
    assert (plan.replicas - 1) * plan.sessions_a_replica >= 24 * 0.99
    assert (plan.full.final_p95_ms or 0) <= 200
    assert plan.full.sessions == 30


def test_replicas_that_are_too_slow_for_one_session_give_no_plan():
    assert plan_fleet(setting(2.0), 1, Limits(), seconds=10) is None


def test_a_day_has_a_peak_in_the_afternoon():
    assert day(16 / 24) == pytest.approx(1.0)
    assert day(4 / 24) == pytest.approx(0.1)
    assert all(0.1 <= day(part / 96) <= 1.0 + 1e-9 for part in range(96))
