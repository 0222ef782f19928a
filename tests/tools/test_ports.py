"""Ports for servers of tests."""

from __future__ import annotations

import socket

import pytest

from tools import ports


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_what_somebody_has_is_not_given(monkeypatch, kind):
    first = ports.free_port()
    monkeypatch.setattr(ports, "_PORTS", range(first, first + 2))
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", first))
        assert {ports.free_port() for _ in range(3)} == {first + 1}


def test_none_is_given_again_soon():
    given = [ports.free_port() for _ in range(100)]
    assert len(set(given)) == 100
    assert all(ports.FIRST <= port <= ports.LAST for port in given)


def test_workers_beside_each_other_have_ports_of_their_own(monkeypatch):
    spans = []
    for number in range(ports.WORKERS):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{number}")
        spans.append(set(ports._of_this_process()))
    assert sum(map(len, spans)) == len(set().union(*spans))


def test_where_all_are_taken_it_says_so(monkeypatch):
    first = ports.free_port()
    monkeypatch.setattr(ports, "_PORTS", range(first, first + 1))
    with socket.create_server(("127.0.0.1", first)), pytest.raises(RuntimeError, match="taken"):
        ports.free_port()
