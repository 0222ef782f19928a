"""One detector call for all streams. A batch forms while the previous one is judged, and some milliseconds
more where many streams are served. It is judged in a thread (here), or in a process of its own
(:mod:`rtc_stt.vad.process`)."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from rtc_stt.audio import WINDOW, Samples
from rtc_stt.errors import trace
from rtc_stt.vad.detector import Detector, DetectorState

__all__ = ["Batcher", "Job", "Judgement", "VadBatcher"]

log = logging.getLogger(__name__)

MAX_STREAMS = 128
"""Streams in one call: past this a bigger batch saves nothing and only makes the first one wait."""

MAX_WINDOWS = 32
"""Windows of one stream in one tick (about a second of audio), so that a file cannot hold up the living."""

PACE_S = 0.016
"""From the begin of one batch to that of the next where many streams are served. A call costs as much as 15
of its windows: with a hundred streams, of which a window comes every third of a millisecond, calls for one or
two each would keep a core busy."""

SHARE_S = 0.0005
"""For each stream of a batch the next one begins so much later, up to :data:`PACE_S`: below 60 streams, of
which a window comes every half of a millisecond, that is nothing."""

MAX_TOLD = 16
"""Streams that hear of their judgements in one turn of the loop: each has up to a few tenths of a millisecond
to do then, and packets come meanwhile."""

Judgement = list[float] | BaseException
"""A probability for each window; or why there is none, which is ``CancelledError`` where the batcher was
closed."""


@dataclass(slots=True, init=False, eq=False)
class Job:
    """Windows of one stream that wait to be judged."""

    state: DetectorState
    windows: list[Samples]
    tell: Callable[[Judgement], None]
    probabilities: list[float]
    error: BaseException | None

    def __init__(
        self, state: DetectorState, windows: list[Samples], tell: Callable[[Judgement], None]
    ) -> None:
        self.state = state
        self.windows = windows
        self.tell = tell
        self.probabilities = []
        self.error = None

    def cancel(self) -> None:
        """It will not be judged."""
        self.tell(asyncio.CancelledError())


class Batcher(ABC):
    """Chooses who is judged next. Called on the event loop only."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._judged = deque[Job]()  # not told yet
        self._running = False
        self._next_at = 0.0
        self._pace: asyncio.TimerHandle | None = None
        self._told: asyncio.Handle | None = None
        self._closed = False
        # Kept, for to ask for it is a system call in Python 3.11 (getpid).
        self._loop: asyncio.AbstractEventLoop | None = None

    @abstractmethod
    def new_state(self) -> DetectorState:
        """The memory of a stream that begins. It ends when nobody holds it any more."""

    def detect(self, state: DetectorState, windows: Sequence[Samples]) -> asyncio.Future[list[float]]:
        """As :meth:`judge`, for who awaits it. The future fails where the detector fails."""
        answer: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()

        def take(judgement: Judgement) -> None:
            if answer.done():
                return
            if isinstance(judgement, asyncio.CancelledError):
                answer.cancel()
            elif isinstance(judgement, BaseException):
                answer.set_exception(judgement)
            else:
                answer.set_result(judgement)

        self.judge(state, windows, take)
        return answer

    def judge(
        self, state: DetectorState, windows: Sequence[Samples], tell: Callable[[Judgement], None]
    ) -> None:
        """Judge the next windows of a stream; shorter ones count as if silence followed.

        Args:
            tell: called once with the answer, on the loop, and not before this returns; a stream waits for it
                before it asks again. A future would cost as much as what a stream then does.
        """
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.get_running_loop()
        job = Job(state, [_whole(window) for window in windows], tell)
        if self._closed:
            self._loop.call_soon(job.cancel)
            return
        self._jobs.append(job)
        self._tick()

    def close(self) -> None:
        """Cancel what waits."""
        self._closed = True
        if self._pace:
            self._pace.cancel()
        waiting = [*self._jobs, *self._judged]
        self._jobs.clear()
        self._judged.clear()
        for job in waiting:
            job.cancel()

    @abstractmethod
    def _begin(self, batch: list[Job]) -> None:
        """Let the first :data:`MAX_WINDOWS` of each be judged, then call :meth:`_finish`; not at once."""

    def _tick(self) -> None:
        if self._running or not self._jobs or self._closed:
            return
        assert self._loop
        now = self._loop.time()
        if now < self._next_at and len(self._jobs) < MAX_STREAMS:
            if self._pace is None:
                self._pace = self._loop.call_at(self._next_at, self._go_on)
            return
        self._running = True
        batch, self._jobs = self._jobs[:MAX_STREAMS], self._jobs[MAX_STREAMS:]
        self._next_at = now + min(PACE_S, SHARE_S * len(batch))
        self._begin(batch)

    def _go_on(self) -> None:
        self._pace = None
        self._tick()

    def _finish(self, batch: list[Job], error: BaseException | None) -> None:
        self._running = False
        for job in batch:
            if self._closed:
                job.cancel()
            elif error is None and len(job.windows) > MAX_WINDOWS:
                del job.windows[:MAX_WINDOWS]
                self._jobs.append(job)
            else:
                job.error = error
                self._judged.append(job)
        self._tick()
        self._tell_soon()

    def _tell_soon(self) -> None:
        if self._judged and self._told is None:
            assert self._loop
            self._told = self._loop.call_soon(self._tell_some)

    def _tell_some(self) -> None:
        """Tell the next streams, and in the loop's next turn those behind them."""
        self._told = None
        for _ in range(min(MAX_TOLD, len(self._judged))):
            job = self._judged.popleft()
            try:
                job.tell(job.error or job.probabilities)
            except Exception as problem:  # the others wait for theirs
                log.error("a judgement could not be taken: %s", trace(problem))
        self._tell_soon()


class VadBatcher(Batcher):
    """Owns the thread in which the detector runs."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self._detector = detector
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="vad")

    def new_state(self) -> DetectorState:
        """See :class:`Batcher`."""
        return self._detector.new_state()

    def close(self) -> None:
        """Cancel what waits and let the thread go."""
        super().close()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _begin(self, batch: list[Job]) -> None:
        assert self._loop
        run = self._loop.run_in_executor(self._executor, self._run, batch)
        # It is cancelled by `close` alone; then so are the answers.
        run.add_done_callback(
            lambda done: self._finish(batch, None if done.cancelled() else done.exception())
        )

    def _run(self, batch: list[Job]) -> None:
        """In the thread: the first windows of all, then the second ones, and so on."""
        for turn in range(min(MAX_WINDOWS, max(len(job.windows) for job in batch))):
            jobs = [job for job in batch if turn < len(job.windows)]
            stack = np.stack([job.windows[turn] for job in jobs])
            judged = self._detector.detect([job.state for job in jobs], stack)
            for job, probability in zip(jobs, judged, strict=True):
                job.probabilities.append(probability)


def _whole(window: Samples) -> Samples:
    if len(window) == WINDOW:
        return window
    return np.concatenate([window, np.zeros(WINDOW - len(window), np.float32)])
