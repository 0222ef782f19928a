"""The detector's process: judges what is on the board until its server ends.

``python -m rtc_stt.vad.child SOCKET MEMORY NICENESS DETECTOR``, which :mod:`rtc_stt.vad.process` begins. It
knows streams by their numbers: one that it has not heard of begins.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from importlib import import_module

from rtc_stt.errors import RtcSttError, trace
from rtc_stt.memory import limit_arenas, settle
from rtc_stt.vad.board import DONE, FAILED, READY, REQUEST, Board
from rtc_stt.vad.detector import Detector, DetectorState

__all__ = ["Child", "main"]


class Child:
    """What the process is without its socket."""

    def __init__(self, detector: Detector, board: Board) -> None:
        self._detector = detector
        self._board = board
        self._states: dict[int, DetectorState] = {}

    @property
    def streams(self) -> int:
        """That it knows of."""
        return len(self._states)

    def answer(self, request: bytes) -> bytes:
        """Judge what is on the board; returns what is to be said."""
        rows, turns, ended = REQUEST.unpack(request)
        for number in self._board.ended(ended):
            self._states.pop(number, None)
        told = list[float]()
        try:
            for numbers, windows in self._board.asked(rows, turns):
                states = [self._states.get(number) or self._begin(number) for number in numbers]
                told += self._detector.detect(states, windows)
        except Exception as error:  # whoever detects
            self._board.fail(trace(error))
            return FAILED
        self._board.tell(told)
        return DONE

    def _begin(self, number: int) -> DetectorState:
        state = self._states[number] = self._detector.new_state()
        return state


def main(arguments: Sequence[str]) -> int:
    """Serve until the other end of the socket is closed.

    Args:
        arguments: file descriptors of the socket and of the memory; by how much nicer this process is than
            its server; the detector's class as ``module:name``.
    """
    # They come to the whole group from a terminal or a service manager; the server decides what follows.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    limit_arenas()
    os.nice(int(arguments[2]))
    board, module, _, name = Board(int(arguments[1])), *arguments[3].partition(":")
    with socket.socket(fileno=int(arguments[0])) as sock:
        try:
            child = Child(getattr(import_module(module), name)(), board)
        except RtcSttError as error:
            board.fail(str(error))
            sock.sendall(FAILED)
            return 1
        settle()
        try:
            sock.sendall(READY)
            while len(request := sock.recv(REQUEST.size, socket.MSG_WAITALL)) == REQUEST.size:
                sock.sendall(child.answer(request))
        except OSError:  # the server has ended
            pass
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    os._exit(code)  # at once: nothing is to be put away
