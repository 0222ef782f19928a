"""The one way to Redis: a call waits a moment at most, and where Redis is away that is said at once.

::

    up ──a call fails or is late──▶ away: every call is refused at once, for REST_S
     ▲                                │ then a probe, every REST_S
     └──────────it answers────────────┘ who has something in Redis is told, for it may have come back empty

Who asks does without where it is away, as one machine alone does: nothing here is needed to finish what is
under way. The only room that knows the package ``redis``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rtc_stt.errors import ConfigError
from rtc_stt.instrument import Instrument
from signaling.shared.settings import Sharing

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["Away", "Link"]

log = logging.getLogger(__name__)

T = TypeVar("T")

REST_S = 1.0
"""Between a failure and the next try."""

PROBE_TIMEOUT_S = 1.0
"""For a probe, which nobody waits for: a connection may have to be made."""

SAY_S = 60.0
"""Between two words about its absence."""

MAX_CONNECTIONS = 32
"""Calls under way at a time; others wait for their turn."""

LATE_S = 0.002
"""An event loop that is later than that was busy with something else: Redis gets its time once more."""

GRACE_TURNS = 20
"""Of the event loop, for an answer that is there and has to be read; of an idle one they take
microseconds."""

Call = tuple[Sequence[str], Sequence[str | bytes | int | float]]
"""Of a script: its keys and its arguments."""


class Away(Exception):
    """Redis does not answer, or not in time."""


class Link:
    """See above. Make it, then :meth:`start` it in the loop that it is used in.

    Raises:
        ConfigError: the package is not there, or the URL is wrong.
    """

    def __init__(self, sharing: Sharing, instrument: Instrument | None = None) -> None:
        self.prefix = sharing.redis_prefix
        self._timeout_s = sharing.redis_timeout_ms / 1000
        self._instrument = instrument or Instrument()
        self._redis = _connect(sharing)
        self._turn = asyncio.Semaphore(MAX_CONNECTIONS)
        self._is_away = True  # until it has answered once
        self._trouble = ""
        self._is_told, self._told_at = False, -SAY_S
        self._probing: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[], Awaitable[None]]] = []
        self._watchers: list[Callable[[bool], None]] = []
        self._is_closed = False

    @property
    def is_away(self) -> bool:
        """Whether calls are refused at present."""
        return self._is_away

    def key(self, *parts: str) -> str:
        """The name of something in Redis."""
        return self.prefix + ":".join(parts)

    def on_back(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Call this whenever Redis is back, the first time included; what it raises of :class:`Away` is as
        good as nothing."""
        self._listeners.append(listener)

    def on_change(self, watcher: Callable[[bool], None]) -> None:
        """Call this whenever it goes (False), and when it is back (True) before who is told of that."""
        self._watchers.append(watcher)

    async def start(self) -> None:
        """Look whether it is there; where it is not, that is said, and tried again."""
        self._instrument.sharing_changed(False)
        await self._probe()
        if self._is_away:
            self._is_told = True
            log.error("Redis cannot be used (%s): this gateway goes on alone until it can", self._trouble)
            self._probe_soon()

    async def ask(self, what: str, call: Callable[[Redis], Awaitable[T]]) -> T:
        """Ask something.

        Args:
            what: its name in the metrics.
            call: makes the awaitable; it is not called where Redis is away.

        Raises:
            Away: there is no answer.
        """
        async with self._turn:
            if self._is_away or self._is_closed:
                raise Away
            try:
                return await self._in_time(call(self._redis))
            except Exception as error:
                if not _is_its_fault(error):
                    raise
                self._instrument.sharing_failed(what)
                self._leave(error)
                raise Away from error

    async def run(self, what: str, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script in Lua; gives what it returns.

        Raises:
            Away: there is no answer.
        """
        return (await self.run_all(what, script, [(keys, args)]))[0]

    async def run_all(self, what: str, script: str, calls: Sequence[Call]) -> list[Any]:
        """Run a script several times, in this order, in one round trip; gives what each returns.

        Raises:
            Away: there is no answer; some of them may have been run.
        """

        async def call(redis: Redis) -> list[Any]:
            answers = await _run(redis, script, calls)
            if missing := [number for number, answer in enumerate(answers) if _is_missing(answer)]:
                # It has been started anew. A script is no key: nothing was run of those that it did not know.
                await redis.script_load(script)
                again = await _run(redis, script, [calls[number] for number in missing])
                for number, answer in zip(missing, again, strict=True):
                    answers[number] = answer
            if failed := next((answer for answer in answers if isinstance(answer, Exception)), None):
                raise failed
            return answers

        return await self.ask(what, call)

    async def _in_time(self, call: Awaitable[T]) -> T:
        """What it gives.

        Raises:
            TimeoutError: it took too long.
        """
        task, loop = asyncio.ensure_future(call), asyncio.get_running_loop()
        try:
            due = loop.time() + self._timeout_s
            done, _ = await asyncio.wait([task], timeout=self._timeout_s)
            if not done and loop.time() - due > LATE_S:
                done, _ = await asyncio.wait([task], timeout=self._timeout_s)
            for _ in range(0 if done else GRACE_TURNS):
                await asyncio.sleep(0)
            if not task.done():
                raise TimeoutError
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def aclose(self) -> None:
        """Close its connections."""
        self._is_closed = True
        if self._probing:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._redis.aclose()

    # ── Away and back ────────────────────────────────────────────────────────────

    def _leave(self, error: Exception) -> None:
        if self._is_away:
            return
        self._is_away = True
        # Said once a minute, for one that answers and lets nobody do a thing goes every second. The text of
        # an error may hold what was asked.
        now = time.monotonic()
        self._is_told = now - self._told_at >= SAY_S
        if self._is_told:
            self._told_at = now
            log.error(
                "Redis is away (%s): this gateway goes on alone, with its part of the limits",
                type(error).__name__,
            )
        self._tell(False)
        self._probe_soon()

    def _tell(self, is_up: bool) -> None:
        self._instrument.sharing_changed(is_up)
        for watcher in self._watchers:
            watcher(is_up)

    def _probe_soon(self) -> None:
        if self._probing is None and not self._is_closed:
            self._probing = asyncio.get_running_loop().create_task(self._probe_until_back(), name="redis")

    async def _probe_until_back(self) -> None:
        try:
            while self._is_away:
                await asyncio.sleep(REST_S)
                await self._probe()
        finally:
            self._probing = None

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                # Those of before are broken, or may be: each would fail once more.
                await self._redis.connection_pool.disconnect(inuse_connections=False)
                await self._redis.ping()
        except Exception as error:
            if not _is_its_fault(error):
                raise
            self._trouble = type(error).__name__  # its text may hold what was asked
            return
        self._is_away = False
        if self._is_told:
            log.warning("Redis answers")
        self._tell(True)
        for listener in self._listeners:
            with contextlib.suppress(Away):
                await listener()


def _connect(sharing: Sharing) -> Redis:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise ConfigError(
            "REDIS_URL is set and the package is missing: pip install 'rtc-stt[redis]'"
        ) from error
    tls: dict[str, Any] = {}
    if sharing.redis_ca:
        tls["ssl_ca_certs"] = sharing.redis_ca
        try:
            ssl.create_default_context(cafile=sharing.redis_ca)
        except OSError as error:
            raise ConfigError(f"REDIS_CA: no certificate can be read from {sharing.redis_ca}") from error
    try:
        return Redis.from_url(
            sharing.redis_url,
            retry=Retry(NoBackoff(), 0),  # who asks has no time for that
            socket_connect_timeout=PROBE_TIMEOUT_S,
            max_connections=MAX_CONNECTIONS + 1,  # and the probe
            **tls,
        )
    except ValueError:
        raise ConfigError("REDIS_URL: it is no URL like redis://:password@10.0.0.5:6379/0") from None


def _is_its_fault(error: Exception) -> bool:
    """Whether Redis is to blame, and not whoever asks."""
    from redis.exceptions import RedisError

    return isinstance(error, RedisError | TimeoutError | OSError)


async def _run(redis: Redis, script: str, calls: Sequence[Call]) -> list[Any]:
    digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
    pipeline = redis.pipeline(transaction=False)
    for keys, args in calls:
        pipeline.evalsha(digest, len(keys), *keys, *args)
    return list(await pipeline.execute(raise_on_error=False))


def _is_missing(answer: object) -> bool:
    from redis.exceptions import NoScriptError

    return isinstance(answer, NoScriptError)
