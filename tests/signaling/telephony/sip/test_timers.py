"""Many deadlines: the right one is next, whatever was moved or cancelled; nothing is kept of the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling.telephony.sip.timers import SLACK, Timers

NAMES = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3))
STEPS = st.lists(st.tuples(NAMES, st.none() | st.floats(0, 100)), max_size=60)


@given(STEPS, st.floats(0, 100))
def test_what_is_due_comes_in_order(steps, now):
    timers, expected = Timers(), {}
    for name, at in steps:
        if at is None:
            timers.cancel(name)
            expected.pop(name, None)
        else:
            timers.set(name, at)
            expected[name] = at
    assert timers.next() == min(expected.values(), default=None)
    popped = []
    while (name := timers.pop(now)) is not None:
        popped.append(name)
    assert sorted(popped) == sorted(name for name, at in expected.items() if at <= now)
    assert [expected[name] for name in popped] == sorted(expected[name] for name in popped)
    assert len(timers) == sum(at > now for at in expected.values())


def test_what_is_out_of_date_is_not_kept():
    timers = Timers()
    for number in range(10_000):
        timers.set(("one", 0), float(number))
        timers.set(("two", number), 1.0)
        timers.cancel(("two", number))
    assert len(timers) == 1
    assert len(timers._heap) <= 2 * len(timers) + SLACK + 1
