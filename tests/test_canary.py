"""When a new version is taken back: the rules by a table, and what holds of any two sides."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.canary import LATENCIES, Rules, Share, Side, Verdict, judge, looks, read, sums

RULES = Rules()
LIVE, RECORDINGS = LATENCIES
LOOKS = 20


def side(p95: float | None = 0.2, count: float = 500, **how: object) -> Side:
    made = Side(
        targets=2,
        up=2,
        p95={LIVE: [p95] * LOOKS, RECORDINGS: [p95] * LOOKS},
        counts={LIVE: count, RECORDINGS: count},
        errors=Share(1, 1_000),
        fallback=Share(0, 200),
    )
    return replace(made, **how)  # type: ignore[arg-type]


GOOD = side()
ONCE_QUICK = {LIVE: [0.9] * 12 + [0.2] + [0.9] * 7, RECORDINGS: [0.2] * LOOKS}
HALF = {LIVE: [None] * 10 + [0.9] * 10, RECORDINGS: [None] * 10 + [0.9] * 10}
SLOW_LIVE = {LIVE: [0.9] * LOOKS, RECORDINGS: [0.2] * LOOKS}

TABLE = {
    "the same": (GOOD, GOOD, Verdict.GO_ON, ""),
    "a little slower": (side(0.29), GOOD, Verdict.GO_ON, ""),
    "just at the limit": (side(0.3), side(0.2), Verdict.GO_ON, ""),
    "slow all the time": (side(0.31), GOOD, Verdict.ABORT, "slow"),
    "slow for live speech alone": (
        replace(GOOD, p95=SLOW_LIVE),
        GOOD,
        Verdict.ABORT,
        "slow, endpoint",
    ),
    "slow but for one look": (replace(GOOD, p95=ONCE_QUICK), GOOD, Verdict.GO_ON, ""),
    "slow since half the time": (replace(GOOD, p95=HALF), GOOD, Verdict.CANNOT_JUDGE, "at 10 of 20"),
    "slow as the baseline is": (side(2.0), side(2.0), Verdict.GO_ON, ""),
    "failing": (side(errors=Share(50, 1_000)), GOOD, Verdict.ABORT, "errors: 5.00% of 1000"),
    "failing as the baseline is": (
        side(errors=Share(50, 1_000)),
        side(errors=Share(40, 1_000)),
        Verdict.GO_ON,
        "",
    ),
    "a few failures": (side(errors=Share(4, 100)), GOOD, Verdict.GO_ON, ""),
    "failures below what counts": (
        side(errors=Share(9, 1_000)),
        side(errors=Share(0, 1_000)),
        Verdict.GO_ON,
        "",
    ),
    "everything fails": (side(None, 0, errors=Share(90, 90)), GOOD, Verdict.ABORT, "errors: 100.00%"),
    "everything fails, no baseline": (
        side(None, 0, errors=Share(90, 90)),
        side(None, 0, errors=Share(0, 3)),
        Verdict.ABORT,
        "errors",
    ),
    "fallback failures spike": (side(fallback=Share(20, 200)), GOOD, Verdict.ABORT, "fallback: 10.00%"),
    "no second opinions": (side(fallback=Share()), GOOD, Verdict.GO_ON, ""),
    "silent": (side(None, 0, errors=Share(), fallback=Share()), GOOD, Verdict.CANNOT_JUDGE, "too little"),
    "too little": (side(5.0, 10, errors=Share(0, 20)), GOOD, Verdict.CANNOT_JUDGE, "10 events"),
    "a quiet baseline": (GOOD, side(0.2, 10, errors=Share(0, 20)), Verdict.CANNOT_JUDGE, "20 at the"),
    "errors judged, latency not": (side(0.2, 10), GOOD, Verdict.CANNOT_JUDGE, "slow"),
    "away": (side(up=0), GOOD, Verdict.ABORT, "away"),
    "unknown": (Side(targets=0, up=0), GOOD, Verdict.CANNOT_JUDGE, "no process of the canary"),
    "no baseline": (GOOD, Side(targets=0, up=0), Verdict.CANNOT_JUDGE, "no process of the baseline"),
    "crashes": (side(restarts=5), GOOD, Verdict.ABORT, "restarts: 5"),
    "begun once": (side(restarts=2), GOOD, Verdict.GO_ON, ""),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_canary_is_judged(name: str) -> None:
    mine, other, verdict, says = TABLE[name]
    found = judge(mine, other, RULES)
    assert found.verdict is verdict, found
    assert any(says in reason for reason in found.reasons), found


def test_the_verdicts_are_exit_codes() -> None:
    assert [int(verdict) for verdict in Verdict] == [0, 1, 3]


amounts = st.floats(0, 1e6)
figures = st.none() | st.floats(0, 1e3)
sides = st.builds(
    Side,
    targets=st.integers(0, 3),
    up=st.integers(0, 3),
    restarts=st.floats(0, 20),
    p95=st.dictionaries(st.sampled_from(list(LATENCIES)), st.lists(figures, max_size=30)),
    counts=st.dictionaries(st.sampled_from(list(LATENCIES)), amounts),
    errors=st.builds(Share, amounts, amounts),
    fallback=st.builds(Share, amounts, amounts),
)


@given(sides, sides)
def test_any_two_sides_can_be_judged_and_it_is_said_why(mine: Side, other: Side) -> None:
    assert judge(mine, other, RULES).reasons


@given(sides)
def test_nobody_is_slower_or_worse_than_itself(mine: Side) -> None:
    assert (judge(mine, mine, RULES).verdict is Verdict.ABORT) == (mine.targets > 0 and not mine.up)


@given(sides, sides)
def test_who_had_little_to_do_is_not_let_through(mine: Side, other: Side) -> None:
    quiet = replace(mine, counts=dict.fromkeys(LATENCIES, 49.0))
    assert judge(quiet, other, RULES).verdict is not Verdict.GO_ON


@given(sides, sides, st.floats(1.01, 10))
def test_a_more_patient_rule_takes_nobody_back_that_a_strict_one_lets_through(
    mine: Side, other: Side, slower: float
) -> None:
    strict, patient = Rules(slower=slower), Rules(slower=slower * 2)
    if judge(mine, other, patient).verdict is Verdict.ABORT:
        assert judge(mine, other, strict).verdict is Verdict.ABORT


def test_every_question_is_of_one_side_only() -> None:
    match = 'job="rtc-stt",version="2"'
    for question in [*sums(match, 600).values(), *looks(match, 600).values()]:
        names = re.findall(r"[a-z_]+(?=\{)", question)
        assert len(names) == 1
        assert f"{names[0]}{{{match}" in question


def test_answers_are_put_together() -> None:
    told: dict[str, float | None] = dict.fromkeys(sums("", 600), None)
    told |= {
        "targets": 1.0,
        "up": 1.0,
        "failed requests": 2.0,
        "no room": 3.0,
        "requests": 10.0,
        "sessions": 7.0,
    }
    found = read(told, {LIVE: [None]})
    assert (found.targets, found.up) == (1, 1)
    assert found.errors == Share(5, 20)
    assert found.fallback == Share()
