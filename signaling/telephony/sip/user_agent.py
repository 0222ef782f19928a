"""The SIP user agent server, sans-IO: messages and the time in, effects out. Pure.

A message passes, in this order: the rates (``gate.py``), the reader (``message.py``), the transactions
(``transactions.py``: what came before is answered as before), the gate, the rules for every request
(RFC 3261 §8.2), and then its dialog (``dialogs.py``).
"""

from __future__ import annotations

from collections.abc import Callable

from rtc_stt.errors import BadRequest
from signaling.telephony.settings import Sip
from signaling.telephony.sip.desk import Desk
from signaling.telephony.sip.dialog import Dialog
from signaling.telephony.sip.dialogs import RETRY_S, Dialogs
from signaling.telephony.sip.fields import option_tags
from signaling.telephony.sip.framing import PONG, Framer
from signaling.telephony.sip.gate import Gate
from signaling.telephony.sip.message import (
    MAX_MESSAGE,
    Malformed,
    Request,
    Response,
    read_message,
    read_request,
)
from signaling.telephony.sip.replies import ALLOWED, CAPABILITIES, KNOWN_OPTIONS, Identity, refusal
from signaling.telephony.sip.transactions import LIFE_S, State
from signaling.telephony.sip.vocabulary import Disconnect, Effect, Flow

__all__ = ["UserAgent"]

MAX_CONNECTIONS = 1024
"""Of TCP that have sent something. Each may hold a message that is not whole."""

KNOWN_METHODS = frozenset(
    {*ALLOWED, "REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH", "PRACK"}
)
"""What is not among these is 501, what is and is not done here 405 (RFC 3261 §8.2.1, §21.5.2)."""

SCHEMES = ("sip:", "sips:", "tel:")


class UserAgent:
    """See above. No method raises on what the other side sends; ``now`` is monotonic, in seconds.

    Args:
        secret: of this process, for nonces and tags; at least 16 bytes.
        entropy: gives so many random bytes: ``os.urandom``.
        address: what stands in Contact and Via: an IP address that others reach us at.
        port: likewise.

    Raises:
        ConfigError: ``SIP_ALLOW`` or ``SIP_USERS`` cannot be read.
    """

    def __init__(
        self, settings: Sip, secret: bytes, entropy: Callable[[int], bytes], *, address: str, port: int
    ) -> None:
        self._desk = Desk(Identity(address, port), secret, entropy)
        self._gate = Gate(self._desk, settings, secret, entropy)
        self._dialogs = Dialogs(self._desk, settings.sip_session_expires)
        self._framers: dict[Flow, Framer] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no request of ours waits for its answer: after ``hang_up`` of all, a server may go."""
        return self._desk.ours.is_idle

    # ── What comes in ────────────────────────────────────────────────────────────

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """A datagram, or bytes that came over a TCP connection, cut anyhow."""
        if self._gate.is_deaf_to(flow):
            self._desk.count("unlisted")
            if flow.transport != "udp":
                self._desk.tell(Disconnect(flow))
        elif flow.transport == "udp":
            # Keep-alives over UDP are blank, and not answered (RFC 5626 §3.5.1: that is for TCP and STUN).
            if data.strip(b"\r\n\0 "):
                self._receive_message(data, flow, now)
        else:
            self._receive_bytes(data, flow, now)
        return self._desk.take_effects()

    def _receive_bytes(self, data: bytes, flow: Flow, now: float) -> None:
        framer = self._framers.get(flow)
        if framer is None:
            if len(self._framers) >= MAX_CONNECTIONS:
                self._desk.count("full")
                self._desk.tell(Disconnect(flow))
                return
            framer = self._framers[flow] = Framer()
        try:
            messages = framer.feed(data)
        except BadRequest:
            self._drop_connection(flow)
            return
        for message in messages:
            if flow in self._framers:
                self._receive_message(message, flow, now)
        if framer.was_pinged:
            framer.was_pinged = False
            self._desk.send(flow, PONG)
        if framer.is_within:
            self._desk.timers.set(("half", flow), now + LIFE_S)
        else:
            self._desk.timers.cancel(("half", flow))

    def _drop_connection(self, flow: Flow) -> None:
        """What comes over it is no SIP, or never gets whole."""
        self._desk.count("malformed")
        self._desk.timers.cancel(("half", flow))
        if self._framers.pop(flow, None) is not None:
            self._desk.tell(Disconnect(flow))

    def _receive_message(self, data: bytes, flow: Flow, now: float) -> None:
        if not self._gate.has_time_for(flow, now):
            self._desk.count("rate")
            return
        try:
            message = read_message(data)
        except BadRequest:
            if flow.transport == "udp":
                self._desk.count("oversize" if len(data) > MAX_MESSAGE else "malformed")
            else:
                self._drop_connection(flow)
            return
        if isinstance(message, Response):
            self._receive_response(message, now)
        else:
            self._receive_request(message, flow, now)

    def _receive_response(self, response: Response, now: float) -> None:
        asked = self._desk.ours.find(response)
        if asked is None:
            self._desk.count("stray")
        elif self._desk.ours.receive(asked, response.code, now):
            self._dialogs.receive_response(asked, response, now)

    # ── Requests ────────────────────────────────────────────────────────────

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        try:
            read_request(request)
        except BadRequest as error:
            self._desk.count("oversize" if request.size > MAX_MESSAGE else "malformed")
            if self._gate.is_listed(flow) and request.can_be_answered:
                code, phrase, _ = refusal(error)
                self._desk.refuse(request, flow, code, phrase)
            return
        if request.method == "ACK":
            self._receive_ack(request, flow, now)
        elif request.method == "CANCEL":
            self._receive_cancel(request, flow, now)
        elif (known := self._desk.theirs.find(request, flow)) is not None:
            self._desk.theirs.receive_again(known, now)
        else:
            self._receive_new(request, flow, now)

    def _receive_ack(self, request: Request, flow: Flow, now: float) -> None:
        """Of a 200, by its dialog; of anything else, by its transaction (RFC 3261 §17.2.3)."""
        dialog = self._dialogs.find(request)
        if dialog is not None and request.cseq in dialog.unacked:
            self._dialogs.receive_ack(dialog, request, flow, now)
            return
        transaction = self._desk.theirs.find(request, flow, "INVITE")
        if transaction is not None and transaction.state is State.COMPLETED:
            self._desk.theirs.acknowledge(transaction, now)

    def _receive_cancel(self, request: Request, flow: Flow, now: float) -> None:
        transaction = self._desk.theirs.find(request, flow, "INVITE")
        if transaction is not None:
            self._desk.refuse(request, flow, 200, "OK")
            self._dialogs.receive_cancel(transaction, now)
        elif self._gate.is_listed(flow):
            self._desk.refuse(request, flow, 481, "Call/Transaction Does Not Exist")
        else:
            self._desk.count("stray")

    def _receive_new(self, request: Request, flow: Flow, now: float) -> None:
        """What has not come before."""
        dialog = self._dialogs.find(request)
        user: str | None = ""
        if not self._gate.is_listed(flow) and (dialog is None or dialog.owner != flow.address):
            user = self._gate.admit(request, flow, now)
        if user is None:
            return
        if self._desk.theirs.is_full:
            self._desk.count("full")
            self._desk.refuse(request, flow, 503, "Service Unavailable", [("Retry-After", str(RETRY_S))])
            return
        try:
            if self._meets_rules(request, flow, dialog):
                self._do(request, flow, dialog, user, now)
        except BadRequest as error:
            code, phrase, extra = refusal(error)
            self._desk.count("malformed" if code == 400 else "refused")
            self._desk.refuse(request, flow, code, phrase, extra)

    def _meets_rules(self, request: Request, flow: Flow, dialog: Dialog | None) -> bool:
        """What every request has to (RFC 3261 §8.2.1 to §8.2.2), else it has been refused.

        Raises:
            BadRequest: likewise.
        """
        allow = CAPABILITIES[:1]
        if request.method not in KNOWN_METHODS:
            self._desk.refuse(request, flow, 501, "Not Implemented", allow)
        elif request.method not in ALLOWED:
            self._desk.refuse(request, flow, 405, "Method Not Allowed", allow)
        elif not request.uri.lower().startswith(SCHEMES):
            raise Malformed("Unsupported URI Scheme", status=416)
        elif self._desk.theirs.is_merged(request, flow):
            self._desk.refuse(request, flow, 482, "Loop Detected")
        elif unknown := option_tags(request.joined("Require")) - KNOWN_OPTIONS:
            # Told again, so in the letters that a token has: no more than that has been read.
            told = ", ".join(sorted(tag for tag in unknown if tag.isascii() and " " not in tag))[:256]
            self._desk.refuse(request, flow, 420, "Bad Extension", [("Unsupported", told)])
        elif dialog is None and (request.to_tag or request.method not in ("INVITE", "OPTIONS")):
            self._desk.refuse(request, flow, 481, "Call/Transaction Does Not Exist")
        else:
            return True
        return False

    def _do(self, request: Request, flow: Flow, dialog: Dialog | None, user: str, now: float) -> None:
        if dialog is not None:
            self._dialogs.receive(dialog, request, flow, now)
        elif request.method == "INVITE":
            self._dialogs.invite(request, flow, user, now)
        else:
            self._desk.refuse(request, flow, 200, "OK", CAPABILITIES)

    # ── Time ────────────────────────────────────────────────────────────

    def handle_timer(self, now: float) -> list[Effect]:
        """What is due by ``now``."""
        desk = self._desk
        while (due := desk.timers.pop(now)) is not None:
            match due:
                case ("repeat", key):
                    desk.theirs.handle_repeat(key, now)
                case ("end", key):
                    if (unacknowledged := desk.theirs.handle_end(key)) is not None:
                        self._dialogs.handle_unacknowledged(unacknowledged, now)
                case ("our repeat", branch):
                    desk.ours.handle_repeat(branch, now)
                case ("our end", branch):
                    if (unanswered := desk.ours.handle_end(branch)) is not None:
                        self._dialogs.handle_unanswered(unanswered, now)
                case ("half", flow):
                    self._drop_connection(flow)
                case (kind, name):
                    self._dialogs.handle_timer(kind, name, now)
        return desk.take_effects()

    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` has something to do; None: not as things stand."""
        return self._desk.timers.next()

    # ── What the shell says ────────────────────────────────────────────────────────────

    def accept(
        self, dialog: str, sdp: bytes, now: float, content_type: str = "application/sdp"
    ) -> list[Effect]:
        """Answer an ``Invited`` or a ``Reoffered`` by 200; nothing where it waits no more."""
        self._dialogs.accept(dialog, (sdp, content_type), now)
        return self._desk.take_effects()

    def reject(
        self, dialog: str, code: int, phrase: str, now: float, retry_after: int | None = None
    ) -> list[Effect]:
        """Refuse one; a call that stood before goes on as it was."""
        self._dialogs.reject(dialog, code, phrase, now, retry_after)
        return self._desk.take_effects()

    def hang_up(self, dialog: str, reason: str, now: float) -> list[Effect]:
        """End a call from our side: BYE. ``Ended(reason)`` follows at once."""
        self._dialogs.hang_up(dialog, reason, now)
        return self._desk.take_effects()

    def connection_lost(self, flow: Flow, now: float) -> list[Effect]:
        """A TCP connection has gone. Calls that stand go on: their media may, and another may come."""
        self._framers.pop(flow, None)
        self._desk.timers.cancel(("half", flow))
        self._dialogs.connection_lost(flow, now)
        return self._desk.take_effects()
