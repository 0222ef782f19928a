"""Everybody is measured as often as everybody else, in turn, and nobody always first."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.peers.recipe import OURS, PEERS, Job, chosen, jobs, threads_for

names = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=5, unique=True)
counts = st.lists(st.integers(1, 16), min_size=1, max_size=3, unique=True)


@given(names, counts, st.integers(1, 6))
def test_every_job_is_there_once_and_a_round_is_over_before_the_next(systems, sessions, rounds):
    made = jobs(systems, sessions, rounds)
    assert len(set(made)) == len(made) == len(systems) * len(sessions) * rounds
    assert all(before.round <= after.round for before, after in pairwise(made))
    for turn in range(rounds):
        for count in sessions:
            assert {j.system for j in made if (j.round, j.sessions) == (turn, count)} == set(systems)


@given(names, counts)
def test_each_system_is_the_first_as_often_as_any_other(systems, sessions):
    made = jobs(systems, sessions, rounds=len(systems))
    firsts = [made[n].system for n in range(0, len(made), len(systems))]
    assert {firsts.count(system) for system in systems} == {len(sessions)}


def test_ours_stand_between_the_peers():
    both = chosen(["whisperlive", "realtimestt"], has_two_tiers=False)
    assert both == ["ours-websocket", "whisperlive", "ours-webrtc", "realtimestt"]
    assert chosen(["whisperlive"], has_two_tiers=True) == [
        "ours-websocket", "whisperlive", "ours-webrtc", "ours-two-tiers",
    ]  # fmt: skip


def test_no_peer_is_unknown():
    with pytest.raises(KeyError):
        chosen(["nobody"], has_two_tiers=False)
    assert not set(OURS) & set(PEERS)


def test_a_job_has_a_file_of_its_own():
    assert Job("ours-webrtc", 8, 1).name == "ours-webrtc-8-1"


@pytest.mark.parametrize(("sessions", "cores", "threads"), [(1, 2, 2), (2, 2, 1), (8, 2, 1), (2, 8, 4)])
def test_decodes_share_the_cores(sessions, cores, threads):
    assert threads_for(sessions, cores) == threads
