"""Where the voice activity detector runs."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass

from rtc_stt.config_keys import key
from rtc_stt.errors import ConfigError

__all__ = ["MANY_SESSIONS", "Detection", "OwnProcess"]

MANY_SESSIONS = 64
"""From so many on a thread is what the loop waits for: in each batch it lets go of the interpreter's lock a
hundred times, and takes it again."""


class OwnProcess(enum.StrEnum):
    """Whether it has one."""

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Where the voice activity detector runs."""

    vad_process: OwnProcess = key(
        "VAD_PROCESS",
        OwnProcess.AUTO,
        "Whether the voice activity detector has a process of its own, which keeps the event loop free: "
        "true, false (a thread), or auto: where MAX_SESSIONS, or a worker's share of it, is 64 or more.",
    )

    def __post_init__(self) -> None:
        if self.vad_process is OwnProcess.TRUE and os.name != "posix":
            raise ConfigError("VAD_PROCESS=true: this system cannot do so; leave it at auto")

    def has_process(self, sessions: int) -> bool:
        """Whether it has, where there are so many sessions at a time at most."""
        if self.vad_process is OwnProcess.AUTO:
            return os.name == "posix" and sessions >= MANY_SESSIONS
        return self.vad_process is OwnProcess.TRUE
