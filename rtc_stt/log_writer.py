"""Lines of the log on their way out of the process, in a thread: who logs never waits for who reads.

A pipe that nobody empties is full after 64 KiB, and a write to it blocks. So a line is put into a bounded
queue, and dropped and counted where that is full.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from typing import TextIO

__all__ = ["LogWriter"]

MOST_CHARS = 1024 * 1024
"""That wait: some thousands of lines."""

MOST_LINE_CHARS = 16 * 1024
"""Of one line as text. A traceback is a tenth of it."""

FLUSH_S = 2.0
"""At the end of the process, for what waits."""

BATCH_CHARS = 32 * 1024
"""Of one write."""

RETRY_S = 0.02
"""Where the pipe is one that does not block."""


class LogWriter(logging.Handler):
    """A handler that never blocks, and whose thread does not keep the process alive.

    Args:
        stream: where lines go; None: standard error. Its file descriptor is written to, if it has one: the
            buffer of a stream that hangs would hang the end of the process.
    """

    def __init__(self, stream: TextIO | None = None, *, most_chars: int = MOST_CHARS) -> None:
        super().__init__()
        self.written = 0
        """Lines that have gone out."""
        self.dropped = 0
        """Lines that have not, and never will."""
        self._stream = stream or sys.stderr
        self._most_chars = most_chars
        self._lines: deque[str] = deque()
        self._chars = 0  # of them, and of those that are being written
        self._untold = 0  # of those dropped
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        try:
            line = self.format(record) + "\n"
        except Exception:  # a line that cannot be made is not worth a failure, nor a word on standard error
            line = ""
        with self._changed:
            if not line or self._is_closed or self._chars + len(line) > self._most_chars:
                self.dropped += 1
                self._untold += 1
                return
            self._lines.append(line)
            self._chars += len(line)
            self._changed.notify_all()

    def flush(self, timeout: float = FLUSH_S) -> None:
        """Wait for what waits, at most so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._chars, timeout)

    def close(self) -> None:
        """Take nothing more; what has been taken goes out if it can."""
        self.flush()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        super().close()

    # ── In the thread ────────────────────────────────────────────────────────────

    def _work(self) -> None:
        while batch := self._take():
            text = "".join(batch)
            has_gone = self._write(text)
            with self._changed:
                self._chars -= len(text)
                self.written += len(batch) * has_gone
                self.dropped += len(batch) * (not has_gone)
                self._tell_dropped()
                self._changed.notify_all()

    def _take(self) -> list[str]:
        """What goes out next; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closed)
            batch, chars = list[str](), 0
            while self._lines and (not batch or chars + len(self._lines[0]) <= BATCH_CHARS):
                batch.append(self._lines.popleft())
                chars += len(batch[-1])
            return batch

    def _tell_dropped(self) -> None:
        """There is room again: say what is missing here."""
        if self._untold:
            record = logging.LogRecord(
                __name__, logging.WARNING, "", 0, "%d lines of the log were dropped", (self._untold,), None
            )
            with contextlib.suppress(Exception):
                line = self.format(record) + "\n"
                self._lines.append(line)
                self._chars += len(line)
                self._untold = 0

    def _write(self, text: str) -> bool:
        try:
            descriptor = self._stream.fileno()
        except (OSError, ValueError, AttributeError):
            return self._write_stream(text)
        left = memoryview(text.encode(errors="backslashreplace"))
        while left:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:
                time.sleep(RETRY_S)
            except OSError:  # nobody is there any more
                return False
        return True

    def _write_stream(self, text: str) -> bool:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return False
        return True
