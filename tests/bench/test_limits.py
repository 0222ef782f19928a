"""The limits of capacity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.limits import Figures, Limits, backlog, exceeded

GOOD = Figures(ttfs_p95_ms=600.0, partial_lag_p95_ms=100.0, backlog=1.0, step=0)


@pytest.mark.parametrize(
    ("figures", "limits", "words"),
    [
        (GOOD, Limits(), ()),
        (
            Figures(ttfs_p95_ms=1_000, partial_lag_p95_ms=100),
            Limits(),
            ("p95 TTFS 1000 ms, 1.67 times that of one session",),
        ),
        (Figures(ttfs_p95_ms=1_000, partial_lag_p95_ms=100), Limits(ttfs_ratio=None), ()),
        (GOOD, Limits(ttfs_p95_ms=500), ("p95 TTFS 600 ms",)),
        (Figures(ttfs_p95_ms=600, partial_lag_p95_ms=701), Limits(), ("p95 partial lag 701 ms",)),
        (Figures(ttfs_p95_ms=600, partial_lag_p95_ms=None), Limits(), ()),
        (Figures(ttfs_p95_ms=600, partial_lag_p95_ms=1, lost=2), Limits(), ("2 turns lost",)),
        (Figures(ttfs_p95_ms=600, partial_lag_p95_ms=1, lost=2), Limits(lost=2), ()),
        (
            Figures(ttfs_p95_ms=600, partial_lag_p95_ms=1, backlog=1.3),
            Limits(),
            ("partials lag more and more, by 1.30 in the last third",),
        ),
        (
            Figures(ttfs_p95_ms=600, partial_lag_p95_ms=1, step=2),
            Limits(step=1),
            ("ladder of load at step 2",),
        ),
        (Figures(ttfs_p95_ms=None, partial_lag_p95_ms=1), Limits(), ("no turn had a final",)),
    ],
)
def test_what_was_not_kept_is_said(figures: Figures, limits: Limits, words: tuple[str, ...]) -> None:
    assert exceeded(figures, limits, 600.0) == words


def test_without_a_session_alone_there_is_no_ratio() -> None:
    assert exceeded(Figures(ttfs_p95_ms=9_000, partial_lag_p95_ms=1), Limits(), None) == ()


def test_the_limits_are_told_in_words() -> None:
    assert Limits().words() == (
        "p95 TTFS at most 1.5 times that of one session, p95 partial lag at most 700 ms, no turn lost, "
        "no growing backlog"
    )
    assert Limits(ttfs_ratio=None, ttfs_p95_ms=800, lost=3, backlog=None, step=1).words() == (
        "p95 TTFS at most 800 ms, p95 partial lag at most 700 ms, at most 3 turns lost, "
        "ladder of load at step 1 or below"
    )
    nothing = Limits(ttfs_ratio=None, partial_lag_p95_ms=None, lost=None, backlog=None)
    assert nothing.words() == "no limits"
    assert exceeded(Figures(ttfs_p95_ms=1e9, partial_lag_p95_ms=1e9, lost=9, backlog=9.0), nothing, 1) == ()


def test_a_backlog_grows_from_the_middle_to_the_last_third() -> None:
    steady = [(at / 10, 300.0) for at in range(300)]
    assert backlog(steady, 0, 30) == 1.0
    rising = [(at / 10, 100.0 + 10 * at / 10) for at in range(300)]
    assert backlog(rising, 0, 30) == pytest.approx(350 / 250, abs=0.01)


def test_small_lags_do_not_grow() -> None:
    assert backlog([(15.0, 20.0), (25.0, 190.0)], 0, 30) == 1.0


def test_too_little_to_tell() -> None:
    assert backlog([], 0, 30) is None
    assert backlog([(25.0, 300.0)], 0, 30) is None


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0, 10_000)), max_size=40),
    st.floats(-1e4, 1e4),
)
def test_a_backlog_does_not_depend_on_when_the_clock_began(
    lags: list[tuple[float, float]], start: float
) -> None:
    # Away from the borders of the thirds, which rounding would move.
    kept = [(at, lag) for at, lag in lags if min(at % 10, 10 - at % 10) > 1e-6]
    moved = [(at + start, lag) for at, lag in kept]
    assert backlog(kept, 0, 30) == backlog(moved, start, start + 30)
