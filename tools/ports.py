"""Ports for servers that are started in a moment."""

from __future__ import annotations

import itertools
import os
import random
import socket

__all__ = ["free_port"]

FIRST, LAST = 61_000, 65_499
"""Above those that Linux gives to whoever asks for any: one that was free a moment ago stays so."""

STRIDE = 11
"""Between two that are given one after the other: who has one may take its neighbours too, as sipp does."""

WORKERS = 8
"""Of pytest, beside each other: each has ports of its own."""


def _of_this_process() -> range:
    name = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    span = (LAST - FIRST + 1) // WORKERS
    begin = FIRST + span * (int(name.removeprefix("gw")) % WORKERS)
    return range(begin, begin + span)


_PORTS = _of_this_process()
_NEXT = itertools.count(random.randrange(len(_PORTS)))


def free_port(address: str = "127.0.0.1") -> int:
    """One that nobody has, neither of TCP nor of UDP; not the same again before all others were given.

    Raises:
        RuntimeError: there is none.
    """
    for _ in _PORTS:
        port = _PORTS[next(_NEXT) * STRIDE % len(_PORTS)]
        if all(_is_free(kind, address, port) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            return port
    raise RuntimeError("every port for tests is taken")


def _is_free(kind: socket.SocketKind, address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
