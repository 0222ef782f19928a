"""What the fleet decides: names, ports, who takes a call, and when a lost worker is begun anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from rtc_stt.errors import ConfigError

__all__ = ["FRONT_NAME", "Carrier", "least_loaded", "owner", "restart_delay", "split_ports", "worker_name"]

FRONT_NAME = "front"
"""What the ids of the sessions begin with that the front carries itself; no worker's name."""

PORTS_PER_SESSION = 2

FIRST_DELAY_S = 0.5
"""Before a lost worker is begun anew; twice as long after each that did not last …"""

MOST_DELAY_S = 30.0
"""… up to this."""

STEADY_S = 60.0
"""A worker that lived so long has lasted: what it died of was no mistake in its configuration."""


class Carrier(Protocol):
    """A worker, as far as placing a call goes."""

    @property
    def load(self) -> int:
        """Sessions that it carries, or is about to."""
        ...


C = TypeVar("C", bound=Carrier)


def worker_name(number: int) -> str:
    """What the ids of a worker's sessions begin with, followed by ``-``."""
    return f"w{number}"


def owner(token: str) -> str | None:
    """The worker that a peer id or resume token names; None where it names none.

    The name of the gateway may come first, with a dot behind it.
    """
    return _owner(token) or _owner(token.partition(".")[2])


def _owner(token: str) -> str | None:
    name, dash, rest = token.partition("-")
    number = name.removeprefix("w")
    named = dash and rest and name != number and number.isascii() and number.isdecimal() and len(number) <= 3
    return name if named else None


def least_loaded(carriers: Iterable[C]) -> C | None:
    """Who takes the next session: who has fewest, of equals the first; None where there is nobody."""
    return min(carriers, key=lambda carrier: carrier.load, default=None)


def restart_delay(failures: int) -> float:
    """Seconds before a worker is begun anew after so many in a row that did not last."""
    return min(FIRST_DELAY_S * 2.0 ** min(failures, 16), MOST_DELAY_S)


def split_ports(ports: range | None, workers: int) -> list[str]:
    """An equal part of ``UDP_PORT_RANGE`` for each worker, as its text; all empty where it is None.

    Raises:
        ConfigError: there are too few ports for a session of each.
    """
    if ports is None:
        return [""] * workers
    size = len(ports) // workers
    if size < PORTS_PER_SESSION:
        raise ConfigError(
            f"UDP_PORT_RANGE has too few ports for MEDIA_WORKERS={workers}: each worker needs "
            f"{PORTS_PER_SESSION} at least"
        )
    parts = (ports[i * size : (i + 1) * size] for i in range(workers))
    return [f"{part.start}-{part.stop - 1}" for part in parts]
