"""Requests of ours: repeated until they are answered (RFC 3261 §17.1, figures 5 and 6). Pure.

| state      | repeat (UDP) | 1xx          | final             | end       |
| ---------- | ------------ | ------------ | ----------------- | --------- |
| trying     | again        | → proceeding | → completed, told | told: 408 |
| proceeding | BYE, UPDATE  | –            | → completed, told | told: 408 |
| completed  | –            | –            | INVITE: its ACK   | gone      |

A request ends ``64 · T1`` after it was sent, whatever was said of it meanwhile; what is *completed* as long
after its answer (INVITE: a 200 comes again until its ACK has arrived), or after ``T4``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from signaling.telephony.sip.message import Response
from signaling.telephony.sip.timers import Timers
from signaling.telephony.sip.transactions import LIFE_S, T1, T2, T4
from signaling.telephony.sip.vocabulary import Flow

__all__ = ["ClientTransaction", "ClientTransactions", "Progress"]


class Progress(Enum):
    """See above."""

    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()


@dataclass(slots=True)
class ClientTransaction:
    """One."""

    branch: str
    method: str
    flow: Flow
    data: bytes
    dialog: str
    cseq: int
    progress: Progress = Progress.TRYING
    wait: float = T1
    ack: bytes = b""


class ClientTransactions:
    """All of them.

    Args:
        timers: those of this object are named ``("our repeat" | "our end", branch)``.
        send: sends what is due.
    """

    def __init__(self, timers: Timers, send: Callable[[Flow, bytes], None]) -> None:
        self._timers = timers
        self._send = send
        self._all: dict[str, ClientTransaction] = {}

    def __len__(self) -> int:
        return len(self._all)

    @property
    def is_idle(self) -> bool:
        """Whether none waits for its answer."""
        return all(ours.progress is Progress.COMPLETED for ours in self._all.values())

    def request(self, ours: ClientTransaction, now: float) -> None:
        """Ask."""
        self._all[ours.branch] = ours
        self._send(ours.flow, ours.data)
        if ours.flow.transport == "udp":
            self._timers.set(("our repeat", ours.branch), now + ours.wait)
        self._timers.set(("our end", ours.branch), now + LIFE_S)

    def find(self, response: Response) -> ClientTransaction | None:
        """What this answers."""
        ours = self._all.get(response.branch)
        return ours if ours is not None and ours.method == response.method else None

    def receive(self, ours: ClientTransaction, code: int, now: float) -> bool:
        """It has been answered; whether that is final, and has come the first time."""
        if ours.progress is Progress.COMPLETED:
            if ours.ack and code >= 200:
                self._send(ours.flow, ours.ack)
            return False
        if code < 200:
            ours.progress, ours.wait = Progress.PROCEEDING, T2
            if ours.method == "INVITE":
                self._timers.cancel(("our repeat", ours.branch))
            return False
        ours.progress = Progress.COMPLETED
        self._timers.cancel(("our repeat", ours.branch))
        self._timers.set(("our end", ours.branch), now + (LIFE_S if ours.method == "INVITE" else T4))
        return True

    def acknowledge(self, ours: ClientTransaction, ack: bytes) -> None:
        """Send the ACK of a final answer to an INVITE, now and whenever that answer comes again."""
        ours.ack = ack
        self._send(ours.flow, ack)

    def forget(self, branch: str) -> None:
        """Its answer is of no interest any more."""
        if branch in self._all:
            self._timers.cancel(("our repeat", branch))
            self._timers.cancel(("our end", branch))
            del self._all[branch]

    def handle_repeat(self, branch: str, now: float) -> None:
        """A timer ``("our repeat", branch)`` is due: of an INVITE doubled without end (A), else up to ``T2``
        (E)."""
        ours = self._all[branch]
        self._send(ours.flow, ours.data)
        ours.wait = 2 * ours.wait if ours.method == "INVITE" else min(2 * ours.wait, T2)
        self._timers.set(("our repeat", branch), now + ours.wait)

    def handle_end(self, branch: str) -> ClientTransaction | None:
        """A timer ``("our end", branch)`` is due; gives the transaction if it was never answered."""
        self._timers.cancel(("our repeat", branch))
        ended = self._all.pop(branch)
        return None if ended.progress is Progress.COMPLETED else ended
