"""One phone call: its legs, its clock, its digits, and the order in which all of it is told.

A call has no task of its own, nor has a :class:`~signaling.telephony.leg.Leg`: the registry sees each out.

::

    begin ──first leg, or anything to tell──▶ call.started ── events ──▶ end ──▶ leg.ended … ──▶ call.ended
      └──ends before that: nothing was told, and nothing is
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.errors import TooMany, trace
from rtc_stt.events import Event
from rtc_stt.token_bucket import TokenBucket
from signaling.auth import OPEN
from signaling.line import Line
from signaling.telephony.call_events import CallEvent, CallLog
from signaling.telephony.call_source import (
    DIGITS,
    MAX_LEGS,
    MAX_PARAMETERS,
    CallDetails,
    CallSource,
    clean_label,
    clean_parameters,
    clean_text,
)
from signaling.telephony.leg import Leg

__all__ = ["Call", "Opener"]

log = logging.getLogger(__name__)

MAX_LEGS_EVER = 32
"""Of a call, one after another: a party that is transferred comes back as another leg."""

DIGIT_RATE = 20.0
"""Digits of a call in a second: no hand and no machine dials faster (ITU-T Q.24: 40 ms of tone, 40 ms of
pause)."""

NOTE_RATE, NOTE_BURST = 5.0, 20.0
"""What the other side may have told besides: notes, holds, warnings. What is more is not told."""


class Opener(Protocol):
    """Gives legs their sessions."""

    def open_leg(self, call: Call, make: Callable[[str, Line], Leg]) -> Leg:
        """A leg, with a session that has a place among all.

        Raises:
            TooMany, Unavailable: there is none.
        """


class Call:
    """See above. It ends when its adapter says so, or when its last leg has ended.

    Args:
        publish: gets every event of the call, in order; must not raise.
        opener: gives legs their sessions.
        account: whose it is.
        is_awaited: whether somebody may know of it before it has begun, and so is told also of one that ends
            before anything came of it.
    """

    def __init__(
        self,
        call_id: str,
        details: CallDetails,
        source: CallSource,
        opener: Opener,
        publish: Callable[[Call, CallEvent], None],
        *,
        account: str = OPEN,
        is_awaited: bool = False,
    ) -> None:
        self.id = call_id
        self.details = details
        self.source = source
        self.account = account
        self.began = time.monotonic()
        self.began_at = time.time()
        self.log = CallLog(call_id)
        self.legs: dict[str, Leg] = {}
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with the reason when ``call.ended`` has been told."""
        self.parameters = clean_parameters(details.parameters)
        self._opener = opener
        self._publish = publish
        self._is_awaited = is_awaited
        self._is_told = False
        self._open = 0
        """Legs whose session has not ended."""
        self._ending: str | None = None
        self._digits = TokenBucket(DIGIT_RATE, DIGIT_RATE)
        self._notes = TokenBucket(NOTE_RATE, NOTE_BURST)
        self._held: dict[str, bool] = {}

    @property
    def at_ms(self) -> int:
        """Milliseconds since it began."""
        return round((time.monotonic() - self.began) * 1000)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._ending is not None

    def describe(self) -> dict[str, Any]:
        """What ``GET /v1/calls`` tells of it."""
        return {
            "id": self.id,
            "state": "ended" if self.ended.done() else "active",
            "source": self.details.source,
            "external_id": clean_text(self.details.external_id),
            "caller": clean_text(self.details.caller),
            "callee": clean_text(self.details.callee),
            "parameters": dict(self.parameters),
            "started_at": round(self.began_at, 3),
            "duration_ms": self.at_ms,
            "legs": [
                {
                    "leg": label,
                    "audio_ms": leg.clock.at_ms,
                    "held": self._held.get(label, False),
                    "ended": leg.session.ended.done(),
                }
                for label, leg in self.legs.items()
            ],
        }

    # ── What its adapter does ────────────────────────────────────────────────────────────

    def add_leg(self, label: str) -> Leg:
        """A party that is heard by itself, from now on.

        Raises:
            TooMany: the call has as many as one may have, or there is no room for another session.
            Unavailable: there is no room, or the server is draining.
        """
        label = clean_label(label)
        open_legs = sum(not leg.session.ended.done() for leg in self.legs.values())
        if self.is_over or open_legs >= MAX_LEGS or len(self.legs) >= MAX_LEGS_EVER:
            raise TooMany(f"a call has {MAX_LEGS} legs at a time, and {MAX_LEGS_EVER} in all")
        if label in self.legs:
            label = next(f"{label}-{n}" for n in range(2, 999) if f"{label}-{n}" not in self.legs)
        leg = self._opener.open_leg(self, lambda leg_id, line: self._enlist(Leg(leg_id, line, self, label)))
        if self.details.options:
            leg.configure(self.details.options)
        return leg

    def digit(
        self, leg: str, digit: str, *, duration_ms: int | None = None, at_ms: int | None = None
    ) -> None:
        """Somebody has pressed a key.

        Args:
            digit: one of :data:`DIGITS`; anything else is no key.
            at_ms: when, on the call's clock; None: now.
        """
        if digit not in DIGITS or self.is_over or not self._digits.take(time.monotonic()):
            return
        fields: dict[str, Any] = {"digit": digit}
        if duration_ms is not None:
            fields["duration_ms"] = duration_ms
        self._tell("dtmf", fields, leg=leg, at_ms=at_ms)

    def hold(self, leg: str, on: bool) -> None:
        """A party is put on hold, or taken back; the call stays up."""
        if leg in self.legs and self._held.get(leg, False) != on and not self.is_over:
            self._held[leg] = on
            if self._may_note():
                self._tell("call.held" if on else "call.retrieved", {}, leg=leg)

    def note(self, parameters: Mapping[str, str]) -> None:
        """More has become known."""
        fresh = clean_parameters(parameters)
        if fresh and not self.is_over and self._may_note():
            self.parameters = dict(list((self.parameters | fresh).items())[:MAX_PARAMETERS])
            self._tell("call.updated", {"parameters": fresh})

    def warn(self, code: str, message: str, *, leg: str = "") -> None:
        """Something about the call is not as it should be."""
        if not self.ended.done() and self._may_note():
            self._tell("warning", {"code": code, "message": message}, leg=leg)

    def end(self, reason: str) -> None:
        """It is over: finalise every leg, then let go. May be called again."""
        if self._ending is not None:
            return
        self._ending = reason
        for leg in list(self.legs.values()):
            leg.finish(reason)
        if not self._open:
            asyncio.get_running_loop().call_soon(self._end)

    # ── What its legs do ────────────────────────────────────────────────────────────

    def _enlist(self, leg: Leg) -> Leg:
        self.legs[leg.label] = leg
        self._open += 1
        leg.session.ended.add_done_callback(self._leg_ended)
        return leg

    def _leg_ended(self, done: asyncio.Future[Any]) -> None:
        self._open -= 1
        if self._open == 0:
            self._ending = self._ending or str(done.result())
            self._end()

    def tell_of_leg(self, leg: Leg, event: Event) -> None:
        """An event of a leg's session."""
        self._start()
        self._publish(self, self.log.add_of_leg(leg.label, event))
        self._ask_source(self.source.tell, leg.label, event)

    def play_out(self) -> None:
        """A leg is about to end: hand over the audio that waits."""
        self._ask_source(self.source.play_out)

    # ── Telling ────────────────────────────────────────────────────────────

    def _may_note(self) -> bool:
        return self._notes.take(time.monotonic())

    def _start(self) -> None:
        if self._is_told:
            return
        self._is_told = True
        details = self.details
        fields = {
            "source": details.source,
            "external_id": clean_text(details.external_id),
            "caller": clean_text(details.caller),
            "callee": clean_text(details.callee),
            "parameters": dict(self.parameters),
            "started_at": round(self.began_at, 3),
        }
        self._publish(self, self.log.add("call.started", 0, fields))

    def _tell(self, kind: str, fields: Mapping[str, Any], *, leg: str = "", at_ms: int | None = None) -> None:
        self._start()
        self._publish(self, self.log.add(kind, self.at_ms if at_ms is None else at_ms, fields, leg=leg))

    def _ask_source(self, what: Callable[..., None], *arguments: object) -> None:
        """An adapter that fails does not take the session with it that is just telling."""
        try:
            what(*arguments)
        except Exception as error:
            log.error("the source of call %s failed: %s", self.id, trace(error))

    def _end(self) -> None:
        if self.ended.done():
            return
        reason = self._ending or "ended"
        if self._is_told or self._is_awaited:
            legs = {label: leg.clock.position * 1000 // SAMPLE_RATE for label, leg in self.legs.items()}
            self._tell("call.ended", {"reason": reason, "duration_ms": self.at_ms, "legs": legs})
        self.ended.set_result(reason)
        self._ask_source(self.source.hang_up, reason)
