"""Requests under way to one fallback service: ``POST /v1/transcribe`` of another rtc-stt.

Everything runs on the event loop, a task for each request; what takes the time is the other machine. A
request is bounded in time from its first byte to the last of its answer, so none hangs: that is found out
by the time-out and not by :meth:`RemoteLane.check`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from rtc_stt.audio import samples_to_ms
from rtc_stt.decode_queue import Ticket
from rtc_stt.decoding import log_ids
from rtc_stt.errors import trace
from rtc_stt.failover import News, Outcome, Setback, read_status
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Word
from rtc_stt.lanes import Run
from rtc_stt.logs import IdLog
from rtc_stt.verbose import Heard, read_heard
from rtc_stt.wav import to_wav

__all__ = ["RemoteLane"]

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 16
"""Requests at a time to one place: two full batches of its engine. More would only wait over there, out of
reach of the queue here, which knows who is first and who has gone."""

CONNECT_S = 3.0
"""For a connection, of the time that a request has. A host that is up answers within a round trip."""

MAX_BODY = 80 * 1024
"""Of an answer. 448 tokens with a time each are four fifths of it, and the loop reads so much JSON in some
ms."""

MAX_PROMPT = 1_000
"""Characters of a prompt that an rtc-stt takes."""

BYTES_PER_TOKEN = 4
"""Of text, about; an answer does not say how many tokens it had, and they only serve as a weight."""

Reply = Hypothesis | Setback


class RemoteLane:
    """One place. Called on the event loop only.

    Args:
        url: its address, as in ``FALLBACK_URL``.
        title: what it is called in errors.
        api_key: its key, or the empty string.
        timeout_s: how long it may take to answer.
        done: takes each run that was not forgotten, and its one reply, on the event loop.
    """

    max_batch = 1
    trouble = None
    """That it is in trouble is found out by asking it."""

    def __init__(
        self,
        url: str,
        *,
        title: str,
        api_key: str,
        timeout_s: float,
        clock: Callable[[], float],
        done: Callable[[Run, list[Reply]], None],
    ) -> None:
        self.title = title
        self.host = urlsplit(url).netloc
        """Where it is, for the operator."""
        self.model: str | None = None
        """As its last answer said."""
        self._url = url.rstrip("/") + "/v1/transcribe"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_s = timeout_s
        self._clock = clock
        self._done = done
        self._http: aiohttp.ClientSession | None = None  # made in the loop that it belongs to
        self._tasks: dict[Run, asyncio.Task[None]] = {}

    # ── What state it is in ────────────────────────────────────────────────────────────

    @property
    def running(self) -> int:
        """Requests under way."""
        return len(self._tasks)

    @property
    def free(self) -> int:
        """Requests that may begin now."""
        return MAX_IN_FLIGHT - len(self._tasks)

    # ── Decoding ────────────────────────────────────────────────────────────

    def start(self, batch: list[Ticket]) -> None:
        """Ask for one request to be decoded; there must be room for it."""
        assert len(batch) == 1
        assert self.free > 0
        now = self._clock()
        run = Run(batch, now, now)
        self._tasks[run] = asyncio.get_running_loop().create_task(self._carry(run))

    def forget(self, stream_id: str) -> list[Ticket]:
        """Break off what is under way for a stream. Returns it: it is not replied to."""
        gone = [run for run in self._tasks if run.batch[0].request.stream_id == stream_id]
        for run in gone:
            self._tasks.pop(run).cancel()
        return [ticket for run in gone for ticket in run.batch]

    def check(self, now: float) -> None:
        """Nothing to do: see above."""

    def wake(self) -> None:
        """Likewise: what needs the loop is made with the first request."""

    async def aclose(self, timeout: float) -> None:
        """Break off what is under way, and close the connections that are kept."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._http:
            await self._http.close()
            self._http = None

    async def _carry(self, run: Run) -> None:
        reply = await self._ask(run.batch[0].request)
        if self._tasks.pop(run, None):  # else it was forgotten while it ended
            self._done(run, [reply])

    async def _ask(self, request: DecodeRequest) -> Reply:
        """Whatever goes wrong over there or on the way becomes a setback."""
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._post(request)
            if isinstance(body, Setback):
                return body
            heard = read_heard(json.loads(body))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Setback(Outcome.UNREACHABLE, "cannot be reached")
        except TimeoutError:
            return Setback(Outcome.TIMEOUT, f"does not answer within {self._timeout_s:g} s")
        except aiohttp.ClientConnectionError:
            return Setback(Outcome.UNREACHABLE, "breaks the connection")
        except (aiohttp.ClientError, ValueError, RecursionError):
            return Setback(Outcome.ERROR, "answers what cannot be read")
        except Exception as error:  # a request is never lost by a mistake of ours
            told = IdLog(log, **log_ids(request))
            told.error("%s (%s) could not be asked: %s", self.title, self.host, trace(error))
            return Setback(Outcome.ERROR, "could not be asked")
        self.model = heard.model
        return _reply(request, heard)

    async def _post(self, request: DecodeRequest) -> bytes | Setback:
        """The body of an answer that is good so far.

        Raises:
            aiohttp.ClientError, TimeoutError: there is none.
        """
        async with self._session().post(
            self._url, data=_form(request), headers=self._headers | _trail(request), allow_redirects=False
        ) as response:
            if response.status != 200:
                return read_status(response.status, response.headers.get("Retry-After"))
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MAX_BODY:
                    return Setback(Outcome.ERROR, "answers more than anyone can say")
            return bytes(body)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # MAX_IN_FLIGHT is the limit
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=min(CONNECT_S, self._timeout_s)),
                # A few bytes that unpack to gigabytes are not unpacked.
                auto_decompress=False,
                headers={"Accept-Encoding": "identity", "User-Agent": "rtc-stt"},
            )
        return self._http


def _trail(request: DecodeRequest) -> dict[str, str]:
    """By what the request is found again in the log and the trace over there."""
    told = {"X-Request-Id": request.request_id, "traceparent": request.traceparent}
    return {name: value for name, value in told.items() if value}


def _form(request: DecodeRequest) -> aiohttp.FormData:
    form = aiohttp.FormData()
    # NaN is no sample; whatever becomes of it is as good. 30 s take a millisecond, so it is done here.
    form.add_field(
        "audio", to_wav(np.nan_to_num(request.audio)), filename="audio.wav", content_type="audio/wav"
    )
    form.add_field("cut", "false")
    form.add_field("response_format", "verbose_json")
    form.add_field("word_timestamps", "true" if request.word_timestamps else "false")
    options = {"language": _language(request), "prompt": _prompt(request), "hotwords": request.hotwords}
    for name, value in options.items():
        if value:
            form.add_field(name, value)
    return form


def _language(request: DecodeRequest) -> str | None:
    """Where only one is meant, it need not be detected."""
    if request.language is None and len(request.languages) == 1:
        return request.languages[0]
    return request.language


def _prompt(request: DecodeRequest) -> str:
    """Prompt and context as an engine puts them together: of too much the end is kept, at a word."""
    text = " ".join(part for part in (request.prompt, request.context) if part)
    if len(text) <= MAX_PROMPT:
        return text
    end = text[-MAX_PROMPT:]
    return end[end.find(" ") + 1 :]


def _reply(request: DecodeRequest, heard: Heard) -> Reply:
    meant = (request.language,) if request.language else request.languages
    if meant and heard.text and heard.language not in meant:
        # The others would hear what was said as well, and as little of what was asked.
        return Setback(Outcome.ERROR, "answers in a language that is not meant", News.WELL, ends_request=True)
    shift_ms = samples_to_ms(request.audio_start)
    return Hypothesis(
        request=request,
        text=heard.text,
        language=heard.language,
        language_probability=1.0 if request.language else heard.language_probability,
        avg_logprob=heard.avg_logprob,
        no_speech_prob=heard.no_speech_prob,
        compression_ratio=heard.compression_ratio,
        tokens=len(heard.text.encode()) // BYTES_PER_TOKEN,
        model=heard.model,
        words=tuple(
            Word(word.word, word.start_ms + shift_ms, word.end_ms + shift_ms, word.probability)
            for word in heard.words
        ),
    )
