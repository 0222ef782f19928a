"""What a server and its detector's process both see: memory that one writes while the other waits.

One batch is on it at a time. Over a socket goes nothing but how much there is to read (:data:`REQUEST`),
and back one byte when it has been judged. The memory has no name, so nothing of it is left behind, however
the two end.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import WINDOW, Samples
from rtc_stt.vad.batcher import MAX_STREAMS, MAX_WINDOWS

__all__ = ["DONE", "FAILED", "LEAD_WINDOWS", "MAX_ENDED", "READY", "REQUEST", "Board", "Round"]

REQUEST = struct.Struct("<III")
"""Windows, turns, and streams that have ended: what is on the board."""

READY, DONE, FAILED = b"R", b"D", b"F"
"""What the process says: it can be asked; it has judged; it could not, and the board says why."""

LEAD_WINDOWS = 16
"""Of a stream that a new process does not know: the last half of a second before, so that it hears what
follows as the one before would have. An emptied memory needs as long to settle."""

MAX_TURNS = LEAD_WINDOWS + MAX_WINDOWS
MAX_ROWS = MAX_STREAMS * MAX_TURNS
"""Windows on the board: 12 MiB, of which the machine gives what is used."""

MAX_ENDED = 1_024
"""Streams that may be forgotten at once; more of them wait for the next batch."""

MAX_REASON = 2_000
"""Bytes of why something failed; of more the last ones."""

_PARTS: tuple[tuple[str, type, tuple[int, ...]], ...] = (
    ("streams", np.int64, (MAX_ROWS,)),
    ("told", np.float64, (MAX_ROWS,)),
    ("ended", np.int64, (MAX_ENDED,)),
    ("sizes", np.int32, (MAX_TURNS,)),
    ("reason", np.uint8, (MAX_REASON,)),
    ("windows", np.float32, (MAX_ROWS, WINDOW)),
)

Round = tuple[list[int], npt.NDArray[np.float32]]
"""Streams, and a window of each, shape ``(B, WINDOW)``."""


class Board:
    """One process' view of the memory.

    Args:
        descriptor: of the file; None for a new one, which is then this object's to close.

    Raises:
        OSError: there is no memory.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        size = sum(int(np.prod(shape)) * np.dtype(kind).itemsize for _, kind, shape in _PARTS)
        self.descriptor = _new_file(size) if descriptor is None else descriptor
        try:
            self._memory = mmap.mmap(self.descriptor, size)
        except BaseException:
            os.close(self.descriptor)
            raise
        self._parts: dict[str, npt.NDArray[np.generic]] = {}
        at = 0
        for name, kind, shape in _PARTS:
            part: npt.NDArray[np.generic]
            part = np.frombuffer(self._memory, kind, int(np.prod(shape)), at).reshape(shape)
            self._parts[name], at = part, at + part.nbytes

    def close(self) -> None:
        """Let go of it."""
        self._parts.clear()
        self._memory.close()
        os.close(self.descriptor)

    # ── The server's side ────────────────────────────────────────────────────────────

    def ask(
        self, streams: Sequence[int], windows: Sequence[Samples], turns: Sequence[int], ended: Sequence[int]
    ) -> bytes:
        """Put windows on it, turn by turn: those of one are of different streams, and are judged in one call.

        Args:
            streams: whose each window is.
            turns: how many windows are in each.
            ended: streams to be forgotten before, :data:`MAX_ENDED` at most.

        Returns:
            What is to be said to the process.
        """
        rows = len(windows)
        if rows:
            np.concatenate(windows, out=self._parts["windows"].reshape(-1)[: rows * WINDOW])
            self._parts["streams"][:rows] = streams
            self._parts["sizes"][: len(turns)] = turns
        self._parts["ended"][: len(ended)] = ended
        return REQUEST.pack(rows, len(turns), len(ended))

    def told(self, rows: int) -> list[float]:
        """The probabilities of so many windows, in the order in which they were put on it."""
        told: list[float] = self._parts["told"][:rows].tolist()
        return told

    @property
    def reason(self) -> str:
        """Why something failed."""
        return self._parts["reason"].tobytes().rstrip(b"\0").decode(errors="replace")

    # ── The process' side ────────────────────────────────────────────────────────────

    def asked(self, rows: int, turns: int) -> list[Round]:
        """What is to be judged, turn by turn; the windows are where they are, not copied."""
        windows, found, at = self._parts["windows"], list[Round](), 0
        streams = self._parts["streams"][:rows].tolist()
        for size in self._parts["sizes"][:turns].tolist():
            found.append((streams[at : at + size], windows[at : at + size]))  # type: ignore[arg-type]
            at += size
        return found

    def ended(self, count: int) -> list[int]:
        """Streams that have ended."""
        ended: list[int] = self._parts["ended"][:count].tolist()
        return ended

    def tell(self, told: Sequence[float]) -> None:
        """Answer with the probabilities."""
        self._parts["told"][: len(told)] = told

    def fail(self, reason: str) -> None:
        """Say why there are none."""
        text = reason.encode()[-MAX_REASON:].ljust(MAX_REASON, b"\0")
        self._parts["reason"][:] = np.frombuffer(text, np.uint8)


def _new_file(size: int) -> int:
    """Without a name, and inherited by nobody who is not given it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("rtc-stt-vad")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
