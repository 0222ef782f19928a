"""Whether a request is made again and when, by the table and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.client.retries import FIRST_WAIT_S, LONGEST_WAIT_S, SHORTEST_ATTEMPT_S, Fault, Retries, ceiling

CHANCE = st.floats(0, 1, exclude_max=True)
SECONDS = st.floats(0, 100)
CAME = st.sampled_from([*Fault, 400, 401, 404, 408, 413, 422, 429, 500, 502, 503, 504])
"""What may come of an attempt."""

LONG = 1e6
"""More than any test waits."""


def retries(attempts: int = 10, patience_s: float = LONG, *, idempotent: bool = True) -> Retries:
    return Retries(0.0, attempts=attempts, patience_s=patience_s, idempotent=idempotent)


def decide(
    trying: Retries,
    came: Fault | int,
    told_s: float | None = None,
    *,
    now: float = 0.0,
    chance: float = 0.0,
    elsewhere: bool = False,
) -> float | None:
    if isinstance(came, Fault):
        return trying.failed(came, now=now, chance=chance, elsewhere=elsewhere)
    return trying.answered(came, told_s, now=now, chance=chance, elsewhere=elsewhere)


@pytest.mark.parametrize("came", [429, 502, 503, 504, Fault.NO_CONNECTION, Fault.BROKEN, Fault.TOO_LATE])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_may_pass_is_tried_again(came, elsewhere):
    assert decide(retries(), came, elsewhere=elsewhere) == 0.0


@pytest.mark.parametrize("came", [500, 501, 507, Fault.UNREADABLE])
def test_what_this_server_cannot_do_another_may(came):
    assert decide(retries(), came) is None
    assert decide(retries(), came, elsewhere=True) == 0.0


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 408, 413, 415, 422])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_wrong_request_is_never_repeated(status, elsewhere):
    assert decide(retries(), status, told_s=1.0, elsewhere=elsewhere) is None


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.TOO_LATE])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_may_have_been_done_is_done_again_only_if_that_is_harmless(fault, elsewhere):
    once = retries(idempotent=False)
    assert decide(once, fault, elsewhere=elsewhere) is None
    assert decide(retries(idempotent=False), Fault.NO_CONNECTION, elsewhere=elsewhere) == 0.0


def test_a_server_that_says_when_is_asked_then_and_not_sooner():
    assert decide(retries(), 503, 7.0) == 7.0
    assert decide(retries(), 503, 7.0, chance=0.5) == 7.0 + FIRST_WAIT_S / 2
    assert decide(retries(), 503, 7.0, chance=0.5, elsewhere=True) == 0.0, "another has not said so"


def test_who_wants_to_be_asked_after_our_patience_is_not_asked_again():
    assert decide(retries(patience_s=10), 429, 10.0) is None
    assert decide(retries(patience_s=10), 429, 9.0) == 9.0


@given(CHANCE)
def test_limits_of_waits_double_and_the_wait_is_anywhere_below(chance):
    trying = retries(attempts=100)
    waits = [decide(trying, 502, chance=chance) for _ in range(10)]
    assert waits == [chance * min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**n) for n in range(10)]


@given(st.integers(0, 10**6))
def test_a_limit_never_overflows(failures):
    assert 0.25 <= ceiling(failures, 0.25, 8.0) <= 8.0


@given(
    st.integers(1, 6),
    st.floats(0.01, 100),
    st.lists(st.tuples(CAME, SECONDS, st.none() | SECONDS, CHANCE, st.booleans()), min_size=10, max_size=20),
)
def test_attempts_and_patience_are_bounds(attempts, patience_s, course):
    """Whatever comes, however long it takes, whatever is told."""
    trying, now, made = retries(attempts, patience_s), 0.0, 0
    for came, seconds, told_s, chance, elsewhere in course:
        made += 1
        now += min(seconds, trying.time_left(now))  # an attempt gets what is left, and no more
        wait = decide(trying, came, told_s, now=now, chance=chance, elsewhere=elsewhere)
        if wait is None:
            break
        assert wait >= (told_s or 0.0) or elsewhere or isinstance(came, Fault)
        now += wait
        assert trying.time_left(now) >= SHORTEST_ATTEMPT_S / 2 - 1e-9, "there is time for what is begun"
    else:
        pytest.fail("it never ended")
    assert made <= attempts
    assert now <= patience_s


@given(st.lists(CHANCE, min_size=1, max_size=30))
def test_one_attempt_means_one(chances):
    for chance in chances:
        assert decide(retries(attempts=1), 503, chance=chance) is None
