"""When to connect again, how long to go on trying, and what an answer means. Pure: time and chance are given.

::

    answer                          while resuming          otherwise
    ──────────────────────────────  ──────────────────────  ──────────────────────────────────
    201                             connected               connected
    307, 308                        ask there               ask there, at most five times over
    401, 403                        give up                 give up
    404                             begin a new session     give up: the address is wrong
    429, 503 (Retry-After)          wait as told            wait as told
    other 5xx                       wait                    wait
    other                           begin a new session     give up: the request is wrong
    none, or no connection          wait                    wait; the very first time give up

Waits double from 0.25 s to 8 s, each between half of that and all of it, so that the clients of a server that
starts again do not come all at once. After ``patience_s`` without a connection it is given up.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from rtc_stt.client.answers import Refusal, error_of
from rtc_stt.client.retries import ceiling
from rtc_stt.errors import RtcSttError, ServerError, Unreachable

__all__ = ["Answer", "Attempts", "Follow", "GiveUp", "Proceed", "Retry", "Step", "begins_anew"]

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 8.0
MAX_REDIRECTS = 5
MAX_RETRY_AFTER_S = 300.0
"""A server that wants to be asked later than this is asked then all the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to an offer."""

    status: int
    message: str = ""
    """Of the error, for a person to read."""
    retry_after_s: float | None = None
    location: str | None = None
    """As the header has it."""


@dataclass(frozen=True, slots=True)
class Proceed:
    """The offer was taken: connect."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Ask at another address."""

    url: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Ask again."""

    after_s: float
    anew: bool = False
    """The session is gone: ask for a new one."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It makes no sense to ask again."""

    error: RtcSttError


Step = Proceed | Follow | Retry | GiveUp


class Attempts:
    """The table above, from the loss of a connection (or the beginning) until there is a new one.

    Args:
        now: seconds on any clock.
        patience_s: for how long to try.
        is_first: whether there never was a connection.
    """

    def __init__(self, now: float, *, patience_s: float, is_first: bool) -> None:
        self._until = now + patience_s
        self._is_first = is_first
        self._failures = 0
        self._redirects = 0

    def decide(self, answer: Answer, url: str, *, resuming: bool, now: float, chance: float) -> Step:
        """What to do about an answer from ``url``; ``chance`` is in [0, 1)."""
        match answer.status:
            case 201:
                return Proceed()
            case 307 | 308:
                return self._follow(answer, url)
            case 401 | 403:
                return GiveUp(_error(answer))
            case 429 | 503:
                return self._wait(now, chance, answer.retry_after_s, _error(answer))
            case status if status >= 500:
                return self._wait(now, chance, answer.retry_after_s, _error(answer))
        if resuming:
            self._redirects = 0
            return Retry(0.0, anew=True)
        return GiveUp(_error(answer))

    def failed(self, *, now: float, chance: float) -> Step:
        """What to do where there was no answer, or no connection after a good one."""
        error = Unreachable("the server cannot be reached, or no connection to it comes about")
        if self._is_first:
            return GiveUp(error)
        return self._wait(now, chance, None, error)

    def _follow(self, answer: Answer, url: str) -> Step:
        self._redirects += 1
        target = urljoin(url, answer.location or "")
        here, there = urlsplit(url), urlsplit(target)
        is_safe = there.scheme == "https" or (there.scheme == "http" and here.scheme == "http")
        if not answer.location or not there.netloc or not is_safe or self._redirects > MAX_REDIRECTS:
            return GiveUp(Unreachable("the server redirects to nowhere, or in circles"))
        return Follow(target)

    def _wait(self, now: float, chance: float, told: float | None, error: RtcSttError) -> Step:
        backoff = ceiling(self._failures, FIRST_WAIT_S, LONGEST_WAIT_S) * (0.5 + chance / 2)
        self._failures += 1
        after = backoff if told is None else min(MAX_RETRY_AFTER_S, max(told, backoff))
        if now + after > self._until:
            return GiveUp(error)
        return Retry(after)


def begins_anew(reason: str) -> bool:
    """Whether to begin a new session after one that the server has ended for this reason: it goes away."""
    return reason == "drained"


def _error(answer: Answer) -> RtcSttError:
    error = error_of(answer.status, Refusal(message=answer.message), answer.retry_after_s)
    return Unreachable(str(error)) if isinstance(error, ServerError) else error
