"""What SttClient and SttPool have in common: a call, made again where that may help, and told about."""

from __future__ import annotations

import abc
import asyncio
import itertools
import json
import logging
import random
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any, Generic, Literal, Self, TypeVar

import aiohttp

from rtc_stt.client.answers import error_of, read_refusal, seconds_to_wait
from rtc_stt.client.exchange import Answer, Failure, Request, Server
from rtc_stt.client.recording import Audio, Form, open_recording
from rtc_stt.client.result import Result, Telemetry, read_result
from rtc_stt.client.retries import Fault, Retries
from rtc_stt.errors import RtcSttError, Unreachable, trace
from rtc_stt.percentiles import Percentiles, RollingPercentiles

__all__ = ["Caller", "OnRequest", "Outlook"]

log = logging.getLogger(__name__)

T = TypeVar("T")

OnRequest = Callable[[Telemetry], None]

Reader = Callable[[Answer, float, int], T]
"""Takes an answer with status 200, the seconds it took and the number of the attempt; raises ValueError."""

TRANSCRIBE = "/v1/transcribe"

QUESTION_TIMEOUT_S = 10.0
"""For what is answered at once, if at all."""

CONNECTIONS_PER_SERVER = 100
"""Who makes more calls at a time waits for one of them; the server has its own limit (``MAX_REQUESTS``)."""

LONG_ANSWER = 32 * 1024
"""Bytes; a longer one is taken apart in a thread, since it takes milliseconds."""

FAULTS = {
    Fault.NO_CONNECTION: "the server cannot be reached",
    Fault.BROKEN: "the connection was lost before there was an answer",
    Fault.TOO_LATE: "there was no answer in time",
    Fault.UNREADABLE: "the answer is not that of an rtc-stt, or of a later version of it; look at the URL",
}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known after an attempt that failed."""

    told_s: float | None
    """When whoever is asked next wants to be asked."""
    elsewhere: bool
    """Whether that is another server, and it is well."""


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[T]):
    """Of one attempt: either a value or an error."""

    came: Answer | Failure
    seconds: float
    value: T | None = None
    error: RtcSttError | None = None


class Caller(abc.ABC):
    """Asks whatever server :meth:`_choose` gives. Arguments as of :class:`~rtc_stt.client.SttClient`."""

    def __init__(
        self,
        *,
        timeout_s: float,
        attempts: int,
        patience_s: float,
        on_request: OnRequest | None,
        session: aiohttp.ClientSession | None,
    ) -> None:
        if attempts < 1 or timeout_s <= 0 or patience_s <= 0:
            raise ValueError("attempts, timeout_s and patience_s are positive")
        self._timeout_s, self._attempts, self._patience_s = timeout_s, attempts, patience_s
        self._on_request = on_request
        self._given, self._http = session, session
        self._latency_ms = RollingPercentiles()

    # ── Its life ────────────────────────────────────────────────────────────

    async def __aenter__(self) -> Self:
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=CONNECTIONS_PER_SERVER)
            self._http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; a session that was given stays open. Calls under way fail."""
        if self._http is not None and self._given is None:
            await self._http.close()
            self._http = None

    # ── What a user asks ────────────────────────────────────────────────────────────

    async def transcribe(
        self,
        audio: Audio,
        *,
        language: str | None = None,
        prompt: str | None = None,
        hotwords: str | None = None,
        word_timestamps: bool = False,
        cut: bool = True,
        on_fallback_failure: Literal["error", "degrade"] = "error",
    ) -> Result:
        """The transcript of a recording.

        Args:
            audio: the path of a file in any common format; the bytes of one; one that is open in
                binary mode and can seek (it is read from where it stands, and not closed); or samples, 16 kHz
                mono float32 in [-1, 1] of shape ``(n,)``. Files are sent from the disk, whatever their size.
            language: Whisper language code; None: detected.
            prompt: what was said before, or how it is spelt; at most 1,000 characters.
            hotwords: words to expect, likewise.
            word_timestamps: whether segments get ``words``.
            cut: False: at most 30 s, which are decoded as they are, as one segment.
            on_fallback_failure: what to do where the larger model is wanted and fails: ``"error"``, or
                ``"degrade"`` to the smaller one's text, which ``degraded`` then tells.

        Raises:
            BadAudio: the recording cannot be read, here or by the server.
            AudioTooLong, BadRequest, …: the server refuses it (4xx); never tried again, but for ``TooMany``.
            TooMany, Unavailable, ServerError: likewise 429, 503 and other 5xx, for as long as it was tried.
            DecodeFailed: the server cannot decode it.
            Unreachable: no connection, or no answer in time, for as long as it was tried.
        """
        fields = {"response_format": "verbose_json", "on_fallback_failure": on_fallback_failure}
        fields |= {"word_timestamps": str(word_timestamps).lower(), "cut": str(cut).lower()}
        wanted = {"language": language, "prompt": prompt, "hotwords": hotwords}
        fields |= {name: value for name, value in wanted.items() if value is not None}
        begun = time.monotonic()
        async with open_recording(audio) as recording:
            request = Request("POST", TRANSCRIBE, Form(recording, fields))
            result = await self._call(request, _read_transcript)
        self._latency_ms.add((time.monotonic() - begun) * 1000)
        return result

    @abc.abstractmethod
    async def health(self) -> bool:
        """Whether a server runs."""

    @abc.abstractmethod
    async def ready(self) -> bool:
        """Whether one takes requests."""

    @property
    def latency(self) -> Percentiles:
        """Of the newest 1,000 transcriptions, in ms from the call to the result, all attempts included."""
        return self._latency_ms.summary()

    # ── A call ────────────────────────────────────────────────────────────

    @abc.abstractmethod
    async def _choose(self, retries: Retries, tried: Set[Server]) -> Server:
        """Whom to ask now; ``tried`` have failed in this call. An attempt begins: :meth:`_ended` follows."""

    @abc.abstractmethod
    def _ended(self, server: Server, came: Answer | Failure | None) -> None:
        """An attempt is over; None: it was broken off from here."""

    @abc.abstractmethod
    def _outlook(self, told_s: float | None, tried: Set[Server]) -> Outlook:
        """What to expect of another attempt; this one's answer told ``told_s``."""

    async def _call(self, request: Request, read: Reader[T]) -> T:
        """Ask until there is an answer that ``read`` takes, or it makes no sense any more."""
        retries = Retries(time.monotonic(), attempts=self._attempts, patience_s=self._patience_s)
        tried: set[Server] = set()
        for attempt in itertools.count(1):
            server = await self._choose(retries, tried)
            outcome = await self._attempt(server, request, read, attempt, retries)
            tried.add(server)
            wait = self._decide(outcome.came, retries, tried) if outcome.error else None
            self._tell(server, request, attempt, outcome, wait)
            if outcome.value is not None:
                return outcome.value
            assert outcome.error
            if wait is None:
                raise outcome.error
            await asyncio.sleep(wait)
        raise AssertionError("unreachable: Retries ends it")

    async def _attempt(
        self, server: Server, request: Request, read: Reader[T], attempt: int, retries: Retries
    ) -> _Outcome[T]:
        """One question, and what its answer holds."""
        begun = time.monotonic()
        timeout_s = max(0.01, min(self._timeout_s, retries.time_left(begun)))  # to aiohttp 0 means for ever
        outcome: _Outcome[T] | None = None
        try:
            came = await server.ask(self._session, request, timeout_s)
            outcome = await _read(came, time.monotonic() - begun, read, attempt)
        finally:
            self._ended(server, outcome.came if outcome else None)
        return outcome

    def _decide(self, came: Answer | Failure, retries: Retries, tried: Set[Server]) -> float | None:
        """Seconds to the next attempt after one that failed; None where there is to be none."""
        chance = random.random()  # noqa: S311 — spreads clients, guards nothing
        now = time.monotonic()
        if isinstance(came, Failure):
            elsewhere = self._outlook(None, tried).elsewhere
            return retries.failed(came.fault, now=now, chance=chance, elsewhere=elsewhere)
        outlook = self._outlook(_retry_after(came), tried)
        return retries.answered(
            came.status, outlook.told_s, now=now, chance=chance, elsewhere=outlook.elsewhere
        )

    def _tell(
        self, server: Server, request: Request, attempt: int, outcome: _Outcome[T], wait: float | None
    ) -> None:
        if not self._on_request:
            return
        answer = outcome.came if isinstance(outcome.came, Answer) else None
        told = Telemetry(
            url=server.url,
            path=request.path,
            attempt=attempt,
            status=answer.status if answer else None,
            seconds=outcome.seconds,
            error=type(outcome.error).__name__ if outcome.error else None,
            request_id=answer.headers.get("X-Req-Id") if answer else None,
            retry_in_s=wait,
        )
        try:
            self._on_request(told)
        except Exception as mistake:  # a broken hook breaks no call
            log.error("on_request failed: %s", trace(mistake))

    # ── Questions that are asked once ────────────────────────────────────────────────────────────

    async def _get(self, server: Server, path: str) -> dict[str, Any]:
        """The JSON object that is there. Raises what ``transcribe`` would."""
        came = await server.ask(self._session, Request("GET", path), QUESTION_TIMEOUT_S)
        outcome = await _read(came, 0.0, _read_object, 1)
        if outcome.value is None:
            assert outcome.error
            raise outcome.error
        return outcome.value

    async def _says_yes(self, server: Server, path: str) -> bool:
        try:
            return (await self._get(server, path)).get("ok") is True
        except RtcSttError:
            return False

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("use it in `async with`")
        return self._http


async def _read(came: Answer | Failure, seconds: float, read: Reader[T], attempt: int) -> _Outcome[T]:
    """What came, as a value or an error. An answer with status 200 that cannot be read is a failure."""
    if isinstance(came, Answer) and came.status == 200:
        try:
            if len(came.body) > LONG_ANSWER:
                value = await asyncio.to_thread(read, came, seconds, attempt)
            else:
                value = read(came, seconds, attempt)
            return _Outcome(came, seconds, value)
        except ValueError as error:  # its message may quote the answer
            came = Failure(Fault.UNREADABLE, type(error).__name__)
    return _Outcome(came, seconds, error=_error_of(came))


def _error_of(came: Answer | Failure) -> RtcSttError:
    """What an attempt that failed stands for."""
    if isinstance(came, Failure):
        return Unreachable(f"{FAULTS[came.fault]} ({came.error})")
    if came.status < 400:
        return Unreachable(f"{FAULTS[Fault.UNREADABLE]} (status {came.status})")
    error = error_of(came.status, read_refusal(came.body), _retry_after(came))
    error.request_id = error.request_id or came.headers.get("X-Req-Id")
    return error


def _retry_after(answer: Answer) -> float | None:
    return seconds_to_wait(answer.headers.get("Retry-After"), time.time())


def _read_transcript(answer: Answer, seconds: float, attempt: int) -> Result:
    return read_result(answer.body, answer.headers, round_trip_ms=seconds * 1000, attempts=attempt)


def _read_object(answer: Answer, _seconds: float, _attempt: int) -> dict[str, Any]:
    told = json.loads(answer.body)
    if not isinstance(told, dict):
        raise ValueError("no JSON object")
    return told
