"""A dialog: what the two sides of a call know of each other (RFC 3261 §12). Pure.

| state    | means                           | accepted   | ACK        | ended by us | no ACK    |
| -------- | ------------------------------- | ---------- | ---------- | ----------- | --------- |
| invited  | the shell has not answered      | → answered | –          | gone        | –         |
| answered | the 200 is repeated             | –          | → standing | → closing   | → leaving |
| standing | (no ACK: that of a re-INVITE)   | –          | –          | → leaving   | → leaving |
| closing  | no BYE before the ACK (§15)     | –          | → leaving  | –           | → leaving |
| leaving  | our BYE waits for its answer    | –          | –          | –           | –         |

A BYE of theirs ends it in any state, and so does a CANCEL while *invited*. ``Ended`` is told at the first
of what ends it, once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.fields import option_tags, read_name_addr
from signaling.telephony.sip.message import Request, render
from signaling.telephony.sip.replies import Identity, where_to, with_tag
from signaling.telephony.sip.session_timer import SessionTimer
from signaling.telephony.sip.transactions import Transaction
from signaling.telephony.sip.vocabulary import Flow

__all__ = ["Dialog", "DialogState", "Turn", "begin_dialog"]

MAX_ROUTES = 16
LOOSE = re.compile(r";\s*lr\s*(?:[;=?]|$)", re.IGNORECASE)


class DialogState(Enum):
    """See above."""

    INVITED = auto()
    ANSWERED = auto()
    STANDING = auto()
    CLOSING = auto()
    LEAVING = auto()


class Turn(Enum):
    """What happens to it."""

    ACCEPTED = auto()
    ACKED = auto()
    ENDED = auto()
    UNACKED = auto()


NEXT: Mapping[tuple[DialogState, Turn], DialogState] = {
    (DialogState.INVITED, Turn.ACCEPTED): DialogState.ANSWERED,
    (DialogState.ANSWERED, Turn.ACKED): DialogState.STANDING,
    (DialogState.ANSWERED, Turn.ENDED): DialogState.CLOSING,
    (DialogState.ANSWERED, Turn.UNACKED): DialogState.LEAVING,
    (DialogState.STANDING, Turn.ENDED): DialogState.LEAVING,
    (DialogState.STANDING, Turn.UNACKED): DialogState.LEAVING,
    (DialogState.CLOSING, Turn.ACKED): DialogState.LEAVING,
    (DialogState.CLOSING, Turn.UNACKED): DialogState.LEAVING,
}
"""What is not in it changes nothing."""


@dataclass(slots=True)
class Dialog:
    """One. Its id is our tag."""

    id: str
    call_id: str
    their_tag: str
    us: str
    """The To of their INVITE, with our tag: the From of our requests."""
    them: str
    routes: tuple[str, ...]
    target: str
    """Their Contact: the Request-URI of our requests (§12.2.1.1)."""
    flow: Flow
    """Where our requests go: there where their latest came from."""
    owner: str
    """The address that began it, which needs no password again."""
    their_cseq: int
    allows_update: bool
    is_recording: bool
    timer: SessionTimer
    state: DialogState = DialogState.INVITED
    cseq: int = 0
    pending: Transaction | None = None
    """What of theirs the shell has to answer."""
    unacked: dict[int, Transaction] = field(default_factory=dict)
    """Those that we said 200 to, by CSeq."""
    offering: int | None = None
    """The CSeq of the INVITE whose ACK brings the answer to an offer of ours."""
    refreshing: str = ""
    """The branch of a refresh of ours that is under way."""
    description: tuple[bytes, str] = (b"", "")
    """What we said last of our media, and its type."""
    is_reachable: bool = True
    """Whether the connection that :attr:`flow` names has not been lost."""
    has_ended: bool = False

    def take(self, turn: Turn) -> bool:
        """Whether this changes its state."""
        found = NEXT.get((self.state, turn))
        if found is not None:
            self.state = found
        return found is not None

    def is_of(self, request: Request) -> bool:
        """Whether a request that has our tag belongs here."""
        return request.call_id == self.call_id and request.from_tag == self.their_tag

    def follow(self, request: Request, flow: Flow) -> None:
        """They have sent this: that is where they are now (§12.2.2).

        Raises:
            BadRequest: they say where, but it cannot be read.
        """
        if request.method in ("INVITE", "UPDATE") and (contacts := request.all("Contact")):
            self.target = read_name_addr(contacts[0]).uri
        self.flow, self.is_reachable = where_to(request, flow), True

    def request(
        self,
        method: str,
        identity: Identity,
        branch: str,
        *,
        cseq: int | None = None,
        extra: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> bytes:
        """A request of ours within it (§12.2.1.1); an ACK has the CSeq of its INVITE."""
        uri, routes = self.target, list(self.routes)
        if routes and not LOOSE.search(first := read_name_addr(routes[0]).uri):
            # A strict router takes what is on the first line to itself.
            uri, routes = first, [*routes[1:], f"<{self.target}>"]
        headers = [
            identity.via(self.flow, branch),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in routes),
            ("From", self.us),
            ("To", self.them),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq if cseq is None else cseq} {method}"),
            *extra,
        ]
        return render(f"{method} {uri} SIP/2.0", headers, body)


def begin_dialog(request: Request, flow: Flow, tag: str, timer: SessionTimer) -> Dialog:
    """The dialog that an INVITE asks for (§12.1.1).

    Raises:
        BadRequest: it does not say where they are, or that cannot be read.
    """
    contacts, routes = request.all("Contact"), request.all("Record-Route")
    if len(contacts) != 1 or len(routes) > MAX_ROUTES:
        raise BadRequest("Contact is missing or there twice")
    for route in routes:
        read_name_addr(route)
    return Dialog(
        id=tag,
        call_id=request.call_id,
        their_tag=request.from_tag,
        us=with_tag(request.first("To"), tag),
        them=request.first("From"),
        routes=tuple(routes),
        target=read_name_addr(contacts[0]).uri,
        flow=where_to(request, flow),
        owner=flow.address,
        their_cseq=request.cseq,
        allows_update="update" in option_tags(request.joined("Allow")),
        is_recording="siprec" in option_tags(request.joined("Require")),
        timer=timer,
    )
