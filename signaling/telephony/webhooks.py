"""Posts the events of calls to ``WEBHOOK_URL``: the pump around :mod:`signaling.telephony.webhook_policy`."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import random
import time
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from rtc_stt.errors import ConfigError
from rtc_stt.instrument import Instrument
from signaling.telephony.call import Call
from signaling.telephony.call_events import CallEvent
from signaling.telephony.call_source import EVENT_TYPES
from signaling.telephony.dead_letters import DeadLetters
from signaling.telephony.settings import Webhooks
from signaling.telephony.webhook_policy import (
    CONCURRENCY,
    Answer,
    GivenUp,
    Post,
    Result,
    WebhookPolicy,
    read_secrets,
    sign,
    wrap,
)

__all__ = ["Target", "WebhookSender", "read_target"]

log = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=10.0, sock_connect=5.0)
"""For the head of an answer; its body is not looked at. A receiver that has much to do does it later."""

BURIED_A_GO = 100
"""Events that are given up before others have their turn: about a millisecond."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where events are posted to, and which."""

    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    events: frozenset[str]


def read_target(settings: Webhooks) -> Target:
    """What the settings come to.

    Raises:
        ConfigError: the URL, the secret or an event is not right.
    """
    try:
        url = urlsplit(settings.webhook_url)
        is_url = url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigError("WEBHOOK_URL is an http:// or https:// URL")
    if unknown := set(settings.webhook_events) - EVENT_TYPES:
        raise ConfigError(f"WEBHOOK_EVENTS: there is no event {min(unknown)!r}")
    return Target(
        settings.webhook_url, read_secrets(settings.webhook_secret), frozenset(settings.webhook_events)
    )


class WebhookSender:
    """See above; a subscriber of the hub. Nothing it logs tells the URL, the secret or an event.

    Raises:
        ConfigError: see :func:`read_target`; or the file for dead letters cannot be written.
    """

    def __init__(self, settings: Webhooks, instrument: Instrument) -> None:
        self._target = read_target(settings)
        self._instrument = instrument
        self._dead_letters = DeadLetters(settings.webhook_dead_letters, instrument.dead_letter_lost)
        self._policy = WebhookPolicy()
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._dead: deque[GivenUp] = deque()
        self._burying: asyncio.Task[None] | None = None
        self._was_well = True
        self._is_over = False

    def hear(self, call: Call, event: CallEvent) -> None:
        """Post it, if it is one of those that are wanted."""
        if event.type not in self._target.events or self._is_over:
            return
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        # A dot would let one id run into the timestamp (Standard Webhooks, signature scheme): there is none.
        post = Post(f"{call.id}_{event.seq}", call.id, wrap(event.type, at, event.text))
        if given_up := self._policy.put(post, time.monotonic()):
            self._bury([given_up])
        self._advance()

    async def drain(self, seconds: float) -> None:
        """Try all that waits once more, for so long at most, and give up the rest."""
        self._policy.drain()
        self._advance()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%d events could not be posted in time", self._policy.waiting)
            await self._stop()

    async def aclose(self) -> None:
        """Let go of all connections, whatever they still do. What is told from here on is not posted."""
        self._is_over = True
        await self._stop()
        if self._session:
            await self._session.close()
        await self._dead_letters.aclose()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._bury(self._policy.give_up_all(Result.DRAINED))
        self._advance()
        if self._burying:
            await asyncio.wait([self._burying])

    # ── The pump ────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        now = time.monotonic()
        for post in self._policy.take_due(now):
            task = asyncio.get_running_loop().create_task(self._send(post), name="webhook")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        deadline = self._policy.next_deadline()
        if deadline is not None:
            delay = max(0.0, deadline - now)
            self._timer = asyncio.get_running_loop().call_later(delay, self._advance)
        if self._policy.waiting:
            self._idle.clear()
        else:
            self._idle.set()
        self._instrument.webhooks_changed(self._policy.waiting)

    async def _send(self, post: Post) -> None:
        answer = await self._ask(post)
        result, given_up = self._policy.settle(post, answer, time.monotonic(), random.random())  # noqa: S311
        if result in (Result.DELIVERED, Result.FAILED):
            self._instrument.webhook_settled(result)
        self._note_health(result, answer.status)
        self._bury(given_up)
        self._advance()

    async def _ask(self, post: Post) -> Answer:
        at = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "rtc-stt",
            "webhook-id": post.id,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(self._target.secrets, post.id, at, post.body),
        }
        try:
            async with self._client().post(
                self._target.url, data=post.body, headers=headers, allow_redirects=False
            ) as response:
                return Answer(response.status, _retry_after(response.headers.get("Retry-After")))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return Answer()

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=TIMEOUT,
                connector=aiohttp.TCPConnector(limit=CONCURRENCY),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    # ── What fails ────────────────────────────────────────────────────────────

    def _note_health(self, result: Result, status: int) -> None:
        """Say in the log when the receiver stops taking events, and when it does so again."""
        is_well = result is Result.DELIVERED
        if is_well != self._was_well:
            if is_well:
                log.info("webhooks are taken again")
            else:
                log.warning("a webhook was not taken (%s)", f"status {status}" if status else "no answer")
        self._was_well = is_well

    def _bury(self, given_up: list[GivenUp]) -> None:
        """They may be ten thousand at once, so it is done a few at a time."""
        self._dead.extend(given_up)
        if self._dead and (self._burying is None or self._burying.done()):
            self._burying = asyncio.get_running_loop().create_task(self._bury_all(), name="webhooks-dead")

    async def _bury_all(self) -> None:
        while self._dead:
            for _ in range(min(BURIED_A_GO, len(self._dead))):
                dead = self._dead.popleft()
                self._instrument.webhook_settled(dead.result)
                self._dead_letters.keep(_write_letter(dead))
            await asyncio.sleep(0)


def _write_letter(dead: GivenUp) -> bytes:
    post = dead.post
    head = {"id": post.id, "result": dead.result, "attempts": post.attempts, "at": int(time.time())}
    return json.dumps(head, separators=(",", ":"))[:-1].encode() + b',"body":' + post.body + b"}"


def _retry_after(text: str | None) -> float | None:
    """Seconds (RFC 9110 §10.2.3); a date is not read, since it is of another clock."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 8 else None
