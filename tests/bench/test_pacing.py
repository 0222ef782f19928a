"""Frames leave by absolute deadlines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.pacing import FRAME, Pacer


def test_a_frame_is_due_when_its_span_is_over():
    pacer = Pacer(begun=100.0)
    assert round(pacer.due, 6) == 100.02
    pacer.send(100.02)
    assert round(pacer.due, 6) == 100.04
    assert pacer.media_ms == 20
    assert pacer.wall(20) == 100.02


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=50))
def test_lateness_is_noted_and_never_adds_up(late):
    pacer = Pacer(begun=7.0)
    for number, seconds in enumerate(late, 1):
        due = 7.0 + number * 0.02
        assert abs(pacer.due - due) < 1e-9
        pacer.send(due + seconds)
    assert all(abs(lag - 1000 * s) < 1e-6 for lag, s in zip(pacer.lags_ms, late, strict=True))
    assert pacer.media_ms == 20 * len(late)


def test_who_sends_early_is_not_late():
    pacer = Pacer(begun=0.0)
    pacer.send(0.0)
    assert pacer.lags_ms == [0.0]
    assert FRAME == 320
