"""All dialogs: invitations, their ends, and what is asked within them (RFC 3261 §12 to §15). Pure.

Offers and answers (RFC 3264; RFC 3261 §14.2; RFC 3311 §5.2), where a dialog has something under way:

| under way                           | re-INVITE, UPDATE with an offer | UPDATE without |
| ----------------------------------- | ------------------------------- | -------------- |
| an offer of theirs, not answered    | 500, ``Retry-After``            | 200            |
| an offer of ours, answer not here   | 491                             | 200            |
| a 200 of ours, its ACK not here     | taken (RFC 5407 §3.1.4)         | 200            |
| a CSeq that is not above the last   | 500                             | 500            |
"""

from __future__ import annotations

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.client_transactions import ClientTransaction
from signaling.telephony.sip.desk import Desk
from signaling.telephony.sip.dialog import Dialog, DialogState, Turn, begin_dialog
from signaling.telephony.sip.dtmf_info import DTMF_TYPES, read_digit
from signaling.telephony.sip.fields import read_media_type
from signaling.telephony.sip.invitation import check_body, make_invitation
from signaling.telephony.sip.message import Malformed, Request, Response
from signaling.telephony.sip.refresh import Refresher
from signaling.telephony.sip.replies import CAPABILITIES, refusal
from signaling.telephony.sip.session_timer import negotiate
from signaling.telephony.sip.transactions import LIFE_S, Transaction
from signaling.telephony.sip.vocabulary import Confirmed, Ended, Flow, Invited, Pressed, Reoffered

__all__ = ["MAX_HALF_OPEN", "Dialogs"]

MAX_HALF_OPEN = 512
"""Invitations that wait for the shell. It answers within milliseconds; more means that it does not."""

MAX_UNACKED = 2
"""200s of one dialog whose ACK is not here."""

ANSWER_S = LIFE_S
"""For so long the shell may think about an offer."""

RETRY_S = 5
"""Seconds, for ``Retry-After``. RFC 3261 §14.2 asks for 0 to 10."""


class Dialogs:
    """See above.

    Args:
        session_expires: the most seconds between two signs of life.
    """

    def __init__(self, desk: Desk, session_expires: int) -> None:
        self._desk = desk
        self._session_expires = session_expires
        self._refresher = Refresher(desk)
        self._all: dict[str, Dialog] = {}
        self._half_open = 0

    def __len__(self) -> int:
        return len(self._all)

    def find(self, request: Request) -> Dialog | None:
        """The dialog that a request is of, by its tags."""
        dialog = self._all.get(request.to_tag)
        return dialog if dialog is not None and dialog.is_of(request) else None

    # ── What begins one ────────────────────────────────────────────────────────────

    def invite(self, request: Request, flow: Flow, user: str, now: float) -> None:
        """A new call.

        Args:
            user: who it is by digest.

        Raises:
            BadRequest: it is not as it should be.
        """
        if self._half_open >= MAX_HALF_OPEN:
            self._desk.count("full")
            self._desk.refuse(request, flow, 503, "Service Unavailable", [("Retry-After", str(RETRY_S))])
            return
        check_body(request)
        timer = negotiate(request, self._session_expires)
        dialog = begin_dialog(request, flow, self._desk.new_tag(), timer)
        invitation = make_invitation(request, flow.address, user, is_recording=dialog.is_recording)
        dialog.pending = self._desk.theirs.open(request, flow, dialog.id)
        self._all[dialog.id] = dialog
        self._half_open += 1
        self._desk.answer(dialog.pending, 100, "Trying", now)
        self._desk.timers.set(("answer", dialog.id), now + ANSWER_S)
        self._desk.tell(Invited(dialog.id, invitation))

    # ── What the shell says ────────────────────────────────────────────────────────────

    def accept(self, name: str, description: tuple[bytes, str], now: float) -> None:
        """See :meth:`~signaling.telephony.sip.user_agent.UserAgent.accept`."""
        dialog = self._all.get(name)
        if dialog is None or dialog.pending is None:
            return
        transaction = self._settle(dialog)
        request, (body, content_type) = transaction.request, description
        extra = [
            self._desk.identity.contact(transaction.flow, is_recording=dialog.is_recording),
            *CAPABILITIES,
            *dialog.timer.headers(),
        ]
        if not request.to_tag:
            extra += [("Record-Route", route) for route in dialog.routes]
        if body:
            extra.append(("Content-Type", content_type))
            dialog.description = description
        if transaction.is_invite:
            dialog.unacked[request.cseq] = transaction
            if body and not request.body:
                dialog.offering = request.cseq
        if dialog.take(Turn.ACCEPTED):
            self._half_open -= 1
        self._desk.answer(transaction, 200, "OK", now, extra, body)
        self._refresher.start(dialog, now)

    def reject(self, name: str, code: int, phrase: str, now: float, retry_after: int | None) -> None:
        """See :meth:`~signaling.telephony.sip.user_agent.UserAgent.reject`."""
        dialog = self._all.get(name)
        if dialog is None or dialog.pending is None:
            return
        extra = [] if retry_after is None else [("Retry-After", str(retry_after))]
        self._desk.answer(self._settle(dialog), code, phrase, now, extra)
        if dialog.state is DialogState.INVITED:
            self._remove(dialog, "rejected")

    def hang_up(self, name: str, reason: str, now: float) -> None:
        """See :meth:`~signaling.telephony.sip.user_agent.UserAgent.hang_up`."""
        dialog = self._all.get(name)
        if dialog is None or dialog.has_ended:
            return
        if dialog.state is DialogState.INVITED:
            self._desk.answer(self._settle(dialog), 480, "Temporarily Unavailable", now)
            self._remove(dialog, reason)
        else:
            self._end(dialog, Turn.ENDED, reason, now)

    def connection_lost(self, flow: Flow, now: float) -> None:
        """What came over it and has no answer yet can have none."""
        for dialog in list(self._all.values()):
            dialog.is_reachable &= dialog.flow != flow
            if dialog.pending is not None and dialog.pending.flow == flow:
                self._desk.answer(self._settle(dialog), 480, "Temporarily Unavailable", now)
                if dialog.state is DialogState.INVITED:
                    self._remove(dialog, "connection_lost")

    # ── What they say within one ────────────────────────────────────────────────────────────

    def receive(self, dialog: Dialog, request: Request, flow: Flow, now: float) -> None:
        """A request of theirs within a dialog, but ACK and CANCEL."""
        if request.cseq <= dialog.their_cseq:
            self._desk.refuse(request, flow, 500, "CSeq Out Of Order")
            return
        if dialog.has_ended and request.method != "BYE":
            self._desk.refuse(request, flow, 481, "Call/Transaction Does Not Exist")
            return
        dialog.their_cseq = request.cseq
        transaction = self._desk.theirs.open(request, flow, dialog.id)
        try:
            self._do(dialog, transaction, now)
        except BadRequest as error:
            code, phrase, extra = refusal(error)
            self._desk.answer(transaction, code, phrase, now, extra)

    def _do(self, dialog: Dialog, transaction: Transaction, now: float) -> None:
        request = transaction.request
        if request.method == "BYE":
            self._receive_bye(dialog, transaction, now)
            return
        dialog.follow(request, transaction.flow)
        if request.method == "INFO":
            self._receive_info(dialog, transaction, now)
        elif request.method == "OPTIONS":
            self._desk.answer(transaction, 200, "OK", now, CAPABILITIES)
        else:
            self._receive_offer(dialog, transaction, now)

    def receive_ack(self, dialog: Dialog, request: Request, flow: Flow, now: float) -> None:
        """The ACK of a 200; once more where ours came once more."""
        transaction = dialog.unacked.pop(request.cseq, None)
        if transaction is None:
            return
        self._desk.theirs.acknowledge(transaction, now)
        dialog.follow(request, flow)
        was_answered = dialog.state is DialogState.ANSWERED
        if dialog.take(Turn.ACKED) and dialog.state is DialogState.LEAVING:
            self._desk.request(dialog, "BYE", now)
            return
        is_answer = dialog.offering == request.cseq
        if is_answer:
            dialog.offering = None
        if (was_answered or is_answer) and not dialog.has_ended:
            content_type = request.first("Content-Type").partition(";")[0].strip().lower()
            self._desk.tell(Confirmed(dialog.id, request.body if is_answer else b"", content_type))

    def receive_cancel(self, transaction: Transaction, now: float) -> None:
        """They do not wait for the answer to this INVITE any more."""
        dialog = self._all.get(transaction.dialog)
        if dialog is None or dialog.pending is not transaction:
            return
        self._desk.answer(self._settle(dialog), 487, "Request Terminated", now)
        if dialog.state is DialogState.INVITED:
            self._remove(dialog, "cancelled")

    def _receive_bye(self, dialog: Dialog, transaction: Transaction, now: float) -> None:
        self._desk.answer(transaction, 200, "OK", now)
        if dialog.pending is not None:
            self._desk.answer(self._settle(dialog), 487, "Request Terminated", now)
        for unacked in dialog.unacked.values():
            self._desk.theirs.acknowledge(unacked, now)
        self._remove(dialog, "hangup")

    def _receive_info(self, dialog: Dialog, transaction: Transaction, now: float) -> None:
        request = transaction.request
        kind = read_media_type(request.first("Content-Type"))[0] if request.body else ""
        if request.first("Info-Package"):
            self._desk.answer(transaction, 469, "Bad Info Package", now, [("Recv-Info", "")])
        elif not kind:
            self._desk.answer(transaction, 200, "OK", now)
        elif kind not in DTMF_TYPES:
            raise Malformed("Unsupported Media Type", status=415)
        else:
            pressed = Pressed(dialog.id, *read_digit(request.body))
            self._desk.answer(transaction, 200, "OK", now)
            self._desk.tell(pressed)

    def _receive_offer(self, dialog: Dialog, transaction: Transaction, now: float) -> None:
        """A re-INVITE or an UPDATE: see the table above."""
        request = transaction.request
        is_offer = transaction.is_invite or bool(request.body)
        if is_offer and (dialog.pending is not None or len(dialog.unacked) >= MAX_UNACKED):
            self._desk.answer(transaction, 500, "Offer Pending", now, [("Retry-After", str(RETRY_S))])
            return
        if is_offer and (dialog.offering is not None or dialog.refreshing):
            self._desk.answer(transaction, 491, "Request Pending", now)
            return
        check_body(request)
        content_type, parameters = (
            read_media_type(request.first("Content-Type")) if request.body else ("", {})
        )
        dialog.timer = negotiate(request, self._session_expires)
        if is_offer:
            dialog.pending = transaction
            if transaction.is_invite:
                self._desk.answer(transaction, 100, "Trying", now)
            self._desk.timers.set(("answer", dialog.id), now + ANSWER_S)
            self._desk.tell(Reoffered(dialog.id, request.body, content_type, parameters))
            return
        contact = self._desk.identity.contact(transaction.flow, is_recording=dialog.is_recording)
        self._desk.answer(transaction, 200, "OK", now, [contact, *dialog.timer.headers()])
        self._refresher.start(dialog, now)

    # ── What comes of what we said ────────────────────────────────────────────────────────────

    def receive_response(self, asked: ClientTransaction, response: Response, now: float) -> None:
        """The final answer to a request of ours."""
        dialog = self._all.get(asked.dialog)
        if dialog is None:
            return
        if asked.method == "BYE":
            self._remove(dialog, "closed")
        elif not self._refresher.receive(dialog, asked, response, now):
            self._end(dialog, Turn.ENDED, "session_expired", now)

    def handle_unanswered(self, asked: ClientTransaction, now: float) -> None:
        """Nothing was heard of a request of ours: as if it had been answered 408 (§8.1.3.1)."""
        dialog = self._all.get(asked.dialog)
        if dialog is None:
            return
        if asked.method == "BYE":
            self._remove(dialog, "closed")
        else:
            self._end(dialog, Turn.ENDED, "session_expired", now)

    def handle_unacknowledged(self, transaction: Transaction, now: float) -> None:
        """A 200 of ours was repeated for ``64 · T1``, and no ACK came (§13.3.1.4)."""
        dialog = self._all.get(transaction.dialog)
        if dialog is not None and dialog.unacked.pop(transaction.request.cseq, None) is not None:
            self._end(dialog, Turn.UNACKED, "no_ack", now)

    def handle_timer(self, kind: str, name: str, now: float) -> None:
        """A timer ``(kind, name)`` of a dialog is due."""
        dialog = self._all[name]
        if kind == "answer":
            self.reject(name, 500, "Server Internal Error", now, RETRY_S)
        elif kind == "refresh":
            self._refresher.refresh(dialog, now)
        else:
            self._end(dialog, Turn.ENDED, "session_expired", now)

    # ── The end ────────────────────────────────────────────────────────────

    def _settle(self, dialog: Dialog) -> Transaction:
        """What waits for an answer of ours, which now comes."""
        transaction, dialog.pending = dialog.pending, None
        if transaction is None:
            raise AssertionError("nothing waits for an answer")
        self._desk.timers.cancel(("answer", dialog.id))
        return transaction

    def _end(self, dialog: Dialog, turn: Turn, reason: str, now: float) -> None:
        """We end it."""
        if dialog.pending is not None:
            self._desk.answer(self._settle(dialog), 487, "Request Terminated", now)
        if dialog.take(turn) and dialog.state is DialogState.LEAVING:
            self._desk.request(dialog, "BYE", now)
        self._refresher.stop(dialog)
        self._tell_end(dialog, reason)

    def _tell_end(self, dialog: Dialog, reason: str) -> None:
        if not dialog.has_ended:
            dialog.has_ended = True
            self._desk.tell(Ended(dialog.id, reason))

    def _remove(self, dialog: Dialog, reason: str) -> None:
        del self._all[dialog.id]
        if dialog.state is DialogState.INVITED:
            self._half_open -= 1
        self._desk.timers.cancel(("answer", dialog.id))
        self._refresher.stop(dialog)
        self._tell_end(dialog, reason)
