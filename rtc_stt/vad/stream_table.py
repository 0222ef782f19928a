"""What the Silero detector remembers of all its streams: a table with a row for each.

A call reads and writes a column of the table for all its streams at once, where an object for each would
cost some small numpy calls per window. A stream is held by a handle, and has a row from its first window
until nobody holds its handle any more; then the row is another stream's::

    new_state() ──▶ handle ──first window──▶ row, cleared ──handle gone──▶ free ──▶ row of another
    (any thread)            (in detect)                    (any thread)

Each stream has two memories, and what comes over it says which networks they are of:

========== =============== ===============
line       memory 0        memory 1
========== =============== ===============
UNKNOWN    16 kHz          8 kHz
WIDE       16 kHz          16 kHz
TELEPHONE  8 kHz           8 kHz
========== =============== ===============
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtc_stt.vad.detector import DetectorState
from rtc_stt.vad.leveller import TARGET_RMS
from rtc_stt.vad.network import MEMORY

__all__ = ["MEMORIES", "Line", "Rows", "StreamState", "StreamTable"]

MEMORIES = 2
"""Of each stream. The model's memory goes stale: after a loud speaker, or a minute of noise, it no longer
hears a quiet one, and an emptied memory needs half a second to settle. So a stream has two, emptied in turn,
and their mean is believed: both of one network, or one of each."""

FIRST_ROWS = 16
"""Of a table that begins. Where they are all taken it becomes twice as long; a row is 2.4 kB."""

Rows = npt.NDArray[np.intp]


class Line(enum.IntEnum):
    """What a stream comes over, as far as it was heard. It decides which networks are asked."""

    UNKNOWN = 0
    """Both, a memory each."""
    WIDE = 1
    """That for 16 kHz, with both memories."""
    TELEPHONE = 2
    """That for 8 kHz, with both memories."""


class StreamState(DetectorState):
    """The handle of one stream.

    Args:
        table: in which its row will be.
        begins: what it comes over, where that is known.
    """

    __slots__ = ("begins", "row", "table")

    def __init__(self, table: StreamTable, begins: Line = Line.UNKNOWN) -> None:
        self.row: int | None = None
        self.table = table
        self.begins = begins

    def __del__(self) -> None:
        if self.row is not None:
            self.table.free.append(self.row)

    @property
    def line(self) -> Line:
        """What it comes over, as far as it was heard."""
        return self.begins if self.row is None else Line(self.table.streams["line"][self.row])


class StreamTable:
    """Used by one thread at a time; handles are made and let go of in any.

    Args:
        context: samples of its last window that are kept of each stream.
    """

    def __init__(self, context: int) -> None:
        record = np.dtype(
            [
                # Hidden and cell state, of each memory.
                ("memories", np.float32, (2, MEMORIES, MEMORY)),
                ("context", np.float32, (context,)),
                ("loudness", np.float32),
                ("floor", np.float32),
                # Windows in a row that were no speech, and those with nobody about to go on.
                ("quiet", np.int32),
                ("calm", np.int32),
                # Windows with something high, in a row; of speech, since the last of those; and since the
                # last that was looked at for it.
                ("high", np.int32),
                ("low", np.int32),
                ("unseen", np.int32),
                ("line", np.int8),
                # Which memory is emptied next.
                ("oldest", np.int8),
            ],
            align=True,
        )
        self._fresh = np.zeros(1, record)
        self._fresh["loudness"] = TARGET_RMS
        self._fresh["floor"] = 1
        self.streams: npt.NDArray[Any] = np.zeros(FIRST_ROWS, record)
        """A record for each row. It is another array once the table has grown: keep no column of it."""
        self.free = deque(range(FIRST_ROWS))
        """Rows of no stream. A deque, for handles end in any thread."""

    def rows(self, states: Sequence[DetectorState]) -> Rows:
        """Those of some streams, in their order; a stream that has none yet gets one."""
        rows = []
        for state in states:
            assert isinstance(state, StreamState), "states come from this detector's new_state()"
            assert state.table is self, "states come from this detector's new_state()"
            rows.append(self._begin(state) if state.row is None else state.row)
        return np.array(rows, np.intp)

    def _begin(self, state: StreamState) -> int:
        if not self.free:
            count = len(self.streams)
            self.streams = np.concatenate([self.streams, np.zeros_like(self.streams)])
            self.free.extend(range(count, 2 * count))
        row = state.row = self.free.pop()
        self.streams[row] = self._fresh[0]
        self.streams["line"][row] = state.begins
        return row

    # ── What seldom happens, to one stream ──────────────────────────────────

    def widen(self, row: int) -> None:
        """It was unknown, and is no telephone line."""
        stream = self.streams[row]
        stream["line"] = Line.WIDE
        stream["memories"][:, 1] = 0

    def narrow(self, row: int) -> None:
        """It was unknown, and is a telephone line; of what its memories hold that of its network is kept."""
        stream = self.streams[row]
        stream["line"], stream["oldest"] = Line.TELEPHONE, 0
        stream["memories"][:, 0] = stream["memories"][:, 1]
        stream["memories"][:, 1] = 0

    def doubt(self, row: int) -> None:
        """It was taken for a telephone line, and perhaps is none (any more)."""
        stream = self.streams[row]
        stream["memories"][:, 1] = stream["memories"][:, 1 - stream["oldest"]]
        stream["memories"][:, 0] = 0
        stream["line"], stream["oldest"] = Line.UNKNOWN, 1
        stream["high"], stream["low"] = 1, 0

    def forget(self, row: int) -> None:
        """What its older memory holds."""
        stream = self.streams[row]
        stream["memories"][:, stream["oldest"]] = 0
        stream["oldest"] = 1 - stream["oldest"]
