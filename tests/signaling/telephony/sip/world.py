"""A user agent, the time, and somebody who calls it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import sipmessage

from signaling.telephony.settings import Sip
from signaling.telephony.sip.user_agent import UserAgent
from signaling.telephony.sip.vocabulary import Count, Effect, Ended, Flow, Invited, Send

__all__ = ["OFFER", "Peer", "World", "entropy", "message", "parse"]

SECRET = b"0123456789abcdef"
OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


def entropy() -> Callable[[int], bytes]:
    """Bytes that look random and are the same each time."""
    count = itertools.count()
    return lambda size: hashlib.sha256(str(next(count)).encode()).digest()[:size]


def message(text: str, body: bytes = b"") -> bytes:
    """Lines as a message, with its length."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def parse(data: bytes) -> sipmessage.Request | sipmessage.Response:
    """What we sent, read by somebody else's parser."""
    return sipmessage.Message.parse(data)


@dataclass
class Peer:
    """Who calls. Its requests have a branch each, counted."""

    address: str = "192.0.2.10"
    port: int = 5060
    transport: str = "udp"
    name: str = "alice"
    tag: str = "from1"
    call_id: str = "call-1"
    our_tag: str = ""
    cseq: int = 0
    branches: int = 0

    @property
    def flow(self) -> Flow:
        """Where it is."""
        return Flow(self.transport, self.address, self.port, 1 if self.transport == "tcp" else 0)

    def request(
        self, method: str, *headers: str, body: bytes = b"", cseq: int | None = None, branch: str = ""
    ) -> bytes:
        """A request of the dialog."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        if not branch:
            self.branches += 1
            branch = f"z9hG4bK-{self.call_id}-{self.branches}"
        kind = () if not body or any(h.lower().startswith("content-type") for h in headers) else SDP
        contact = () if any(h.startswith("Contact") for h in headers) else (self.contact,)
        return message(
            "\n".join(
                [
                    f"{method} sip:stt@192.0.2.1 SIP/2.0",
                    f"Via: SIP/2.0/{self.transport.upper()} {self.address}:{self.port};branch={branch};rport",
                    "Max-Forwards: 70",
                    f"From: <sip:{self.name}@{self.address}>;tag={self.tag}",
                    "To: <sip:stt@192.0.2.1>" + (f";tag={self.our_tag}" if self.our_tag else ""),
                    f"Call-ID: {self.call_id}",
                    f"CSeq: {cseq} {method}",
                    *contact,
                    *kind,
                    *headers,
                ]
            ),
            body,
        )

    @property
    def contact(self) -> str:
        """Its Contact header."""
        return f"Contact: <sip:{self.name}@{self.address}:{self.port}>"


SDP = ("Content-Type: application/sdp",)


@dataclass
class World:
    """A user agent and a clock; what it did, with the time."""

    settings: Sip = field(default_factory=lambda: Sip(sip_allow=("192.0.2.0/24",)))
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.agent = UserAgent(self.settings, SECRET, entropy(), address="192.0.2.1", port=5060)
        self.told: list[tuple[float, Effect]] = []

    def note(self, effects: list[Effect]) -> list[Effect]:
        """Remember them."""
        self.told += [(round(self.now, 3), effect) for effect in effects]
        return effects

    def hear(self, peer: Peer, data: bytes) -> list[Effect]:
        """It receives this."""
        return self.note(self.agent.receive(data, peer.flow, self.now))

    def run(self, seconds: float) -> list[Effect]:
        """Time passes."""
        until, found = self.now + seconds, list[Effect]()
        while (due := self.agent.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            found += self.note(self.agent.handle_timer(self.now))
        self.now = until
        return found

    def ring(self, peer: Peer, *headers: str, body: bytes = OFFER) -> str:
        """An INVITE; the dialog."""
        effects = self.hear(peer, peer.request("INVITE", *headers, body=body))
        return next(e.dialog for e in effects if isinstance(e, Invited))

    def call(self, peer: Peer, *headers: str, body: bytes = OFFER) -> str:
        """A call that stands: INVITE, 200, ACK."""
        dialog = self.ring(peer, *headers, body=body)
        self.note(self.agent.accept(dialog, OFFER, self.now))
        peer.our_tag = dialog
        self.hear(peer, peer.request("ACK", cseq=peer.cseq))
        return dialog

    # ── What was done ──

    def sent(self) -> list[bytes]:
        """All messages, in order."""
        return [effect.data for _, effect in self.told if isinstance(effect, Send)]

    def starts(self) -> list[str]:
        """Their first lines."""
        return [data.split(b"\r\n")[0].decode() for data in self.sent()]

    def ends(self) -> list[tuple[str, str]]:
        """Which calls have ended, and why."""
        return [(effect.dialog, effect.reason) for _, effect in self.told if isinstance(effect, Ended)]

    def counts(self) -> list[str]:
        """What was counted."""
        return [effect.reason for _, effect in self.told if isinstance(effect, Count)]
