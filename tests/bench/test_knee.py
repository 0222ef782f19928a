"""Where more at a time only wait longer."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.knee import GROWTH, SLOWDOWN, Stride, knee


def steps(*rows):
    return [Stride(n, throughput, p95) for n, throughput, p95 in rows]


@pytest.mark.parametrize(
    ("measured", "found"),
    [
        pytest.param(
            [(1, 10, 100), (2, 19, 105), (4, 20, 150), (8, 30, 160)], 2, id="throughput stops growing"
        ),
        pytest.param([(1, 10, 100), (2, 19, 150), (4, 30, 201), (8, 60, 150)], 2, id="too slow"),
        pytest.param([(1, 10, 100), (2, 11, 200)], 2, id="just so"),
        pytest.param([(1, 10, 100), (2, 9, 90)], 1, id="never grows"),
        pytest.param([(1, 10, 100), (2, 20, 100), (4, 40, 100)], 4, id="no knee yet"),
        pytest.param([(4, 10, 100)], 4, id="one step"),
        pytest.param([(1, 0, 0), (2, 20, 100)], None, id="nothing answered"),
        pytest.param([], None, id="no step"),
    ],
)
def test_the_knee_is_the_last_step_that_was_worth_it(measured, found):
    assert knee(steps(*measured)) == found


figures = st.floats(0.1, 1e4)


@given(st.lists(st.tuples(figures, figures), min_size=1, max_size=6))
def test_up_to_the_knee_every_step_carries_more_and_nobody_waits_twice_as_long(rows):
    measured = [Stride(2**n, throughput, p95) for n, (throughput, p95) in enumerate(rows)]
    reached = [step for step in measured if step.concurrency <= knee(measured)]
    for before, after in itertools.pairwise(reached):
        assert after.throughput >= GROWTH * before.throughput
        assert after.p95_ms <= SLOWDOWN * measured[0].p95_ms
