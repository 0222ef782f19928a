"""Sockets that were listened on before the process began."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import ConfigError
from signaling import inherited
from signaling.inherited import FIRST, inherited_sockets, taken


def test_they_are_told_in_the_environment_and_not_told_on():
    environment = {"LISTEN_FDS": "2", "LISTEN_PID": "7", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    assert taken(environment, 7) == range(FIRST, FIRST + 2)
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize("environment", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "8"}])
def test_those_of_another_process_are_none(environment):
    assert taken(environment, 7) == range(0)


@given(st.text(max_size=30))
def test_nonsense_is_a_mistake_of_the_configuration(text):
    environment = {"LISTEN_FDS": text, "LISTEN_PID": "7"}
    if text.isascii() and text.isdigit() and int(text) <= 16:
        assert len(taken(environment, 7)) == int(text)
    else:
        with pytest.raises(ConfigError, match="LISTEN_FDS"):
            taken(environment, 7)


def given_descriptor(monkeypatch: pytest.MonkeyPatch, descriptor: int) -> None:
    monkeypatch.setattr(inherited, "FIRST", descriptor)
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))


def test_a_socket_that_listens_is_taken_and_closed_at_the_end(monkeypatch):
    given_descriptor(monkeypatch, socket.create_server(("127.0.0.1", 0)).detach())
    with inherited_sockets() as [one]:
        port = one.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        assert not one.getblocking()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_nobody_gave_any(monkeypatch):
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    with inherited_sockets() as found:
        assert found == []


def test_what_does_not_listen_is_refused(monkeypatch):
    given_descriptor(monkeypatch, socket.socket().detach())
    with pytest.raises(ConfigError, match="no TCP socket that listens"), inherited_sockets():
        pass


def test_what_is_no_socket_is_refused(monkeypatch):
    reading, writing = os.pipe()
    given_descriptor(monkeypatch, reading)
    with pytest.raises(ConfigError, match="LISTEN_FDS"), inherited_sockets():
        pass
    os.close(writing)
    os.close(reading)


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_one_that_others_reach_is_refused_where_the_configuration_is_of_this_machine(
    monkeypatch, family, address
):
    given_descriptor(monkeypatch, socket.create_server((address, 0), family=family).detach())
    with pytest.raises(ConfigError, match="HOST"), inherited_sockets(loopback_only=True):
        pass


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_one_of_this_machine_is_taken_there(monkeypatch, family, address):
    given_descriptor(monkeypatch, socket.create_server((address, 0), family=family).detach())
    with inherited_sockets(loopback_only=True) as found:
        assert len(found) == 1
