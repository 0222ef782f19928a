"""One tier's engine: the threads that decode on it, and what happens when it hangs or breaks.

::

    a decode takes over hang_s      its requests fail, its slot is given up, the lane is unhealthy until it
                                    returns; once, where no slot is left, another thread takes its place
    the engine says EngineBroken    nothing is begun, ``engine.reload()`` is tried until it works

A thread cannot be killed. So they are daemons: one that never comes back does not keep the process alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Protocol

from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import Answer, log_ids
from rtc_stt.errors import DecodeError, EngineBroken, trace
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.lanes import DecodeLane, Run
from rtc_stt.logs import IdLog

__all__ = ["Answer", "Engine", "Lane", "Run", "threads"]

log = logging.getLogger(__name__)

COULD_NOT = "%s could not decode a request of %d ms: %s"

RELOAD_AFTER_S = 1.0
"""Before the first attempt to load a broken engine anew; twice as long before each further one …"""

RELOAD_AT_MOST_S = 30.0
"""… up to this."""


class Engine(Protocol):
    """A speech model. ``decode`` blocks, and is called from several threads at a time.

    An engine may also have

    * ``decode_batch(requests: Sequence[DecodeRequest]) -> Sequence[Hypothesis | DecodeError]``: one entry a
      request, in order. It raises only where the whole call failed; then each request is tried alone.
    * ``reload() -> None``: load the model anew after :class:`EngineBroken`. No decode runs meanwhile, but
      for one that hangs. Raises ``ModelError``.
    """

    name: str
    languages: frozenset[str]
    """Codes of the languages it knows."""

    def decode(self, request: DecodeRequest) -> Hypothesis:
        """Decode one request.

        Raises:
            EngineBroken: no request can be decoded before it is loaded anew.
            DecodeError: it could not; any other exception counts as one.
        """
        ...


class Lane:
    """See above. Called on the event loop only.

    Args:
        done: takes each run that did not hang, and its answers in order, on the event loop.
        changed: called when health or free slots have changed other than by a run that is done.
    """

    def __init__(
        self,
        tier: Tier,
        engine: Engine,
        *,
        concurrency: int,
        hang_s: float,
        clock: Callable[[], float],
        done: Callable[[Lane, Run, list[Answer]], None],
        changed: Callable[[Lane], None],
    ) -> None:
        self.tier = tier
        self.engine = engine
        self.max_batch = None if hasattr(engine, "decode_batch") else 1
        self.is_present = True
        self._concurrency = concurrency
        self._hang_s = hang_s
        self._clock = clock
        self._done = done
        self._changed = changed
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = 0
        self._runs: set[Run] = set()  # without those that hang
        self._hung = 0
        self._is_broken = False
        self._generation = 0
        self._reload_timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._busy_s = 0.0  # of runs that ended since the last look
        self._looked_at = clock()
        for _ in range(concurrency):
            self._add_thread()

    # ── What state it is in ────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        """Of its model."""
        return self.engine.name

    @property
    def languages(self) -> frozenset[str]:
        """Codes of the languages that it knows."""
        return self.engine.languages

    @property
    def running(self) -> int:
        """Requests that are being decoded."""
        return sum(len(run.batch) for run in self._runs)

    @property
    def free(self) -> int:
        """Calls that may begin now."""
        return 0 if self._is_broken else self._slots - len(self._runs)

    @property
    def is_usable(self) -> bool:
        """Whether a request will be decoded at all before something is mended."""
        return not self._is_broken and self._slots > 0

    @property
    def is_healthy(self) -> bool:
        """Whether neither the engine nor any of its threads is lost."""
        return not self._is_broken and not self._hung

    @property
    def trouble(self) -> str | None:
        """What is wrong, in words for the operator; None where nothing is."""
        if self._is_broken:
            return f"the {self.tier} model has failed and is being loaded anew"
        return f"the {self.tier} model hangs" if self._hung else None

    def utilisation(self, now: float) -> float:
        """Share of the slots' time that was busy since the last call, in [0, 1]."""
        busy_s = self._busy_s + sum(now - max(run.began, self._looked_at) for run in self._runs)
        whole_s = (now - self._looked_at) * max(1, self._slots)
        self._busy_s, self._looked_at = 0.0, now
        return min(1.0, busy_s / whole_s) if whole_s > 0 else 0.0

    @property
    def _slots(self) -> int:
        return min(self._concurrency, self._threads - self._hung)

    # ── Decoding ────────────────────────────────────────────────────────────

    def start(self, batch: list[Ticket]) -> None:
        """Decode these in one call; a slot must be free."""
        now = self._clock()
        run = Run(batch, now, now, self._generation)
        self._runs.add(run)
        loop = asyncio.get_running_loop()

        def job() -> None:
            answers, broke = _decode_all(self.engine, run.requests, lambda: self._touch(run))
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._finish, run, answers, broke)

        self._jobs.put(job)

    def check(self, now: float) -> list[Run]:
        """Give up the runs that hang. Returns them; the caller answers for them."""
        hung = [run for run in self._runs if now - run.alive_at > self._hang_s]
        for run in hung:
            log.error("%s hangs: %d requests for over %g s", self.engine.name, len(run.batch), self._hang_s)
            run.is_hung = True
            self._leave(run)
            self._hung += 1
        if hung:
            if self._slots == 0 and self._threads == self._concurrency:
                self._add_thread()
            self._changed(self)
        return hung

    def forget(self, stream_id: str) -> list[Ticket]:
        """Nothing: a thread cannot be interrupted."""
        return []

    def wake(self) -> None:
        """Nothing: its threads need no loop."""

    def _touch(self, run: Run) -> None:
        run.alive_at = self._clock()

    def _leave(self, run: Run) -> None:
        self._runs.discard(run)
        self._busy_s += self._clock() - max(run.began, self._looked_at)

    def _finish(self, run: Run, answers: list[Answer], broke: bool) -> None:
        if run.is_hung:
            self._hung -= 1
            log.warning("%s: a decode that hung has returned", self.engine.name)
        else:
            self._leave(run)
        if broke and run.generation == self._generation:
            self._break()
        elif run.is_hung:
            self._changed(self)
        if not run.is_hung:
            self._done(self, run, answers)

    def _add_thread(self) -> None:
        self._threads += 1
        name = f"decode-{self.tier}-{self._threads}"
        threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True).start()

    # ── Breaking and mending ────────────────────────────────────────────────────────────

    def _break(self) -> None:
        if self._is_broken:
            return
        self._is_broken = True
        log.error("%s is broken", self.engine.name)
        self._plan_reload(RELOAD_AFTER_S)
        self._changed(self)

    def _plan_reload(self, after_s: float) -> None:
        if hasattr(self.engine, "reload") and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._reload_timer = loop.call_later(after_s, self._reload, after_s)

    def _reload(self, waited_s: float) -> None:
        if self._runs:  # they end, or count as hung, before long
            self._plan_reload(waited_s)
            return
        loop = asyncio.get_running_loop()

        def load() -> None:
            error = _reload(self.engine)
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._receive_reload, error, waited_s)

        threading.Thread(target=load, name=f"reload-{self.tier}", daemon=True).start()

    def _receive_reload(self, error: str | None, waited_s: float) -> None:
        if error is not None:
            log.error("%s cannot be loaded anew: %s", self.engine.name, error)
            self._plan_reload(min(2 * waited_s, RELOAD_AT_MOST_S))
            return
        log.warning("%s is loaded anew", self.engine.name)
        self._is_broken = False
        self._generation += 1
        self._changed(self)

    # ── The end ────────────────────────────────────────────────────────────

    async def aclose(self, timeout: float) -> None:
        """Wait for what runs, at most so many seconds, and let the threads end."""
        self._is_closed = True
        if self._reload_timer:
            self._reload_timer.cancel()
        deadline = asyncio.get_running_loop().time() + timeout
        while self._runs and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.002)
        for _ in range(self._threads):
            self._jobs.put(None)


def threads(
    tier: Tier,
    engine: Engine,
    *,
    done: Callable[[DecodeLane, Run, list[Answer]], None],
    changed: Callable[[DecodeLane], None],
    queued_s: Callable[[], float],
    **calls: Any,
) -> Lane:
    """A :class:`~rtc_stt.lanes.LaneMaker`, given the first two and ``calls``: nobody is told what waits."""
    return Lane(tier, engine, done=done, changed=changed, **calls)


# ── In the threads ────────────────────────────────────────────────────────────


def _work(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # the audio in it is not kept until the next one


def _decode_all(
    engine: Engine, requests: Sequence[DecodeRequest], go_on: Callable[[], None]
) -> tuple[list[Answer], bool]:
    """Whatever goes wrong in an engine becomes a failure of single requests. Also whether it is broken."""
    if len(requests) > 1:
        try:
            return _decode_together(engine, requests)
        except EngineBroken as error:
            log.error("%s: %s", engine.name, error)
            return [DecodeFailure(request, str(error)) for request in requests], True
        except BaseException as error:  # in a thread of ours none of them means what it does elsewhere
            log.error("%s failed on a batch of %d: %s", engine.name, len(requests), trace(error))
    answers: list[Answer] = []
    broke = False
    for request in requests:
        go_on()
        if broke:
            answers.append(DecodeFailure(request, "the engine is broken"))
            continue
        answer, broke = _decode_one(engine, request)
        answers.append(answer)
    return answers, broke


def _decode_together(engine: Engine, requests: Sequence[DecodeRequest]) -> tuple[list[Answer], bool]:
    entries: Sequence[Hypothesis | DecodeError] = engine.decode_batch(requests)  # type: ignore[attr-defined]
    answers: list[Answer] = []
    broke = False
    for request, entry in zip(requests, entries, strict=True):
        if isinstance(entry, DecodeError):
            broke = broke or isinstance(entry, EngineBroken)
            _log_of(request).warning(COULD_NOT, engine.name, request.duration_ms, entry)
            answers.append(DecodeFailure(request, str(entry)))
        else:
            answers.append(entry)
    return answers, broke


def _decode_one(engine: Engine, request: DecodeRequest) -> tuple[Answer, bool]:
    try:
        return engine.decode(request), False
    except DecodeError as error:
        _log_of(request).warning(COULD_NOT, engine.name, request.duration_ms, error)
        return DecodeFailure(request, str(error)), isinstance(error, EngineBroken)
    except BaseException as error:
        told = "%s failed on a request of %d ms: %s"
        _log_of(request).error(told, engine.name, request.duration_ms, trace(error))
        return DecodeFailure(request, type(error).__name__), False


def _log_of(request: DecodeRequest) -> IdLog:
    return IdLog(log, **log_ids(request))


def _reload(engine: Engine) -> str | None:
    """What went wrong; None where it is loaded."""
    try:
        engine.reload()  # type: ignore[attr-defined]
    except BaseException as error:
        return type(error).__name__
    return None
