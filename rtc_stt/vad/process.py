"""The detector in a process of its own, so that the event loop never waits for it.

In a thread it holds the interpreter's lock a hundred times in a batch, and the loop queues up for it each
time. As a process that is nicer than the server it has what the loop leaves of a core, and no thread of the
server takes part: the loop puts windows on a board (:mod:`rtc_stt.vad.board`), writes some bytes to a socket,
and is told by it when they are judged::

    starting ──ready──▶ idle ◀──────▶ judging
        ▲                 └──dies, hangs──┤
        └──────────restart_delay──────────┘

What a stream remembers lives over there under its number. Where the process dies, the batch under way is
judged by the next one, which first hears the last half of a second of each stream again: no session ends.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import subprocess
import sys
from collections import deque

from rtc_stt.audio import Samples
from rtc_stt.errors import DecodeFailed, ModelError
from rtc_stt.instrument import Instrument
from rtc_stt.priority import DETECTOR_NICENESS
from rtc_stt.vad.batcher import MAX_WINDOWS, Batcher, Job
from rtc_stt.vad.board import DONE, FAILED, LEAD_WINDOWS, MAX_ENDED, READY, Board
from rtc_stt.vad.detector import DetectorState

__all__ = ["SILERO", "ProcessBatcher", "restart_delay"]

log = logging.getLogger(__name__)

SILERO = "rtc_stt.vad.silero:SileroDetector"

START_TIMEOUT_S = 30.0
"""From its start until it can be asked: a fifth of a second, unless the machine is very busy."""

HANG_S = 10.0
"""A batch takes milliseconds; a process that takes so long stands still, and is ended."""

EXIT_TIMEOUT_S = 2.0
"""For it to end where nobody asks it any more. It does so at once."""

MOST_DEATHS = 3
"""In a row, without a batch that was judged: then the one that waits has no chance, and fails."""

FIRST_DELAY_S = 0.5
"""Before it is begun anew, where it did not last; twice as long after each time …"""

MOST_DELAY_S = 10.0
"""… up to this."""

_INHERITED = ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "GLIBC_TUNABLES")
_INHERITED_KINDS = (
    "PYTHON",
    "LD_",
    "DYLD_",
    "LC_",
    "LANG",
    "MALLOC_",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
    "COVERAGE_",
)


def restart_delay(deaths: int) -> float:
    """Seconds before it is begun anew after so many deaths in a row; none after the first."""
    return 0.0 if deaths <= 1 else min(FIRST_DELAY_S * 2.0 ** min(deaths - 2, 16), MOST_DELAY_S)


class _Stream(DetectorState):
    """A stream as this side knows it: its number, and what a new process has to hear again."""

    __slots__ = ("_ended", "knower", "latest", "number")

    def __init__(self, number: int, ended: deque[int]) -> None:
        self.number = number
        self.latest: deque[Samples] = deque(maxlen=LEAD_WINDOWS)
        self.knower = 0
        """The process that knows it, counted from 1."""
        self._ended = ended

    def __del__(self) -> None:
        self._ended.append(self.number)


class ProcessBatcher(Batcher):
    """Begins the process, and waits until it can be asked. Use it in one event loop.

    Args:
        detector: ``module:name`` of its class.
        instrument: is told when it is begun anew.
        niceness: by how much it is nicer than this process.

    Raises:
        ModelError: the process cannot be begun, or its detector cannot be loaded.
    """

    def __init__(
        self,
        detector: str = SILERO,
        instrument: Instrument | None = None,
        *,
        niceness: int = DETECTOR_NICENESS,
    ) -> None:
        super().__init__()
        self._command = (str(niceness), detector)
        self._instrument = instrument or Instrument()
        self._numbers = itertools.count()
        self._ended = deque[int]()
        self._batch: list[Job] | None = None  # under way, or waiting for a process
        self._leads: list[int] = []  # of each of its jobs: windows that the process before has judged
        self._turns: list[list[int]] = []  # which of its jobs have a first window, a second one …
        self._generation = 1
        self._deaths = 0  # in a row
        self._is_ready = False
        self._heard_by: asyncio.AbstractEventLoop | None = None  # what the process says
        self._timer: asyncio.TimerHandle | None = None  # the patience with it, or until it is begun anew
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        try:
            self._board = Board()
        except OSError as error:
            raise ModelError(f"no memory for the detector's process: {error.strerror}") from error
        try:
            self._start()
            self._await_ready()
        except OSError as error:
            self.close()
            raise ModelError(f"the detector's process cannot be begun: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """Of the process; None where there is none at the moment."""
        return self._process.pid if self._process else None

    def new_state(self) -> DetectorState:
        """See :class:`Batcher`."""
        return _Stream(next(self._numbers), self._ended)

    def close(self) -> None:
        """Cancel what waits, and see the process out."""
        if self._closed:
            return
        super().close()
        batch, self._batch = self._batch, None
        for job in batch or ():
            job.cancel()
        self._let_go()
        for process in self._leaving:
            try:
                process.wait(EXIT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._leaving.clear()
        self._board.close()

    # ── Its life ────────────────────────────────────────────────────────────

    def _start(self) -> None:
        """Begin a process.

        It ignores signals of this one's terminal, but not before it is up: so it is in a process group of its
        own. A session of its own would be a scheduling group too (sched(7), autogroup), and niceness is
        between members of one.

        Raises:
            OSError: it cannot be begun.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            passed = (theirs.fileno(), self._board.descriptor)
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    [sys.executable, "-m", "rtc_stt.vad.child", *map(str, passed), *self._command],
                    stdin=subprocess.DEVNULL,
                    pass_fds=passed,
                    env=_environment(),
                    process_group=0,
                )
            except BaseException:
                ours.close()
                raise
        self._sock = ours

    def _await_ready(self) -> None:
        """Before there is a loop that could be told."""
        assert self._sock
        self._sock.settimeout(START_TIMEOUT_S)
        try:
            said = self._sock.recv(1)
        except OSError as error:
            raise ModelError("the detector's process does not answer") from error
        if said != READY:
            raise ModelError(self._board.reason or "the detector's process ended at its start")
        self._sock.setblocking(False)
        self._is_ready = True

    def _attach(self) -> None:
        """Hear what the process says, and that it ends."""
        if self._heard_by is not self._loop and self._sock:
            assert self._loop
            self._loop.add_reader(self._sock, self._receive)
            self._heard_by = self._loop

    def _let_go(self) -> None:
        """Of the process: it ends when its socket is closed."""
        self._is_ready = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._sock:
            if self._loop and not self._loop.is_closed():
                self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None
        if self._process:
            self._leaving.append(self._process)
            self._process = None
        self._reap()

    def _reap(self) -> None:
        self._leaving = [process for process in self._leaving if process.poll() is None]

    def _lose(self, reason: str) -> None:
        """It has ended, or is to: another one takes its place."""
        assert self._loop
        self._deaths += 1
        if self._process:
            self._process.kill()  # it may only stand still
        self._let_go()
        log.error("the detector's process %s: it is begun anew", reason)
        self._instrument.detector_lost()
        if self._deaths >= MOST_DEATHS:
            self._conclude(DecodeFailed("the voice activity detector's process dies again and again"))
        self._timer = self._loop.call_later(restart_delay(self._deaths), self._begin_anew)

    def _begin_anew(self) -> None:
        assert self._loop
        self._generation += 1
        try:
            self._start()
        except OSError as error:
            self._lose(f"cannot be begun ({error.strerror})")
            return
        assert self._sock
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._receive)
        self._expect(START_TIMEOUT_S)

    def _expect(self, seconds: float) -> None:
        """That it says something within so long."""
        if self._timer:
            self._timer.cancel()
        assert self._loop
        self._timer = self._loop.call_later(seconds, self._lose, "does not answer")

    # ── Batches ────────────────────────────────────────────────────────────

    def _begin(self, batch: list[Job]) -> None:
        self._batch = batch
        self._attach()
        if self._is_ready:
            self._ask()

    def _ask(self) -> None:
        assert self._batch is not None
        assert self._sock
        streams = [_stream(job) for job in self._batch]
        windows = [job.windows[:MAX_WINDOWS] for job in self._batch]
        self._leads = [0] * len(streams)
        for number, stream in enumerate(streams):
            if stream.knower != self._generation:
                self._leads[number] = len(stream.latest)
                windows[number] = [*stream.latest, *windows[number]]
        self._turns = [
            [number for number, some in enumerate(windows) if turn < len(some)]
            for turn in range(max(map(len, windows)))
        ]
        ended = [self._ended.popleft() for _ in range(min(MAX_ENDED, len(self._ended)))]
        request = self._board.ask(
            [streams[number].number for turn in self._turns for number in turn],
            [windows[number][n] for n, turn in enumerate(self._turns) for number in turn],
            [len(turn) for turn in self._turns],
            ended,
        )
        try:
            self._sock.send(request)
        except OSError:
            self._lose("has ended")
            return
        self._expect(HANG_S)

    def _receive(self) -> None:
        """Called by the loop when the process has said something, or is gone."""
        assert self._sock
        try:
            said = self._sock.recv(1)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said in (DONE, FAILED) and self._batch is not None:
            self._settle(said)
        elif said == READY and not self._is_ready:
            self._be_ready()
        else:
            self._lose("has ended" if not said or not self._is_ready else "makes no sense")

    def _be_ready(self) -> None:
        log.info("the detector's process is there again")
        self._is_ready = True
        self._reap()
        assert self._timer
        self._timer.cancel()
        if self._batch is not None:
            self._ask()

    def _settle(self, said: bytes) -> None:
        """The batch has been judged, or could not be."""
        assert self._batch is not None
        assert self._timer
        self._timer.cancel()
        self._timer = None
        self._deaths = 0
        if said == FAILED:
            log.error("the voice activity detector failed: %s", self._board.reason)
            self._conclude(DecodeFailed("the voice activity detector failed"))
            return
        told = iter(self._board.told(sum(map(len, self._turns))))
        for n, turn in enumerate(self._turns):
            for number, probability in zip(turn, told, strict=False):  # it goes on with the next turn
                if n >= self._leads[number]:
                    self._batch[number].probabilities.append(probability)
        for job in self._batch:
            stream = _stream(job)
            stream.knower = self._generation
            stream.latest.extend(job.windows[:MAX_WINDOWS])
        self._conclude(None)

    def _conclude(self, error: Exception | None) -> None:
        batch, self._batch = self._batch, None
        if batch is not None:
            self._finish(batch, error)


def _stream(job: Job) -> _Stream:
    assert isinstance(job.state, _Stream), "states come from this batcher's new_state()"
    return job.state


def _environment() -> dict[str, str]:
    """What it inherits: where Python and its libraries are. No secret is among it, and no configuration."""
    taken = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_KINDS)
    }
    # One thread is what it needs: others would fight the decodes for the cores. And where BLAS has no others,
    # the network is computed in whole products, in half the time (network.py, SMALL).
    return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | taken
