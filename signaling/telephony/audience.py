"""Who hears calls as they go: one call, or all of an account. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from rtc_stt.errors import TooMany, Unavailable, trace
from signaling.telephony.call_events import CallEvent

__all__ = ["MAX_LISTENERS", "MAX_OF_ACCOUNT", "MAX_OF_CALL", "Audience", "Listener"]

log = logging.getLogger(__name__)

MAX_OF_CALL, MAX_OF_ACCOUNT, MAX_LISTENERS = 16, 128, 256
"""Of a call, of all calls of an account, of the server: it has 512 connections in all."""


class Listener(Protocol):
    """One who hears calls. No method waits."""

    def hear(self, call_id: str, event: CallEvent) -> None:
        """What a call told."""

    def dismiss(self, reason: str) -> None:
        """No more will come."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seat:
    listener: Listener
    account: str
    call_id: str | None


class Audience:
    """All of them.

    Args:
        is_open: whether everyone hears every call.
    """

    def __init__(self, *, is_open: bool) -> None:
        self._is_open = is_open
        self._seats: dict[int, _Seat] = {}
        self._of_call: dict[str, list[Listener]] = {}
        self._of_all: list[_Seat] = []

    def __len__(self) -> int:
        return len(self._seats)

    def add(self, listener: Listener, account: str, call_id: str | None) -> None:
        """Let one hear a call, or all calls of an account.

        Raises:
            TooMany: as many hear this call, or are of this account, as may.
            Unavailable: there are as many as there may be.
        """
        if call_id is not None and len(self._of_call.get(call_id, ())) >= MAX_OF_CALL:
            raise TooMany(f"{MAX_OF_CALL} connections hear this call already")
        if sum(seat.account == account for seat in self._seats.values()) >= MAX_OF_ACCOUNT:
            raise TooMany(f"{MAX_OF_ACCOUNT} connections of yours hear calls already")
        if len(self._seats) >= MAX_LISTENERS:
            raise Unavailable("as many connections hear calls as may; try again later")
        seat = self._seats[id(listener)] = _Seat(listener, account, call_id)
        if call_id is not None:
            self._of_call.setdefault(call_id, []).append(listener)
        else:
            self._of_all.append(seat)

    def remove(self, listener: Listener) -> None:
        """It has gone. May be called again."""
        seat = self._seats.pop(id(listener), None)
        if seat and seat.call_id is None:
            self._of_all.remove(seat)
        elif seat and seat.call_id is not None:
            others = self._of_call[seat.call_id]
            others.remove(listener)
            if not others:
                del self._of_call[seat.call_id]

    def tell(self, call_id: str, account: str, event: CallEvent) -> None:
        """Hand an event on. One who fails is let go of; the call goes on."""
        for listener in self._hearing(call_id, account):
            try:
                listener.hear(call_id, event)
            except Exception as error:
                log.error("a listener failed: %s", trace(error))
                self.remove(listener)

    def dismiss(self, call_id: str | None, reason: str) -> None:
        """No more will come of a call; None: of any."""
        if call_id is not None:
            leaving = list(self._of_call.get(call_id, ()))
        else:
            leaving = [seat.listener for seat in self._seats.values()]
        for listener in leaving:
            self.remove(listener)
            listener.dismiss(reason)

    def _hearing(self, call_id: str, account: str) -> list[Listener]:
        of_all = [seat.listener for seat in self._of_all if self._is_open or seat.account == account]
        return [*self._of_call.get(call_id, ()), *of_all]
