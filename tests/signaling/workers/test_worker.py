"""What a worker is told, and what it does with a front that is none."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtc_stt.cli.common import GROUPS
from rtc_stt.config_keys import Values, build, keys
from rtc_stt.logs import LogOptions
from signaling.settings import Server, WebRtc
from signaling.workers import worker
from signaling.workers.frames import encode

ROOT = Path(__file__).parents[3]


@pytest.fixture
def told() -> Values:
    """As a worker reads it, of a server that has everything configured."""
    given = {
        "HOST": "0.0.0.0",
        "API_KEYS": "a-secret-of-some-length",
        "TOKEN_SECRET": "a-secret-of-some-length",
        "TURN_SECRET": "a-secret-of-some-length",
        "TURN_URL": "turn:turn.example.org:3478",
        "CT2_SMALL_PATH": "/models/small",
        "RESUME_SECONDS": "17",
        "UDP_PORT_RANGE": "50000-50999",
        "PARTIAL_INTERVAL_MS": "300",
    }
    values = Values({name: (text, "test") for name, text in given.items()})
    (_, second) = worker.setups(values, ["50000-50499", "50500-50999"], LogOptions("json", "info"))
    assert second["logs"] == ["json", "info"]
    arrived = json.loads(json.dumps(second))["values"]
    return Values({name: (text, place) for name, (text, place) in arrived.items()})


def test_a_worker_is_told_no_secret(told: Values) -> None:
    assert "secret" not in str(told)
    secrets = {spec.name for group in GROUPS for spec in keys(group).values() if spec.secret}
    assert not secrets & set(told.entries)


def test_a_worker_is_told_what_it_goes_by(told: Values) -> None:
    assert build(WebRtc, told).udp_port_range == "50500-50999"
    assert build(WebRtc, told).resume_seconds == 17
    assert build(Server, told).host == "0.0.0.0"
    assert "PARTIAL_INTERVAL_MS" in told.entries
    assert "CT2_SMALL_PATH" not in told.entries, "the models are in front"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_the_first_message_is_read_and_nothing_else_is_taken_for_it(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    ours.sendall(encode({"type": "begin", "name": "w0"}))
    assert worker._receive_begin(theirs) == {"type": "begin", "name": "w0"}
    ours.sendall(encode({"type": "state"}))
    with pytest.raises(ValueError, match="begins with state"):
        worker._receive_begin(theirs)
    ours.close()
    with pytest.raises(ValueError, match="has ended"):
        worker._receive_begin(theirs)


@pytest.mark.e2e
def test_without_a_front_it_ends_without_a_word(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    with subprocess.Popen(
        [sys.executable, "-m", "signaling.workers.worker", "w0", str(theirs.fileno())],
        cwd=ROOT,
        pass_fds=[theirs.fileno()],
        stderr=subprocess.PIPE,
    ) as process:
        theirs.close()
        ours.close()
        _, told = process.communicate(timeout=20)
    assert process.returncode == 1
    assert told == b""
