"""The worker's decode pool: the front's, at the other end of a socket.

Which request is stale, which is shed and who is next is decided there, for all workers together. Here
requests wait only for their answers.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Protocol

from rtc_stt.decoding import Answer, log_ids
from rtc_stt.errors import trace
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Tier, Urgency
from rtc_stt.instrument import Instrument
from rtc_stt.load import Step
from rtc_stt.logs import IdLog
from signaling.workers.frames import BadFrame, Frame
from signaling.workers.link import Link
from signaling.workers.messages import PoolState, read_answer, state_from, write_submit

__all__ = ["RemotePool"]

log = logging.getLogger(__name__)

MOST_WAITING = 4 * 1024 * 1024
"""Bytes on their way to the front. Where it is so far behind with reading, what may be left out is not sent.
A final always is."""

Key = tuple[str, int, int, Tier]


class Sender(Protocol):
    """What the pool needs of a :class:`~signaling.workers.link.Link`."""

    send: Callable[..., None]

    @property
    def unsent(self) -> int:
        """Bytes that wait."""
        ...


class RemotePool:
    """A :class:`~rtc_stt.decoding.Decoder`.

    Args:
        state: how the front's pool was at the start.
        link: where requests go. What comes from there is given to :meth:`receive`.
    """

    def __init__(self, state: PoolState, link: Sender | Link, instrument: Instrument | None = None) -> None:
        self._state = state
        self._link = link
        self._instrument = instrument or Instrument()
        self._listeners: dict[str, Callable[[Answer], None]] = {}
        self._load_listeners: dict[str, Callable[[Step], None]] = {}
        self._asked: dict[int, DecodeRequest] = {}
        self._numbers: dict[Key, list[int]] = {}  # a promoted request has several
        self._keys: dict[str, set[Key]] = {}  # by stream
        self._next = itertools.count(1)
        self._closed = False

    # ── What it is ────────────────────────────────────────────────────────────

    @property
    def has_accurate_tier(self) -> bool:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        return self._state.has_accurate_tier

    @property
    def models(self) -> dict[str, str | None]:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        return dict(self._state.models)

    @property
    def languages(self) -> frozenset[str]:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        return self._state.languages

    @property
    def step(self) -> Step:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        return self._state.step

    @property
    def accepts_sessions(self) -> bool:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        return self._state.step < Step.REFUSE

    @property
    def is_ready(self) -> bool:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        return self._state.is_ready

    @property
    def troubles(self) -> tuple[str, ...]:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        return self._state.troubles

    @property
    def waiting(self) -> int:
        """Requests that may still be answered."""
        return len(self._asked)

    # ── From the sessions ────────────────────────────────────────────────────────────

    def attach(
        self,
        stream_id: str,
        listener: Callable[[Answer], None],
        on_load: Callable[[Step], None] | None = None,
    ) -> None:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        self._listeners[stream_id] = listener
        if on_load:
            self._load_listeners[stream_id] = on_load

    def detach(self, stream_id: str) -> None:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        self._listeners.pop(stream_id, None)
        self._load_listeners.pop(stream_id, None)
        for key in list(self._keys.get(stream_id, ())):
            self._forget(key)
        self._link.send({"type": "detach", "stream_id": stream_id})

    def submit(self, request: DecodeRequest) -> None:
        """See :class:`~rtc_stt.decoding.Decoder`."""
        if self._closed:
            return
        if self._link.unsent > MOST_WAITING and not _is_last_word(request):
            self._shed(request)
            return
        number = next(self._next)
        self._asked[number] = request
        self._numbers.setdefault(request.key, []).append(number)
        self._keys.setdefault(request.stream_id, set()).add(request.key)
        self._link.send(*write_submit(request, number))

    async def aclose(self) -> None:
        """Take no more; the models are the front's."""
        self._closed = True
        self._listeners.clear()
        self._load_listeners.clear()

    def _shed(self, request: DecodeRequest) -> None:
        self._instrument.decode_shed(request)
        if request.tier is Tier.ACCURATE:
            failure = DecodeFailure(request, "no capacity", shed=True)
            asyncio.get_running_loop().call_soon(self._deliver, failure)

    # ── From the front ────────────────────────────────────────────────────────────

    def receive(self, frame: Frame) -> bool:
        """Take a message; False where it is none for a pool.

        Raises:
            BadFrame: it cannot be understood.
        """
        match frame.type:
            case "answer":
                self._receive_answer(frame)
            case "dropped":
                self._receive_dropped(_number(frame))
            case "state":
                self._receive_state(state_from(frame.header))
            case _:
                return False
        return True

    def _receive_answer(self, frame: Frame) -> None:
        request = self._asked.get(_number(frame))
        if request is None:  # its stream has ended, or it was promoted just as it was answered
            return
        answer = read_answer(frame.header, request)
        self._forget(request.key)
        self._deliver(answer)

    def _receive_dropped(self, number: int) -> None:
        """That one, and what it had replaced; not what has replaced it meanwhile."""
        request = self._asked.get(number)
        if request is None:
            return
        left = [other for other in self._numbers[request.key] if other > number]
        self._forget(request.key, but=left)

    def _receive_state(self, state: PoolState) -> None:
        before, self._state = self._state, state
        if state.step is not before.step:
            for listener in list(self._load_listeners.values()):
                listener(state.step)

    def _forget(self, key: Key, but: list[int] | None = None) -> None:
        for number in self._numbers.pop(key):
            if not but or number not in but:
                del self._asked[number]
        if but:
            self._numbers[key] = but
            return
        keys = self._keys[key[0]]
        keys.discard(key)
        if not keys:
            del self._keys[key[0]]

    def _deliver(self, answer: Answer) -> None:
        listener = self._listeners.get(answer.request.stream_id)
        if listener:
            try:
                listener(answer)
            except Exception as error:  # one session's mistake is not the others'
                told = IdLog(log, **log_ids(answer.request))
                told.error("an answer could not be taken: %s", trace(error))


def _number(frame: Frame) -> int:
    number = frame.header.get("number")
    if type(number) is not int:
        raise BadFrame("an answer has no number")
    return number


def _is_last_word(request: DecodeRequest) -> bool:
    """Whether without it an utterance might have no text."""
    return request.urgency is Urgency.FINAL and request.tier is Tier.FAST
