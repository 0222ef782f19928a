"""How many replicas are wanted, whatever the load does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.replicas.scaling import GROWTH, Aim, Load, Past, queue_policy, read_load, wanted

AIM = Aim(floor=1, ceiling=8, queued_audio_s=2.0, patience_s=60.0)

aims = st.builds(
    lambda floor, more, queued, patience: Aim(floor, floor + more, queued, patience),
    st.integers(1, 20), st.integers(0, 20), st.floats(0.1, 30), st.floats(1, 600),
)  # fmt: skip


@st.composite
def loads(draw: st.DrawFn) -> Load:
    running = draw(st.integers(0, 50))
    calls = running * draw(st.integers(1, 8))
    return Load(running, draw(st.floats(0, 5_000)), draw(st.floats(0, 1)) * calls, calls)


def load(running: int, *, queued: float = 0.0, busy: float = 0.0) -> Load:
    """Of replicas with one call each; ``busy`` is the share of it."""
    return Load(running, queued, busy * running, running)


def test_a_queue_asks_for_more_at_once() -> None:
    assert wanted(AIM, load(2, queued=7.0), 2, Past(), 0.0) == (4, Past())


def test_and_for_twice_those_that_run_at_most() -> None:
    assert wanted(AIM, load(2, queued=500.0), 2, Past(), 0.0)[0] == 4
    # They start, and the queue grows meanwhile: that says nothing new.
    assert wanted(AIM, load(2, queued=900.0), 4, Past(), 1.0)[0] == 4


def test_a_queue_that_each_may_have_asks_for_nothing() -> None:
    assert wanted(AIM, load(3, queued=6.0, busy=0.5), 3, Past(), 0.0) == (3, Past())


def test_replicas_that_are_busy_get_help_before_a_queue_is_there() -> None:
    assert wanted(AIM, load(4, busy=0.9), 4, Past(), 0.0)[0] == 6


def test_fewer_come_only_after_the_patience_and_never_fewer_than_were_wanted_meanwhile() -> None:
    target, past = wanted(AIM, load(6), 6, Past(), 100.0)
    assert (target, past) == (6, Past(100.0, 1))
    target, past = wanted(AIM, load(6, busy=0.3), target, past, 130.0)
    assert (target, past) == (6, Past(100.0, 3))
    target, past = wanted(AIM, load(6), target, past, 159.9)
    assert target == 6
    assert wanted(AIM, load(6), target, past, 160.0) == (3, Past())


def test_where_nothing_is_known_all_stays() -> None:
    assert wanted(AIM, None, 5, Past(1.0, 2), 1_000.0) == (5, Past())
    assert wanted(AIM, load(0), 5, Past(), 0.0) == (5, Past())


@given(
    aims,
    st.lists(st.tuples(st.one_of(st.none(), loads()), st.floats(0, 100)), max_size=30),
    st.integers(0, 60),
)
def test_it_is_always_within_bounds_and_never_less_before_the_patience_is_over(
    aim: Aim, steps: list[tuple[Load | None, float]], target: int
) -> None:
    now, past, low_since = 0.0, Past(), None
    target = min(max(target, aim.floor), aim.ceiling)
    for seen, pause in steps:
        now += pause
        count, past = wanted(aim, seen, target, past, now)
        assert aim.floor <= count <= aim.ceiling
        if count < target:
            assert low_since is not None
            assert now - low_since >= aim.patience_s
        low_since = past.since
        if seen and count > target:
            assert count <= max(GROWTH * seen.running, aim.floor)
        target = count


@given(aims, loads(), st.floats(0, 1_000))
def test_more_that_waits_never_asks_for_fewer(aim: Aim, seen: Load, more: float) -> None:
    fuller = Load(seen.running, seen.queued_audio_s + more, seen.busy, seen.calls)
    few, many = (wanted(aim, one, aim.floor, Past(), 0.0)[0] for one in (seen, fuller))
    assert few <= many


@given(aims, st.integers(1, 40))
def test_where_nobody_speaks_the_floor_is_reached(aim: Aim, target: int) -> None:
    now, past, target = 0.0, Past(), min(max(target, aim.floor), aim.ceiling)
    for _ in range(3):
        target, past = wanted(aim, load(target), target, past, now)
        now += aim.patience_s
    assert target == aim.floor


# ── What Serve calls ────────────────────────────────────────────────────────────


def context(
    metrics: dict[str, dict[str, float]] | None, *, floor: int = 1, **more: object
) -> SimpleNamespace:
    config = SimpleNamespace(
        min_replicas=floor, max_replicas=4, target_ongoing_requests=2.0, downscale_delay_s=60.0
    )
    told = {"current_num_replicas": 2, "target_num_replicas": 2, "policy_state": None, "current_time": 10.0}
    return SimpleNamespace(config=config, aggregated_metrics=metrics, **(told | more))


def test_every_gateway_tells_every_replica_its_whole_queue_so_the_largest_counts() -> None:
    metrics = {
        "queued_audio_s": {"a": 6.0, "b": 5.5},
        "busy": {"a": 1.0, "b": 1.0},
        "calls": {"a": 2, "b": 2},
    }
    assert read_load(2, metrics) == Load(2, 6.0, 2.0, 4.0)
    assert queue_policy(context(metrics)) == (3, {"since": None, "most": None})


def test_those_that_have_told_nothing_yet_count_like_the_others() -> None:
    metrics = {"queued_audio_s": {"a": 0.0}, "busy": {"a": 1.0}, "calls": {"a": 1}}
    assert read_load(3, metrics) == Load(3, 0.0, 3.0, 3.0)


@pytest.mark.parametrize("metrics", [None, {}, {"calls": {}}])
def test_without_figures_nothing_changes(metrics: dict[str, dict[str, float]] | None) -> None:
    assert queue_policy(context(metrics))[0] == 2


def test_what_is_remembered_goes_through_serve() -> None:
    quiet = {"queued_audio_s": {"a": 0.0}, "busy": {"a": 0.0}, "calls": {"a": 1}}
    count, state = queue_policy(context(quiet))
    assert (count, state) == (2, {"since": 10.0, "most": 1})
    assert queue_policy(context(quiet, policy_state=state, current_time=70.0)) == (
        1, {"since": None, "most": None},
    )  # fmt: skip


def test_a_drained_tier_has_none() -> None:
    busy = {"queued_audio_s": {"a": 99.0}, "busy": {"a": 1.0}, "calls": {"a": 1}}
    assert queue_policy(context(busy, floor=0)) == (0, {})
