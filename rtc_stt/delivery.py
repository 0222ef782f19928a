"""What a session tells, on its way to its client: numbered, kept until it is acknowledged, sent again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from rtc_stt.event_log import EventLog, Missed
from rtc_stt.events import Event

__all__ = ["Deliver", "Delivery", "Witness"]

Deliver = Callable[[Event], None]
"""Takes each event, numbered, in order. It must not raise and must not call back."""


class Witness(Protocol):
    """Who keeps what one session tells, for another gateway to go on with. It must not raise."""

    def told(self, event: Event) -> None:
        """An event, numbered."""

    def acknowledged(self, seq: int) -> None:
        """The client has seen all up to this number."""


class Delivery:
    """See above.

    Args:
        deliver: the client, where one is there.
        told: how many events were told before, elsewhere.
    """

    def __init__(self, deliver: Deliver | None, *, told: int = 0) -> None:
        self.witness: Witness | None = None
        """Hears what is told and acknowledged, whether or not a client is there."""
        self._deliver = deliver  # None while the client is lost
        self._log = EventLog(told=told)

    @property
    def told(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._log.told

    @property
    def is_attached(self) -> bool:
        """Whether there is a client who hears what is told."""
        return self._deliver is not None

    def keep(self, events: Iterable[Event]) -> None:
        """Events that were told elsewhere, and may have to be sent again."""
        for event in events:
            self._log.add(event)

    def number(self, event: Event) -> Event:
        """It is told from here on: what has its number is kept until it is acknowledged."""
        event = replace(event, seq=self._log.told + 1)
        self._log.add(event)
        return event

    def send(self, event: Event) -> None:
        """Hand over what was numbered, if someone is there."""
        if self.witness:
            self.witness.told(event)
        if self._deliver is not None:
            self._deliver(event)

    def acknowledge(self, seq: int) -> None:
        """The client has seen all up to this number."""
        self._log.acknowledge(seq)
        if self.witness:
            self.witness.acknowledged(seq)

    def attach(self, deliver: Deliver, last_seq: int) -> Missed:
        """A client is there that has seen all up to ``last_seq``: it is sent what came, and comes, after."""
        self._deliver = deliver
        missed = self._log.missed(last_seq)
        self.acknowledge(last_seq)
        for event in missed.events:
            deliver(event)
        return missed

    def detach(self) -> bool:
        """The client is lost: what is told from here on waits. Whether there was one."""
        was_attached, self._deliver = self.is_attached, None
        return was_attached
