"""All phone calls of this process: who may begin one, who listens, and what is remembered when they are
over."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from rtc_stt.errors import NotFound, Unavailable
from signaling.auth import OPEN, Pass
from signaling.calls import Caller
from signaling.door import Door
from signaling.line import Line
from signaling.registry import Registry
from signaling.telephony.call import Call, Leg
from signaling.telephony.call_events import CallEvent
from signaling.telephony.call_source import CallDetails, CallSource
from signaling.telephony.settings import Telephony

__all__ = ["CallHub", "Subscriber"]

log = logging.getLogger(__name__)

REMEMBER_S, MAX_REMEMBERED = 300.0, 256
"""How long, and how many, calls that are over can still be asked for."""

Subscriber = Callable[[Call, CallEvent], None]
"""Gets every event. Must not raise and must not wait."""


class CallHub:
    """See above.

    Args:
        streams: carries the sessions of the legs.
        door: knows how many there may be.
    """

    def __init__(self, streams: Registry, door: Door, settings: Telephony) -> None:
        self.settings = settings
        self._streams = streams
        self._door = door
        self._calls: dict[str, Call] = {}
        self._past: OrderedDict[str, tuple[float, Call]] = OrderedDict()
        self._subscribers: list[Subscriber] = []

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def calls(self) -> list[Call]:
        """Those that are going on."""
        return list(self._calls.values())

    # ── Calls ────────────────────────────────────────────────────────────

    def check_room(self) -> None:
        """Whether a call may begin now.

        Raises:
            Unavailable: ``MAX_CALLS`` are going on, or the server takes no new sessions.
        """
        if len(self._calls) >= self.settings.max_calls:
            raise Unavailable(f"all {self.settings.max_calls} calls are taken; try again later")
        self._streams.check_admission()

    def begin(self, details: CallDetails, source: CallSource) -> Call:
        """A new call, without legs yet; ``call.started`` has been told.

        Raises:
            Unavailable: see :meth:`check_room`.
        """
        self.check_room()
        call = Call(secrets.token_urlsafe(12), details, source, self, self._publish)
        self._calls[call.id] = call
        call.ended.add_done_callback(lambda _: self._let_go(call))
        log.info("call %s began over %s", call.id, details.source)
        call.start()
        return call

    def open_leg(self, call: Call, make: Callable[[str, Line], Leg]) -> Leg:
        """See :class:`~signaling.telephony.call.Opener`."""
        details = call.details
        ticket = self._door.seat(Caller(details.owner, details.address), asyncio.get_running_loop().time())
        try:
            leg, session = self._streams.carry(make, None, transport=details.source)
        except BaseException:
            self._door.release(ticket)
            raise
        self._door.hold(ticket, session.id)
        return leg

    def find(self, call_id: str, shown: Pass) -> Call:
        """A call that is going on, or was not long ago, if it is the asker's.

        Raises:
            NotFound: there is none.
        """
        call = self._calls.get(call_id)
        if call is None and call_id in self._past:
            call = self._past[call_id][1]
        if call is None or not owns(shown, call):
            raise NotFound("there is no such call, or it ended long ago")
        return call

    # ── Who listens ────────────────────────────────────────────────────────────

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Let someone hear every event of every call; gives what takes that back."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def _publish(self, call: Call, event: CallEvent) -> None:
        for subscriber in list(self._subscribers):
            subscriber(call, event)

    # ── The end ────────────────────────────────────────────────────────────

    def _let_go(self, call: Call) -> None:
        del self._calls[call.id]
        log.info("call %s ended: %s", call.id, call.ended.result())
        now = time.monotonic()
        self._past[call.id] = now, call
        while self._past:
            ended_at, _ = self._past[next(iter(self._past))]
            if len(self._past) <= MAX_REMEMBERED and now - ended_at < REMEMBER_S:
                break
            self._past.popitem(last=False)


def owns(shown: Pass, call: Call) -> bool:
    """Whether a call is the asker's: of the same key, or where no keys are asked for."""
    return shown.key_id in (call.details.owner, OPEN)
