"""Names, ports, places and patience of the fleet."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import ConfigError
from signaling.workers.plan import (
    MOST_DELAY_S,
    least_loaded,
    owner,
    restart_delay,
    split_ports,
    worker_name,
)


@dataclass(frozen=True)
class Carrier:
    name: str
    load: int


@given(st.integers(0, 255), st.text(min_size=1))
def test_an_id_names_the_worker_that_made_it(number: int, rest: str) -> None:
    assert owner(f"{worker_name(number)}-{rest}") == worker_name(number)


def test_the_name_of_a_gateway_may_come_first() -> None:
    assert owner("a.w3-x") == "w3"
    assert owner("w1.w3-x~y") == "w3"
    assert owner("a.front-x") is None


@pytest.mark.parametrize(
    "token", ["", "w", "w1", "w1-", "-w1", "1-a", "x1-a", "w-a", "w1x-a", "w²-a", "w1111-a"]
)
def test_other_ids_name_nobody(token: str) -> None:
    assert owner(token) is None


@given(st.text())
def test_whatever_is_said_to_be_an_id_does_no_harm(token: str) -> None:
    name = owner(token)
    assert name is None or token.startswith(f"{name}-")


def test_the_one_with_the_fewest_sessions_takes_the_next() -> None:
    a, b, c = Carrier("a", 2), Carrier("b", 1), Carrier("c", 1)
    assert least_loaded([a, b, c]) is b
    assert least_loaded([a]) is a
    assert least_loaded([]) is None


def test_the_more_often_one_is_lost_the_longer_it_is_waited() -> None:
    delays = [restart_delay(failures) for failures in range(10)]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays == sorted(delays)
    assert restart_delay(100_000) == MOST_DELAY_S


def test_ports_are_split_evenly_and_none_is_given_twice() -> None:
    assert split_ports(range(50_000, 50_010), 3) == ["50000-50002", "50003-50005", "50006-50008"]
    assert split_ports(range(50_000, 50_010), 1) == ["50000-50009"]
    assert split_ports(None, 2) == ["", ""]


def test_too_few_ports_are_an_error_of_the_operator() -> None:
    with pytest.raises(ConfigError, match="MEDIA_WORKERS=3"):
        split_ports(range(50_000, 50_005), 3)
