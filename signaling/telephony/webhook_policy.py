"""Which event is posted when, how often, and when it is given up. Pure; ``now`` is monotonic, in seconds.

::

    put ──▶ waiting ──due, a place is free──▶ posting ──2xx──▶ delivered
     │         ▲                                │
     │         └── failed: after 1, 5, 30 … s ──┤
     └──▶ given up: overflow, off, exhausted, drained ◀─┘

The events of a call are posted one after another, in order: one that fails holds up those behind it, and no
other call. An event has a bounded number of attempts and a bounded age, so a receiver that is down for good
does not hold anything for ever. 410 says that nobody wants them any more (Standard Webhooks 1.0.0): nothing
is posted for an hour.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hmac
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtc_stt.errors import ConfigError

__all__ = ["Answer", "GivenUp", "Post", "Result", "WebhookPolicy", "read_secrets", "sign", "wrap"]

RETRY_S = (1.0, 5.0, 30.0, 120.0, 600.0)
"""Between the attempts: short for a receiver that is being started anew, then patient."""

JITTER = 0.25
"""Of a delay, either way: those that failed together do not come back together."""

MAX_RETRY_AFTER_S = 900.0
"""A ``Retry-After`` beyond it is not obeyed."""

MAX_AGE_S = 3_600.0
OFF_S = 3_600.0
"""How old an event gets before it is given up; and how long nothing is posted after a 410."""

MAX_POSTS, MAX_BYTES = 10_000, 32 * 1024 * 1024
"""Events that wait, in all."""

CONCURRENCY = 8
"""Posted at a time, each of another call."""

SECRET_PREFIX = "whsec_"  # noqa: S105 — no secret, but how one begins
MIN_SECRET_BYTES = 24
MAX_SECRETS = 3
"""At a time: the one that goes, the one that comes, and one that was never taken out."""


class Result(enum.StrEnum):
    """What became of an event, or of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It is tried again."""
    EXHAUSTED = "exhausted"
    """As often, or as long, as it is tried."""
    OVERFLOW = "overflow"
    OFF = "off"
    """The receiver wants none any more."""
    DRAINED = "drained"
    """The server went first."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt."""

    status: int = 0
    """Of HTTP; 0: none came."""
    retry_after_s: float | None = None


@dataclass(slots=True, eq=False)
class Post:
    """One event on its way."""

    id: str
    """The same for every attempt, and no other event's."""
    call_id: str
    body: bytes = field(repr=False)
    put_at: float = 0.0
    attempts: int = 0
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class GivenUp:
    """One that will not be posted any more."""

    post: Post
    result: Result


class WebhookPolicy:
    """See above."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[Post]] = OrderedDict()
        """Of each call, the first is posted next, or now."""
        self._posting: set[str] = set()
        """Calls of which one is being posted."""
        self._waiting = 0
        self._bytes = 0
        self._off_until: float | None = None
        self._is_draining = False

    @property
    def waiting(self) -> int:
        """Events that are not settled, those included that are being posted."""
        return self._waiting

    def put(self, post: Post, now: float) -> GivenUp | None:
        """A new event; it is given up at once where there is no room, or nobody wants any."""
        if self._is_off(now):
            return GivenUp(post, Result.OFF)
        if self._waiting >= MAX_POSTS or self._bytes + len(post.body) > MAX_BYTES:
            return GivenUp(post, Result.OVERFLOW)
        post.put_at = post.due = now
        self._lanes.setdefault(post.call_id, deque()).append(post)
        self._waiting += 1
        self._bytes += len(post.body)
        return None

    def take_due(self, now: float) -> list[Post]:
        """What is to be posted now. Each is to be answered by :meth:`settle`."""
        found: list[Post] = []
        for call_id, lane in self._lanes.items():
            if len(self._posting) >= CONCURRENCY:
                break
            if call_id not in self._posting and (self._is_draining or lane[0].due <= now):
                self._posting.add(call_id)
                lane[0].attempts += 1
                found.append(lane[0])
        for post in found:  # who has had a turn stands behind those who wait for theirs
            self._lanes.move_to_end(post.call_id)
        return found

    def settle(self, post: Post, answer: Answer, now: float, draw: float) -> tuple[Result, list[GivenUp]]:
        """What an attempt came to, and what is given up because of it.

        Args:
            draw: from 0 to 1, for jitter.
        """
        self._posting.discard(post.call_id)
        if 200 <= answer.status < 300:
            self._off_until = None
            self._drop_first(post)
            return Result.DELIVERED, []
        if answer.status == 410:
            self._off_until = now + OFF_S
            return Result.OFF, self._give_up_waiting(Result.OFF)
        if self._is_off(now):  # another was told so meanwhile
            self._drop_first(post)
            return Result.OFF, [GivenUp(post, Result.OFF)]
        delay = self._delay(post, answer, draw)
        is_old = now + delay - post.put_at > MAX_AGE_S
        if self._is_draining or post.attempts > len(RETRY_S) or is_old:
            result = Result.DRAINED if self._is_draining else Result.EXHAUSTED
            self._drop_first(post)
            return result, [GivenUp(post, result)]
        post.due = now + delay
        return Result.FAILED, []

    def next_deadline(self) -> float | None:
        """When to ask :meth:`take_due` again, if nothing happens before; None: only then."""
        if len(self._posting) >= CONCURRENCY:
            return None
        return min(
            (lane[0].due for call_id, lane in self._lanes.items() if call_id not in self._posting),
            default=None,
        )

    def drain(self) -> None:
        """The server ends: everything is tried once more, at once."""
        self._is_draining = True

    def give_up_all(self, result: Result) -> list[GivenUp]:
        """Nothing is waited for any more; nor for what is being posted."""
        self._posting.clear()
        return self._give_up_waiting(result)

    def _give_up_waiting(self, result: Result) -> list[GivenUp]:
        given_up: list[GivenUp] = []
        for call_id, lane in list(self._lanes.items()):
            kept = [lane.popleft()] if call_id in self._posting else []
            given_up += [GivenUp(post, result) for post in lane]
            self._lanes[call_id] = deque(kept)
            if not kept:
                del self._lanes[call_id]
        self._waiting -= len(given_up)
        self._bytes -= sum(len(dead.post.body) for dead in given_up)
        return given_up

    def _is_off(self, now: float) -> bool:
        return self._off_until is not None and now < self._off_until

    def _delay(self, post: Post, answer: Answer, draw: float) -> float:
        delay = RETRY_S[min(post.attempts, len(RETRY_S)) - 1] * (1 + JITTER * (2 * draw - 1))
        return max(delay, min(answer.retry_after_s or 0.0, MAX_RETRY_AFTER_S))

    def _drop_first(self, post: Post) -> None:
        lane = self._lanes.get(post.call_id)
        if lane is None or lane[0] is not post:  # given up meanwhile
            return
        lane.popleft()
        self._waiting -= 1
        self._bytes -= len(post.body)
        if not lane:
            del self._lanes[post.call_id]


# ── What is sent ────────────────────────────────────────────────────────────


def wrap(kind: str, timestamp: str, event: str) -> bytes:
    """The body: ``{"type", "timestamp", "data"}``.

    Args:
        timestamp: when it was told, as ISO 8601.
        event: JSON.
    """
    return f'{{"type":"{kind}","timestamp":"{timestamp}","data":{event}}}'.encode()


def sign(secrets: Sequence[bytes], post_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature`` (Standard Webhooks 1.0.0): HMAC-SHA256 over id, timestamp and body, by
    each secret, with a space between: who knows one of them takes it.

    Args:
        timestamp: of the attempt, in seconds of Unix time.
    """
    signed = f"{post_id}.{timestamp}.".encode() + body
    digests = [hmac.digest(secret, signed, "sha256") for secret in secrets]
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)


def read_secrets(text: str) -> tuple[bytes, ...]:
    """``WEBHOOK_SECRET``: one, or while it is changed several with spaces between. Each is ``whsec_`` and
    base64, as Standard Webhooks writes it; anything else as it stands.

    Raises:
        ConfigError: there are none or too many, or one is too short or not base64.
    """
    secrets = tuple(map(_read_secret, text.split() or [""]))
    if len(secrets) > MAX_SECRETS:
        raise ConfigError(f"WEBHOOK_SECRET has more than {MAX_SECRETS} secrets")
    return secrets


def _read_secret(text: str) -> bytes:
    if text.startswith(SECRET_PREFIX):
        try:
            secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError("WEBHOOK_SECRET: what follows whsec_ is not base64") from None
    else:
        secret = text.encode("utf-8", "surrogateescape")
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"WEBHOOK_SECRET has fewer than {MIN_SECRET_BYTES} bytes: make one with "
            "'echo whsec_$(head -c 32 /dev/urandom | base64)'"
        )
    return secret
