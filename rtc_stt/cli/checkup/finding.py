"""What a look at a machine has found. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Finding", "State", "bad", "doubtful", "good"]


class State(enum.Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It will start, and something is not as it should be."""
    FAIL = "fail"
    """It would not start, or not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact, and what to do about it."""

    state: State
    about: str
    """A word or two: what was looked at."""
    says: str
    mend: str = ""
    """What to do, where something is to be done."""


def good(about: str, says: str) -> Finding:
    """As it should be."""
    return Finding(State.OK, about, says)


def doubtful(about: str, says: str, mend: str) -> Finding:
    """See :attr:`State.WARN`."""
    return Finding(State.WARN, about, says, mend)


def bad(about: str, says: str, mend: str) -> Finding:
    """See :attr:`State.FAIL`."""
    return Finding(State.FAIL, about, says, mend)
