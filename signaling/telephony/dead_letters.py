"""Events that could not be delivered, in a file that only its owner reads: a line of JSON each.

They hold transcripts. Written in a thread; what cannot be written is counted.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import Callable

from rtc_stt.errors import ConfigError

__all__ = ["MAX_FILE_BYTES", "DeadLetters"]

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 256 * 1024 * 1024
"""A file that has grown so far gets no more: somebody has to look at it."""

MAX_WAITING = 20_000
"""Lines that wait for the disk."""

FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class DeadLetters:
    """See above.

    Args:
        path: empty: nothing is kept.
        on_lost: called for each that could not be kept though it should.

    Raises:
        ConfigError: it cannot be written there.
    """

    def __init__(self, path: str, on_lost: Callable[[], None]) -> None:
        self._path = path
        self._on_lost = on_lost
        self._waiting: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None
        if path:
            try:
                mode = _touch(path)
            except OSError as error:
                raise ConfigError(f"WEBHOOK_DEAD_LETTERS cannot be written ({error.strerror})") from error
            if mode & 0o077:
                log.warning("others on this machine may use the file WEBHOOK_DEAD_LETTERS: chmod go= it")

    def keep(self, line: bytes) -> None:
        """Keep one; without its line break."""
        if not self._path:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._on_lost()
            return
        self._waiting.append(line + b"\n")
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_all(), name="dead-letters")

    async def aclose(self) -> None:
        """Until all are written."""
        if self._task:
            await asyncio.wait([self._task])

    async def _write_all(self) -> None:
        while self._waiting:
            lines = list(self._waiting)
            self._waiting.clear()
            try:
                await asyncio.to_thread(_append, self._path, lines)
            except OSError as error:
                log.error("dead letters could not be written: %s", error.strerror)
                for _ in lines:
                    self._on_lost()


def _open(path: str) -> int:
    return os.open(path, FLAGS, 0o600)


def _touch(path: str) -> int:
    """Make it where there is none; gives its mode."""
    descriptor = _open(path)
    try:
        return os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)


def _append(path: str, lines: list[bytes]) -> None:
    descriptor = _open(path)
    try:
        if os.fstat(descriptor).st_size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"there are more than {MAX_FILE_BYTES // 2**20} MiB of them")
        data = memoryview(b"".join(lines))
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
