"""The command line as it is, in a process that notes how long each packet of RTP was on its way to a session.

From when it left its sender (see :mod:`.caller`) to when it was decoded and handed on, or laid aside: for one
before it, or for the one that completes its window, without which a session has nothing to do. Where windows
are whole they are decoded at the end of the loop's turn, or some milliseconds later: all packets that came
until then count as there when that is done. SIGUSR1 writes the delays so far into a file, and forgets them.

``python -m tools.telephony.answerer FILE demo --port 0``
"""

from __future__ import annotations

import os
import signal
import sys
import time
from array import array
from asyncio import SelectorEventLoop
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from tools.telephony.caller import left_at

HEAD = 24
"""Bytes of a packet that tell when it left."""

Call = Callable[[], None]


class _Notes:
    """Packets, and when they were there. They are read only when that is told: it costs the loop less. And
    they are kept as bytes and numbers alone, which the garbage collector does not look at."""

    def __init__(self) -> None:
        self.is_due = False
        """Something will be decoded at the end of the loop's turn, or a little later."""
        self._heads = bytearray()
        self._there = array("d")
        """Of each head; those behind its end wait."""

    def take(self, data: bytes) -> None:
        """A packet was taken."""
        self._heads += data[:HEAD].ljust(HEAD, b"\0")
        if not self.is_due:
            self._note()

    def scheduled(self, schedule: Callable[[float, Call], None]) -> Callable[[float, Call], None]:
        """As ``schedule``; after what is called the packets are there."""

        def schedule_noted(delay_s: float, play: Call) -> None:
            def noted() -> None:
                play()
                self.is_due = False
                self._note()

            self.is_due = True
            schedule(delay_s, noted)

        return schedule_noted

    def _note(self) -> None:
        waiting = len(self._heads) // HEAD - len(self._there)
        self._there.extend([time.monotonic()] * waiting)

    def tell(self) -> array[float]:
        """By turns: when a packet was there, and how long it had been on its way, in seconds."""
        told = array("d")
        for number, there in enumerate(self._there):
            if (left := left_at(bytes(self._heads[number * HEAD : (number + 1) * HEAD]))) is not None:
                told.extend((there, there - left))
        del self._heads[: len(self._there) * HEAD]
        del self._there[:]
        return told


def note_delays(path: Path) -> None:
    """From now on."""
    # Not before numpy was told how many threads to begin.
    from signaling.media_turn import MediaTurn, call_on_loop
    from signaling.telephony.sip import server

    add_reader, notes = SelectorEventLoop.add_reader, _Notes()

    def noting(take: Callable[[bytes, tuple[str, int], float], None]) -> Callable[..., None]:
        def noted(data: bytes, source: tuple[str, int], now: float) -> None:
            take(data, source, now)
            notes.take(data)

        return noted

    def add(loop: SelectorEventLoop, fd: object, read: Callable[..., None], *arguments: Any) -> None:
        # A method of a compiled class cannot be replaced; what the loop is given can.
        if getattr(arguments[-1] if arguments else None, "__name__", "") == "_receive_rtp":
            arguments = *arguments[:-1], noting(arguments[-1])
        add_reader(loop, fd, read, *arguments)

    patch.object(SelectorEventLoop, "add_reader", add).start()
    noted_turn = MediaTurn(time.monotonic, notes.scheduled(call_on_loop))
    patch.object(server, "turn_of_loop", lambda: noted_turn).start()

    def tell(_number: int, _frame: FrameType | None) -> None:
        draft = path.with_suffix(".draft")
        draft.write_bytes(notes.tell().tobytes())
        draft.rename(path)

    signal.signal(signal.SIGUSR1, tell)


if __name__ == "__main__":
    # Before numpy is imported, as the command line itself does it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rtc_stt.cli import main

    note_delays(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
