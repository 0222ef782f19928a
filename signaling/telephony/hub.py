"""All phone calls of this process: who may begin one, who listens, and what is remembered when they are
over."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import uuid as uuids
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtc_stt.errors import NotFound, Unavailable, trace
from rtc_stt.instrument import Instrument
from signaling.auth import Authority, Pass
from signaling.calls import Caller
from signaling.door import Door
from signaling.line import Line
from signaling.registry import Registry
from signaling.telephony.audience import Audience, Listener
from signaling.telephony.call import Call
from signaling.telephony.call_events import CallEvent, CallLog
from signaling.telephony.call_source import CallDetails, CallSource
from signaling.telephony.leg import Leg
from signaling.telephony.ownership import may_hear
from signaling.telephony.registrations import Registration, Registrations
from signaling.telephony.settings import Telephony

__all__ = ["CallHub", "PastCall", "Registration", "Subscriber"]

log = logging.getLogger(__name__)

REMEMBER_S, MAX_REMEMBERED, MAX_REMEMBERED_BYTES = 300.0, 256, 32 * 1024 * 1024
"""How long, how many, and how much of calls that are over can still be asked for."""

Subscriber = Callable[[Call, CallEvent], None]
"""Gets every event. Must not wait."""


@dataclass(frozen=True, slots=True)
class PastCall:
    """What is remembered of a call that is over: its legs, with all that they hold, are not."""

    id: str
    account: str
    told: Mapping[str, Any]
    """See :meth:`Call.describe`."""
    log: CallLog
    ended_at: float
    """Monotonic, in seconds."""

    def describe(self) -> dict[str, Any]:
        """See :meth:`Call.describe`."""
        return dict(self.told)


class CallHub:
    """See above.

    Args:
        streams: carries the sessions of the legs.
        door: knows how many there may be.
        authority: knows whose each key is; None: there are none.
        max_call_s: a call is ended after so long; 0: never.
    """

    def __init__(
        self,
        streams: Registry,
        door: Door,
        settings: Telephony,
        *,
        authority: Authority | None = None,
        instrument: Instrument | None = None,
        max_call_s: float = 0.0,
    ) -> None:
        self.settings = settings
        self.instrument = instrument or Instrument()
        self.audience = Audience(is_open=authority is None or authority.is_open)
        """Those who hear calls over WebSockets."""
        self._streams = streams
        self._door = door
        self._authority = authority
        self._names = (
            {key_id: account.name for key_id, account in authority.accounts.items()} if authority else {}
        )
        """Accounts of keys, those too that have been taken away: what comes in their name is still theirs."""
        self._max_call_s = max_call_s
        self._calls: dict[str, Call] = {}
        self._past: OrderedDict[str, PastCall] = OrderedDict()
        self._past_bytes = 0
        self._forgetting: asyncio.TimerHandle | None = None
        self._expected = Registrations()
        self._expiry: asyncio.TimerHandle | None = None
        self._subscribers: list[Subscriber] = []

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def calls(self) -> list[Call]:
        """Those that are going on."""
        return list(self._calls.values())

    # ── Calls that are to come ────────────────────────────────────────────────────────────

    def check_options(self, options: Mapping[str, object]) -> list[str]:
        """What would be wrong with options of recognition; see :attr:`CallDetails.options`."""
        return self._streams.check_options(options)

    def register(self, details: CallDetails, uuid: str = "") -> Registration:
        """Expect a call, for a minute.

        Args:
            uuid: what it will show, in any form that RFC 9562 has; empty: one is drawn.

        Raises:
            ValueError: it is no UUID.
            BadRequest, TooMany, Unavailable: see :meth:`Registrations.add`; or the server takes none now.
        """
        self._streams.check_admission()
        known = uuids.UUID(uuid) if uuid else uuids.uuid4()
        registration = Registration(_new_id(), str(known), details)
        self._expected.add(registration, self._account_of(details.owner), time.monotonic())
        self._set_expiry()
        return registration

    def claim(self, uuid: str) -> Registration | None:
        """A call has come that shows this: what was said of it, once. It begins with
        ``begin(registration.details, source, call_id=registration.call_id)``, within some seconds."""
        try:
            found = self._expected.claim(str(uuids.UUID(uuid)), time.monotonic())
        except ValueError:
            return None
        self._set_expiry()
        return found

    def _set_expiry(self) -> None:
        if self._expiry:
            self._expiry.cancel()
            self._expiry = None
        deadline = self._expected.next_deadline()
        if deadline is not None:
            wait_s = max(0.0, deadline - time.monotonic())
            self._expiry = asyncio.get_running_loop().call_later(wait_s, self._expire)

    def _expire(self) -> None:
        for call_id in self._expected.expire(time.monotonic()):
            self.audience.dismiss(call_id, "call_gone")
        self._set_expiry()

    # ── Calls ────────────────────────────────────────────────────────────

    def check_room(self) -> None:
        """Whether a call may begin now.

        Raises:
            Unavailable: ``MAX_CALLS`` are going on, or the server takes no new sessions.
        """
        if len(self._calls) >= self.settings.max_calls:
            self.instrument.phone_refused("full")
            raise Unavailable(f"all {self.settings.max_calls} calls are taken; try again later")
        self._streams.check_admission()

    def begin(self, details: CallDetails, source: CallSource, *, call_id: str = "") -> Call:
        """A new call, without legs yet. ``call.started`` is told with what is told first.

        Args:
            call_id: of its :class:`Registration`; empty: it was not announced.

        Raises:
            Unavailable: see :meth:`check_room`.
        """
        self.check_room()
        assert call_id not in self._calls
        is_awaited = self._expected.remove(call_id)
        call = Call(
            call_id or _new_id(),
            details,
            source,
            self,
            self._publish,
            account=self._account_of(details.owner),
            is_awaited=is_awaited,
        )
        self._calls[call.id] = call
        limit = None
        if self._max_call_s:
            limit = asyncio.get_running_loop().call_later(self._max_call_s, call.end, "max_duration")
        call.ended.add_done_callback(lambda _: self._let_go(call, limit))
        self.instrument.call_began(details.source)
        log.info("call %s began over %s", call.id, details.source)
        return call

    def open_leg(self, call: Call, make: Callable[[str, Line], Leg]) -> Leg:
        """See :class:`~signaling.telephony.call.Opener`."""
        details = call.details
        ticket = self._door.seat(Caller(details.owner, details.address), asyncio.get_running_loop().time())
        try:
            leg, session = self._streams.carry(make, transport=details.source)
        except BaseException:
            self._door.release(ticket)
            raise
        self._door.hold(ticket, session.id)
        return leg

    def _account_of(self, key_id: str) -> str:
        if self._authority and (account := self._authority.accounts.get(key_id)):
            self._names[key_id] = account.name
        return self._names.get(key_id, key_id)

    # ── Who asks ────────────────────────────────────────────────────────────

    def find(self, call_id: str, shown: Pass) -> Call | PastCall:
        """A call that is going on, or was not long ago, if it is the asker's.

        Raises:
            NotFound: there is none.
        """
        call = self._calls.get(call_id) or self._past.get(call_id)
        if call is None or not may_hear(self._authority, shown, call.account):
            raise NotFound("there is no such call, or it ended long ago")
        return call

    def find_expected(self, call_id: str, shown: Pass) -> Registration | None:
        """A call that is to come, if it is the asker's."""
        found = self._expected.get(call_id, time.monotonic())
        return found[0] if found and may_hear(self._authority, shown, found[1]) else None

    def forget(self, registration: Registration) -> None:
        """It is not expected any more."""
        self._expected.remove(registration.call_id)
        self._set_expiry()
        self.audience.dismiss(registration.call_id, "call_gone")

    def calls_of(self, shown: Pass) -> list[Call]:
        """Those that are going on, and are the asker's; the newest first."""
        return [call for call in reversed(self.calls) if may_hear(self._authority, shown, call.account)]

    def log_of(self, call_id: str) -> tuple[CallLog | None, bool]:
        """What a call has told, and whether it is over; None where it has not begun."""
        if call := self._calls.get(call_id):
            return call.log, False
        past = self._past.get(call_id)
        return (past.log if past else None), not self._expected.get(call_id, time.monotonic())

    def hang_up(self, call: Call | PastCall) -> None:
        """End a call; one that has ended is no error."""
        if isinstance(call, Call):
            call.end("deleted")

    # ── Who listens ────────────────────────────────────────────────────────────

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Let someone hear every event of every call; gives what takes that back."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def listen(self, listener: Listener, shown: Pass, call_id: str | None) -> None:
        """Let a WebSocket hear one call, or all of the asker's; until it is dismissed or :meth:`part`\\ s.

        Raises:
            TooMany, Unavailable: see :meth:`Audience.add`.
        """
        self.audience.add(listener, self._account_of(shown.key_id), call_id)
        self.instrument.listeners_changed(len(self.audience))

    def part(self, listener: Listener) -> None:
        """It has gone. May be called again."""
        self.audience.remove(listener)
        self.instrument.listeners_changed(len(self.audience))

    def _publish(self, call: Call, event: CallEvent) -> None:
        for subscriber in list(self._subscribers):
            try:
                subscriber(call, event)
            except Exception as error:
                log.error("a subscriber failed: %s", trace(error))
        self.audience.tell(call.id, call.account, event)

    # ── The end ────────────────────────────────────────────────────────────

    async def drain(self, seconds: float) -> None:
        """End all calls; those too that have no leg yet. New ones the registry refuses."""
        calls = self.calls
        for call in calls:
            call.end("drained")
        if calls:
            await asyncio.wait([call.ended for call in calls], timeout=seconds)

    def close(self) -> None:
        """Nobody listens any more, and no timer runs."""
        for timer in (self._expiry, self._forgetting):
            if timer:
                timer.cancel()
        self._expiry = self._forgetting = None
        self.audience.dismiss(None, "drained")

    def _let_go(self, call: Call, limit: asyncio.TimerHandle | None) -> None:
        if limit:
            limit.cancel()
        del self._calls[call.id]
        reason, now = call.ended.result(), time.monotonic()
        self.instrument.call_ended(call.details.source, reason, now - call.began)
        log.info("call %s ended: %s", call.id, reason)
        self.audience.dismiss(call.id, "ended")
        if not call.log.size:  # nobody was told of it
            return
        self._past[call.id] = PastCall(call.id, call.account, call.describe(), call.log, now)
        self._past_bytes += call.log.size
        self._forget_old()

    def _forget_old(self) -> None:
        """Also where no other call comes: what was said is not kept for longer than is told."""
        if self._forgetting:
            self._forgetting.cancel()
            self._forgetting = None
        now = time.monotonic()
        while self._past:
            oldest = next(iter(self._past.values()))
            wait_s = oldest.ended_at + REMEMBER_S - now
            is_room = len(self._past) <= MAX_REMEMBERED and self._past_bytes <= MAX_REMEMBERED_BYTES
            if wait_s > 0 and is_room:
                self._forgetting = asyncio.get_running_loop().call_later(wait_s, self._forget_old)
                return
            self._past_bytes -= oldest.log.size
            del self._past[oldest.id]


def _new_id() -> str:
    """Cannot be guessed."""
    return secrets.token_urlsafe(12)
