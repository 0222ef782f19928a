"""Keeps session timers (RFC 4028 §10): who refreshes, and what an answer to a refresh of ours means. Pure.

| answer to our refresh | what follows                                                                 |
| --------------------- | ---------------------------------------------------------------------------- |
| 2xx                   | alive for another interval                                                   |
| 408, 481, none        | the call is over                                                             |
| 422                   | once more, with their ``Min-SE``                                             |
| 491, and any other    | they support timers: again after a while, until it is over; else: alive      |
"""

from __future__ import annotations

from dataclasses import replace

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.client_transactions import ClientTransaction
from signaling.telephony.sip.desk import Desk
from signaling.telephony.sip.dialog import Dialog
from signaling.telephony.sip.fields import read_name_addr, read_seconds
from signaling.telephony.sip.message import Response
from signaling.telephony.sip.session_timer import MIN_SE
from signaling.telephony.sip.vocabulary import Confirmed

__all__ = ["Refresher"]

AGAIN_S = 2.0
"""After a 491, who has not made the Call-ID waits 0 to 2 s (RFC 3261 §14.1)."""

OVER = frozenset({408, 481})


class Refresher:
    """Its timers are named ``("refresh" | "expire", dialog)``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def start(self, dialog: Dialog, now: float) -> None:
        """A sign of life: the interval begins."""
        self._desk.timers.set(("expire", dialog.id), now + dialog.timer.expire_s)
        if dialog.timer.we_refresh:
            self._desk.timers.set(("refresh", dialog.id), now + dialog.timer.refresh_s)
        else:
            self._desk.timers.cancel(("refresh", dialog.id))

    def stop(self, dialog: Dialog) -> None:
        """The call is over. Who has had a re-INVITE of ours repeats its answer in vain."""
        self._desk.ours.forget(dialog.refreshing)
        self._desk.timers.cancel(("expire", dialog.id))
        self._desk.timers.cancel(("refresh", dialog.id))

    def refresh(self, dialog: Dialog, now: float) -> None:
        """Ask whether they are there: UPDATE, or a re-INVITE that offers what we said last (§7.4)."""
        if not (dialog.is_reachable or dialog.timer.they_know):
            # There is no way to ask, and they have not agreed to be asked: whether media comes has to do.
            self.start(dialog, now)
            return
        if dialog.pending is not None or dialog.unacked or dialog.refreshing:
            self._desk.timers.set(("refresh", dialog.id), now + AGAIN_S)
            return
        extra = (
            self._desk.identity.contact(dialog.flow, is_recording=dialog.is_recording),
            ("Supported", "timer"),
            ("Session-Expires", f"{dialog.timer.seconds};refresher=uac"),
        )
        if dialog.allows_update:
            dialog.refreshing = self._desk.request(dialog, "UPDATE", now, extra)
            return
        body, content_type = dialog.description
        offer = (*extra, ("Content-Type", content_type))
        dialog.refreshing = self._desk.request(dialog, "INVITE", now, offer, body)

    def receive(self, dialog: Dialog, asked: ClientTransaction, response: Response, now: float) -> bool:
        """An answer to that; False where it says that the call is over."""
        dialog.refreshing = ""
        is_good = 200 <= response.code < 300
        if asked.method == "INVITE":
            self._acknowledge(dialog, asked, is_good=is_good)
            if is_good and response.body:
                content_type = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
                self._desk.tell(Confirmed(dialog.id, response.body, content_type))
        if response.code in OVER:
            return False
        if is_good:
            self._follow(dialog, response)
        if response.code == 422:
            self._raise_interval(dialog, response)
            self._desk.timers.set(("refresh", dialog.id), now + AGAIN_S)
        elif is_good or not dialog.timer.they_know:
            self.start(dialog, now)
        else:
            self._desk.timers.set(("refresh", dialog.id), now + AGAIN_S)
        return True

    def _acknowledge(self, dialog: Dialog, asked: ClientTransaction, *, is_good: bool) -> None:
        """The ACK of a 2xx is a request of its own; any other is of the same transaction (§17.1.1.3)."""
        branch = self._desk.new_branch() if is_good else asked.branch
        ack = dialog.request("ACK", self._desk.identity, branch, cseq=asked.cseq)
        self._desk.ours.acknowledge(asked, ack)

    def _follow(self, dialog: Dialog, response: Response) -> None:
        """Where they are, and who refreshes from now on (§7.2); what cannot be read changes nothing."""
        try:
            if contact := response.headers.get("Contact"):
                dialog.target = read_name_addr(contact).uri
            if text := response.headers.get("Session-Expires"):
                seconds, parameters = read_seconds(text)
                theirs = parameters.get("refresher", "").lower() == "uas"
                seconds = max(min(seconds, dialog.timer.seconds), MIN_SE)
                dialog.timer = replace(dialog.timer, seconds=seconds, we_refresh=not theirs)
        except BadRequest:
            self._desk.count("malformed")

    def _raise_interval(self, dialog: Dialog, response: Response) -> None:
        try:
            least, _ = read_seconds(response.headers.get("Min-SE") or "")
        except BadRequest:
            return
        dialog.timer = replace(dialog.timer, seconds=min(max(dialog.timer.seconds, least), 2**31))
