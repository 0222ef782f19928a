"""The front's decode pool, served to one worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtc_stt.decode_pool import Answer, DecodePool
from rtc_stt.hypothesis import DecodeRequest
from signaling.workers.frames import BadFrame, Frame
from signaling.workers.messages import (
    NumberedRequest,
    PoolState,
    read_submit,
    state_of,
    state_to,
    write_answer,
)

__all__ = ["PoolServer"]

MOST_STREAMS = 100_000
"""Streams of one worker: the highest MAX_SESSIONS."""


class PoolServer:
    """Owns the worker's streams at the pool. Called on the event loop only.

    Args:
        pool: what decodes for all workers.
        send: takes headers of messages to the worker.
    """

    def __init__(self, pool: DecodePool, send: Callable[[dict[str, Any]], None]) -> None:
        self._pool = pool
        self._send = send
        self._streams: set[str] = set()
        self._told: PoolState | None = None

    def receive(self, frame: Frame) -> bool:
        """Take a message; False where it is none for a pool.

        Raises:
            BadFrame: it cannot be understood.
        """
        match frame.type:
            case "submit":
                self._submit(read_submit(frame))
            case "detach":
                self._detach(frame)
            case _:
                return False
        return True

    def tell_state(self) -> None:
        """Tell the worker how the pool is, where that has changed."""
        state = state_of(self._pool)
        if state != self._told:
            self._told = state
            self._send({"type": "state", **state_to(state)})

    def close(self) -> None:
        """The worker is gone: what it waited for is forgotten."""
        for stream_id in self._streams:
            self._pool.detach(stream_id)
        self._streams.clear()

    def _submit(self, request: NumberedRequest) -> None:
        if request.stream_id not in self._streams:
            if len(self._streams) >= MOST_STREAMS:
                raise BadFrame("a worker has more streams than there can be sessions")
            self._streams.add(request.stream_id)
            self._pool.attach(request.stream_id, self._answer, on_drop=self._drop)
        self._pool.submit(request)

    def _detach(self, frame: Frame) -> None:
        stream_id = frame.header.get("stream_id")
        if stream_id in self._streams:
            self._streams.discard(stream_id)
            self._pool.detach(stream_id)

    def _answer(self, answer: Answer) -> None:
        assert isinstance(answer.request, NumberedRequest)
        self._send(write_answer(answer, answer.request.number))

    def _drop(self, request: DecodeRequest) -> None:
        assert isinstance(request, NumberedRequest)
        self._send({"type": "dropped", "number": request.number})
