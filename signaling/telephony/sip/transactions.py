"""Requests of theirs: done once, however often they come, and answered as often (RFC 3261 §17.2). Pure.

An INVITE (figure 7, with RFC 6026). Who sent a 200 has to repeat it until its ACK comes (§13.3.1.4); that is
done here too, so *accepted* repeats, and is told of the ACK, which its dialog matches, by ``acknowledge``:

| state      | again | we say 1xx | we say 2xx       | we say more       | ACK               | end          |
| ---------- | ----- | ---------- | ---------------- | ----------------- | ----------------- | ------------ |
| proceeding | send  | send       | → accepted, keep | → completed, keep | –                 | –            |
| accepted   | –     | –          | –                | –                 | → confirmed, stop | told: no ACK |
| completed  | send  | –          | –                | –                 | → confirmed, stop | gone         |
| confirmed  | –     | –          | –                | –                 | –                 | gone         |

(*keep*: send, and repeat that until the ACK.) Any other (figure 8), but ACK and CANCEL, which have none:

| state     | again | we answer         | end  |
| --------- | ----- | ----------------- | ---- |
| trying    | –     | → completed, send | –    |
| completed | send  | –                 | gone |

What waits for an answer of ours is answered by the user agent after 32 s at the latest; everything else ends
by itself, ``64 · T1`` after that answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from signaling.telephony.sip.message import Request
from signaling.telephony.sip.timers import Timers
from signaling.telephony.sip.vocabulary import Flow

__all__ = [
    "LIFE_S",
    "MAX_TRANSACTIONS",
    "T1",
    "T2",
    "T4",
    "Key",
    "Sender",
    "State",
    "Transaction",
    "Transactions",
]

T1, T2, T4 = 0.5, 4.0, 5.0
"""Seconds: a round trip, the longest wait between repetitions, the life of a message in the network
(§17.1.1.1)."""

LIFE_S = 64 * T1
"""Timers B, F, H, J, L."""

MAX_TRANSACTIONS = 16_384
"""Three for a call, each remembered for 32 s: 150 calls that begin every second."""

Key = tuple[str, str, str, str, int, str]
Sender = Callable[[Flow, bytes], None]


class State(Enum):
    """See above."""

    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()


class Happening(Enum):
    """What a transaction is told."""

    AGAIN = auto()
    PROVISIONAL = auto()
    SUCCESS = auto()
    FAILURE = auto()
    ACK = auto()


class Act(Enum):
    """What it does."""

    SEND = auto()
    KEEP_ON = auto()
    """Send, and repeat that until the ACK comes."""
    STOP = auto()


Table = Mapping[tuple[State, Happening], tuple[State, Act]]

INVITE: Table = {
    (State.PROCEEDING, Happening.AGAIN): (State.PROCEEDING, Act.SEND),
    (State.PROCEEDING, Happening.PROVISIONAL): (State.PROCEEDING, Act.SEND),
    (State.PROCEEDING, Happening.SUCCESS): (State.ACCEPTED, Act.KEEP_ON),
    (State.PROCEEDING, Happening.FAILURE): (State.COMPLETED, Act.KEEP_ON),
    (State.ACCEPTED, Happening.ACK): (State.CONFIRMED, Act.STOP),
    (State.COMPLETED, Happening.AGAIN): (State.COMPLETED, Act.SEND),
    (State.COMPLETED, Happening.ACK): (State.CONFIRMED, Act.STOP),
}
OTHER: Table = {
    (State.TRYING, Happening.SUCCESS): (State.COMPLETED, Act.SEND),
    (State.TRYING, Happening.FAILURE): (State.COMPLETED, Act.SEND),
    (State.COMPLETED, Happening.AGAIN): (State.COMPLETED, Act.SEND),
}
"""What is not in them does nothing."""


@dataclass(slots=True)
class Transaction:
    """One."""

    key: Key
    request: Request
    flow: Flow
    state: State
    dialog: str = ""
    """Whose it is."""
    answer: bytes = b""
    """The last, which is repeated."""
    wait: float = T1

    @property
    def is_invite(self) -> bool:
        """Which of the two tables is its."""
        return self.request.method == "INVITE"

    @property
    def is_open(self) -> bool:
        """Whether it has no final answer yet."""
        return self.state in (State.TRYING, State.PROCEEDING)


class Transactions:
    """All of them.

    Args:
        timers: those of this object are named ``("repeat" | "end", key)``.
        send: sends what is due.
    """

    def __init__(self, timers: Timers, send: Sender) -> None:
        self._timers = timers
        self._send = send
        self._all: dict[Key, Transaction] = {}
        self._begun: dict[tuple[str, str, int], Key] = {}

    def __len__(self) -> int:
        return len(self._all)

    @property
    def is_full(self) -> bool:
        """Whether there is room for no more."""
        return len(self._all) >= MAX_TRANSACTIONS

    def find(self, request: Request, flow: Flow, method: str = "") -> Transaction | None:
        """The transaction of a request that has come before.

        Args:
            method: ``INVITE`` to ask which of them an ACK or a CANCEL is about.
        """
        return self._all.get(_key_of(request, flow, method))

    def is_merged(self, request: Request, flow: Flow) -> bool:
        """Whether the same request has come another way (§8.2.2.2): it is answered 482."""
        key = self._begun.get(_origin_of(request))
        return not request.to_tag and key is not None and key != _key_of(request, flow)

    def open(self, request: Request, flow: Flow, dialog: str) -> Transaction:
        """A request that is to be done."""
        state = State.PROCEEDING if request.method == "INVITE" else State.TRYING
        opened = Transaction(_key_of(request, flow), request, flow, state, dialog)
        self._all[opened.key] = opened
        if not request.to_tag:
            self._begun[_origin_of(request)] = opened.key
        return opened

    def receive_again(self, transaction: Transaction, now: float) -> None:
        """Its request has come again."""
        if transaction.answer:
            self._step(transaction, Happening.AGAIN, now)

    def answer(self, transaction: Transaction, code: int, data: bytes, now: float) -> None:
        """Say this; final answers are said once."""
        if transaction.is_open:
            transaction.answer = data
            kind = Happening.PROVISIONAL if code < 200 else Happening.SUCCESS
            self._step(transaction, kind if code < 300 else Happening.FAILURE, now)

    def acknowledge(self, transaction: Transaction, now: float) -> None:
        """The ACK of its final answer has come."""
        self._step(transaction, Happening.ACK, now)

    def _step(self, transaction: Transaction, happening: Happening, now: float) -> None:
        table = INVITE if transaction.is_invite else OTHER
        found = table.get((transaction.state, happening))
        if found is None or self._all.get(transaction.key) is not transaction:
            return  # nothing of what has ended comes to life again
        was, (transaction.state, act) = transaction.state, found
        key, is_udp = transaction.key, transaction.flow.transport == "udp"
        if act is not Act.STOP:
            self._send(transaction.flow, transaction.answer)
        # A 200 is repeated over TCP too: the way to who sent it may lead on over UDP (§13.3.1.4).
        if act is Act.KEEP_ON and (is_udp or transaction.state is State.ACCEPTED):
            self._timers.set(("repeat", key), now + transaction.wait)
        if act is Act.STOP:
            self._timers.cancel(("repeat", key))
        if transaction.state is not was:
            self._set_end(transaction, was, now)

    def _set_end(self, transaction: Transaction, was: State, now: float) -> None:
        life = LIFE_S
        if was is State.COMPLETED:
            life = T4  # timer I
        elif was is State.ACCEPTED:
            return  # timer L goes on
        if transaction.flow.transport != "udp" and transaction.state is not State.ACCEPTED:
            # Nothing is lost on TCP; but an ACK of what was refused may be on its way.
            life = T4 if transaction.is_invite and was is not State.COMPLETED else 0.0
        self._timers.set(("end", transaction.key), now + life)

    def handle_repeat(self, key: Key, now: float) -> None:
        """A timer ``("repeat", key)`` is due (G): ``T1``, doubled up to ``T2``."""
        transaction = self._all[key]
        self._send(transaction.flow, transaction.answer)
        transaction.wait = min(2 * transaction.wait, T2)
        self._timers.set(("repeat", key), now + transaction.wait)

    def handle_end(self, key: Key) -> Transaction | None:
        """A timer ``("end", key)`` is due; gives the transaction if its 200 was never acknowledged."""
        self._timers.cancel(("repeat", key))
        ended = self._all.pop(key)
        if self._begun.get(_origin_of(ended.request)) == key:
            del self._begun[_origin_of(ended.request)]
        return ended if ended.state is State.ACCEPTED else None


def _key_of(request: Request, flow: Flow, method: str = "") -> Key:
    """What tells a transaction from others (§17.2.3).

    Besides branch and sender, the address it came from, for nobody else may end it, and Call-ID and CSeq, for
    some use a branch again.
    """
    via = request.via
    branch, sent_by = (via.branch, via.sent_by) if via else ("", "")
    return flow.address, branch, sent_by, request.call_id, request.cseq, method or request.method


def _origin_of(request: Request) -> tuple[str, str, int]:
    return request.call_id, request.from_tag, request.cseq
