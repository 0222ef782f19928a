"""What the parts of the user agent share: timers, transactions, the effects of what it does now. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable

from signaling.telephony.sip.client_transactions import ClientTransaction, ClientTransactions
from signaling.telephony.sip.dialog import Dialog
from signaling.telephony.sip.message import Request
from signaling.telephony.sip.replies import Identity, reply, where_to
from signaling.telephony.sip.timers import Timers
from signaling.telephony.sip.transactions import Transaction, Transactions
from signaling.telephony.sip.vocabulary import Count, Effect, Flow, Send

__all__ = ["Desk"]

TAG_BYTES = 10
"""Of a tag of ours: it cannot be guessed, so who knows it has seen our answer (RFC 3261 §19.3 asks for 4)."""


class Desk:
    """See above.

    Args:
        secret: of this process; at least 16 bytes.
        entropy: gives so many random bytes.
    """

    def __init__(self, identity: Identity, secret: bytes, entropy: Callable[[int], bytes]) -> None:
        self.identity = identity
        self.entropy = entropy
        self.timers = Timers()
        self.theirs = Transactions(self.timers, self.send)
        self.ours = ClientTransactions(self.timers, self.send)
        self._secret = secret
        self._effects: list[Effect] = []

    def take_effects(self) -> list[Effect]:
        """What has been done since this was asked last."""
        taken, self._effects = self._effects, []
        return taken

    def tell(self, effect: Effect) -> None:
        """The shell is to do or to know this."""
        self._effects.append(effect)

    def count(self, reason: str) -> None:
        """Something was dropped or refused."""
        self._effects.append(Count(reason))

    def send(self, flow: Flow, data: bytes) -> None:
        """A message of ours."""
        self._effects.append(Send(flow, data))

    def new_tag(self) -> str:
        """A tag of ours."""
        return self.entropy(TAG_BYTES).hex()

    # ── Answers ────────────────────────────────────────────────────────────

    def stateless(
        self,
        request: Request,
        flow: Flow,
        code: int,
        phrase: str,
        extra: Iterable[tuple[str, str]] = (),
        *,
        compact: bool = False,
    ) -> bytes:
        """An answer that is not remembered: the same request gets the same again (RFC 3261 §8.2.7)."""
        branch = request.via.branch if request.via else ""
        about = "\0".join((request.call_id, request.from_tag, branch)).encode()
        tag = hmac.digest(self._secret, b"tag" + about, "sha256")[:TAG_BYTES].hex()
        return reply(request, flow, code, phrase, tag=tag, extra=extra, compact=compact)

    def refuse(
        self, request: Request, flow: Flow, code: int, phrase: str, extra: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Send one. An ACK is never answered (§17.1)."""
        if request.method != "ACK":
            self.send(where_to(request, flow), self.stateless(request, flow, code, phrase, extra))

    def answer(
        self,
        transaction: Transaction,
        code: int,
        phrase: str,
        now: float,
        extra: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """An answer that is repeated if need be. 100 has no tag (§8.2.6.2)."""
        tag = transaction.dialog if code > 100 else ""
        request, flow = transaction.request, transaction.flow
        data = reply(request, flow, code, phrase, tag=tag, extra=extra, body=body)
        self.theirs.answer(transaction, code, data, now)

    # ── Requests ────────────────────────────────────────────────────────────

    def new_branch(self) -> str:
        """The id of a transaction of ours."""
        return "z9hG4bK" + self.entropy(12).hex()

    def request(
        self,
        dialog: Dialog,
        method: str,
        now: float,
        extra: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> str:
        """A request of ours within a dialog; its branch."""
        dialog.cseq += 1
        branch = self.new_branch()
        data = dialog.request(method, self.identity, branch, extra=extra, body=body)
        asked = ClientTransaction(branch, method, dialog.flow, data, dialog.id, dialog.cseq)
        self.ours.request(asked, now)
        return branch
