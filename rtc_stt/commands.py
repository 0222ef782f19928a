"""What a client may say to its session: the other half of protocol ``rtc-stt.v1``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

__all__ = ["COMMAND_TYPES", "Ack", "Command", "Configure", "Finalize", "Mute", "Ping", "Stop"]


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands."""

    type: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Configure(Command):
    """Change options from here on; a key that is absent keeps its value, ``None`` is the default."""

    type: ClassVar[str] = "configure"
    changes: Mapping[str, object] = field(default_factory=dict)
    """By option name, checked by :func:`rtc_stt.config.change_stream_options`."""


@dataclass(frozen=True, slots=True)
class Finalize(Command):
    """Commit what is heard so far. Always answered by ``finalized`` with the same id."""

    type: ClassVar[str] = "finalize"
    id: str


@dataclass(frozen=True, slots=True)
class Mute(Command):
    """While on, audio counts as silence and is not kept."""

    type: ClassVar[str] = "mute"
    on: bool


@dataclass(frozen=True, slots=True)
class Ping(Command):
    """Answered by ``pong`` with the same id."""

    type: ClassVar[str] = "ping"
    id: str


@dataclass(frozen=True, slots=True)
class Ack(Command):
    """All events up to ``seq`` have been seen; the server need not keep them any longer."""

    type: ClassVar[str] = "ack"
    seq: int


@dataclass(frozen=True, slots=True)
class Stop(Command):
    """Finalise what is open and end the session."""

    type: ClassVar[str] = "stop"


COMMAND_TYPES: Mapping[str, type[Command]] = {
    cls.type: cls for cls in (Configure, Finalize, Mute, Ping, Ack, Stop)
}
"""Every command by its wire name."""
