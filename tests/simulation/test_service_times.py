"""What lies between the measured points, and beyond them."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import ConfigError
from rtc_stt.hypothesis import Tier
from rtc_stt.simulation.service_times import ServiceTimes, read_times

TABLE = ServiceTimes((1, 2, 8), (1.0, 4.0), ((0.1, 0.4), (0.15, 0.6), (0.45, 1.8)), (0.5, 1.0, 1.5))


@pytest.mark.parametrize(
    ("batch", "length_s", "seconds"),
    [
        (1, 1.0, 0.1),
        (1, 4.0, 0.4),
        (1, 2.5, 0.25),
        (1, 7.0, 0.7),
        (1, 0.2, 0.1),
        (2, 1.0, 0.15),
        (5, 1.0, 0.3),
        (5, 2.5, 0.75),
        (14, 1.0, 0.75),
    ],
)
def test_lines_go_through_the_points_and_on_behind_them(batch, length_s, seconds):
    assert TABLE.typical(batch, length_s) == pytest.approx(seconds)


@given(st.integers(1, 64), st.floats(0.01, 60.0))
def test_no_call_is_free_however_the_points_lie(batch, length_s):
    falling = ServiceTimes((1, 2), (1.0, 2.0), ((0.2, 0.1), (0.15, 0.1)))
    assert falling.typical(batch, length_s) > 0
    assert TABLE.typical(batch, length_s) > 0


def test_calls_are_spread_as_they_were_measured():
    chance = random.Random(1)
    drawn = {round(TABLE.draw(1, 1.0, chance), 6) for _ in range(50)}
    assert drawn == {0.05, 0.1, 0.15}


def test_one_point_is_a_table():
    assert ServiceTimes((1,), (1.0,), ((0.1,),)).typical(9, 9.0) == 0.1


@pytest.mark.parametrize(
    "arguments",
    [
        ((), (1.0,), ()),
        ((1,), (), ((),)),
        ((1, 2), (1.0,), ((0.1,),)),
        ((1,), (1.0, 2.0), ((0.1,),)),
        ((2, 1), (1.0,), ((0.1,), (0.2,))),
        ((0, 1), (1.0,), ((0.1,), (0.2,))),
        ((1,), (1.0,), ((0.0,),)),
        ((1,), (1.0,), ((0.1,),), ()),
        ((1,), (1.0,), ((0.1,),), (0.0,)),
    ],
)
def test_what_is_no_table_is_refused(arguments):
    with pytest.raises(ConfigError, match="service times"):
        ServiceTimes(*arguments)


def test_a_file_is_read_as_it_was_written():
    table = {"batches": [1, 2], "lengths_s": [1], "seconds": [[0.1], [0.2]], "spread": [0.9, 1.1]}
    times = read_times(json.dumps({"name": "two cores", "concurrency": 2, "tiers": {"fast": table}}))
    assert (times.name, times.concurrency) == ("two cores", 2)
    assert times.tiers == {Tier.FAST: ServiceTimes((1, 2), (1.0,), ((0.1,), (0.2,)), (0.9, 1.1))}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"name": "x", "concurrency": 1, "tiers": {}}',
        '{"name": "x", "concurrency": 1, "tiers": {"slow": {}}}',
        '{"name": "x", "concurrency": 1, "tiers": {"fast": {"batches": [1]}}}',
    ],
)
def test_what_is_no_such_file_is_refused(text):
    with pytest.raises(ConfigError, match="service times"):
        read_times(text)
