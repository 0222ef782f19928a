"""A lean caller: hundreds of SIP calls at a time, all from one port for SIP and one for RTP. Blocking.

It does what a call needs and nothing else: INVITE, ACK, BYE over UDP on loopback, G.711. Every packet carries
when it left (RFC 3550 §5.3.1: in a header extension, which who does not know it skips), so that the other
side can tell how long it was on the way; the clock is the machine's, ``time.monotonic``.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["EXTENSION", "PACKET_S", "CallFailed", "Caller", "OnCall", "left_at"]

PACKET_S = 0.02
TICKS = 160

EXTENSION = 0x7173
"""The profile of our extension: two words of 32 bits, a float of seconds."""

_HEAD = struct.Struct("!BBHIIHHd")
_OURS = struct.pack("!HH", EXTENSION, 2)
_LEFT = struct.Struct("!d")

ANSWER_S = 5.0
RETRANSMIT_S = 0.5
"""T1 of RFC 3261; on loopback nothing is lost unless somebody is far behind."""

SLOTS = 20
"""Calls speak in turns, a millisecond apart, as calls do that began at any time."""


class CallFailed(Exception):
    """A call was not answered as it should be."""


@dataclass(slots=True)
class OnCall:
    """One call that stands."""

    call_id: str
    tag: str
    remote_tag: str
    target: str
    media: tuple[str, int]
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    sequence: int = field(default_factory=lambda: secrets.randbits(16))
    timestamp: int = field(default_factory=lambda: secrets.randbits(32))


class Caller:
    """See above.

    Args:
        server: address and port of SIP.
        payload_type: 0 for PCMU, 8 for PCMA.
    """

    def __init__(self, server: tuple[str, int], *, payload_type: int = 0) -> None:
        self._server = server
        self._payload_type = payload_type
        self._sip = _bound(server)
        self._rtp = _bound()
        self._rtp.setblocking(False)
        self.lags_s: list[float] = []
        """How late each turn of packets left."""
        self.begun = 0.0
        """When what was spoken last began, monotonic seconds: a packet leaves when it is full."""

    def close(self) -> None:
        """Give the ports back."""
        self._sip.close()
        self._rtp.close()

    # ── SIP ──

    def call(self, name: str) -> OnCall:
        """Begin a call.

        Raises:
            CallFailed: it is refused, or nobody answers.
        """
        call_id, tag = secrets.token_hex(8), secrets.token_hex(4)
        host, port = self._rtp.getsockname()
        name_of = "PCMU" if self._payload_type == 0 else "PCMA"
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {self._payload_type}\r\n"
            f"a=rtpmap:{self._payload_type} {name_of}/8000\r\na=ptime:20\r\na=sendonly\r\n"
        )
        target = f"sip:stt@{self._server[0]}:{self._server[1]}"
        branch = _branch()
        invite = self._request("INVITE", target, branch, call_id, f"{name}>;tag={tag}", "", 1, body)
        answer = self._ask(invite, call_id, "INVITE")
        if (status := int(answer.split(" ", 2)[1])) != 200:
            raise CallFailed(f"the call was answered with {status}")
        remote_tag = _found(r"^To:.*;tag=([^;\r\n]+)", answer)
        contact = _found(r"^Contact:[^<]*<([^>]+)>", answer)
        media = _found(r"^c=IN IP4 (\S+)", answer), int(_found(r"^m=audio (\d+)", answer))
        call = OnCall(call_id, f"{name}>;tag={tag}", remote_tag, contact, media)
        self._send(self._request("ACK", contact, _branch(), call_id, call.tag, remote_tag, 1))
        return call

    def hang_up(self, call: OnCall) -> None:
        """End a call.

        Raises:
            CallFailed: nobody confirms it.
        """
        bye = self._request("BYE", call.target, _branch(), call.call_id, call.tag, call.remote_tag, 2)
        self._ask(bye, call.call_id, "BYE")

    def _request(
        self,
        method: str,
        target: str,
        branch: str,
        call_id: str,
        tag: str,
        to: str,
        number: int,
        body: str = "",
    ) -> str:
        host, port = self._sip.getsockname()
        return (
            f"{method} {target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={branch}\r\n"
            f"From: <sip:{tag[: tag.index('>')]}@{host}:{port}{tag[tag.index('>') :]}\r\n"
            f"To: <sip:stt@{self._server[0]}>{f';tag={to}' if to else ''}\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\n"
            f"Contact: <sip:caller@{host}:{port}>\r\n"
            + ("Content-Type: application/sdp\r\n" if body else "")
            + f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def _ask(self, request: str, call_id: str, method: str) -> str:
        """Send it, again and again; gives the final answer."""
        deadline, again_at = time.monotonic() + ANSWER_S, 0.0
        while (now := time.monotonic()) < deadline:
            if now >= again_at:
                self._send(request)
                again_at = now + RETRANSMIT_S
            self._sip.settimeout(min(again_at, deadline) - now + 0.001)
            with contextlib.suppress(TimeoutError):
                answer = self._sip.recv(65_535).decode(errors="replace")
                ours = f"Call-ID: {call_id}" in answer and re.search(rf"^CSeq: \d+ {method}", answer, re.M)
                if answer.startswith("SIP/2.0 ") and ours and answer[8] != "1":
                    return answer
        raise CallFailed(f"{method} was not answered")

    def _send(self, message: str) -> None:
        self._sip.sendto(message.encode(), self._server)

    # ── RTP ──

    def speak(self, calls: Sequence[OnCall], scripts: Sequence[Sequence[bytes]], seconds: float) -> int:
        """Speak on all calls at a time; gives the packets that were sent.

        Args:
            scripts: payloads of 20 ms for each call; from the end they begin anew.
        """
        turns = [range(slot, len(calls), SLOTS) for slot in range(SLOTS)]
        begun = time.monotonic() + 0.05
        self.begun = begun - PACKET_S  # of its first sample
        for number in range(round(seconds / PACKET_S)):
            for slot, turn in enumerate(turns):
                due = begun + (number + slot / SLOTS) * PACKET_S
                if (left := due - time.monotonic()) > 0:
                    time.sleep(left)
                self.lags_s.append(time.monotonic() - due)
                for at in turn:
                    self._send_packet(calls[at], scripts[at][number % len(scripts[at])])
            self._swallow()
        return sum(len(turn) for turn in turns) * round(seconds / PACKET_S)

    def _send_packet(self, call: OnCall, payload: bytes) -> None:
        head = _HEAD.pack(
            0x90, self._payload_type, call.sequence, call.timestamp, call.ssrc, EXTENSION, 2, time.monotonic()
        )
        call.sequence = (call.sequence + 1) & 0xFFFF
        call.timestamp = (call.timestamp + TICKS) & 0xFFFFFFFF
        self._rtp.sendto(head + payload, call.media)

    def _swallow(self) -> None:
        """What comes back is not for us."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._rtp.recv(2_048)


def left_at(packet: bytes) -> float | None:
    """When a packet left, on this machine's monotonic clock; None where it does not say."""
    if len(packet) < _HEAD.size or packet[12:16] != _OURS or not packet[0] & 0x10:
        return None
    at: float = _LEFT.unpack_from(packet, 16)[0]
    return at


def _bound(server: tuple[str, int] = ("127.0.0.1", 0)) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind((server[0], 0))
    return found


def _branch() -> str:
    return "z9hG4bK" + secrets.token_hex(8)


def _found(pattern: str, message: str) -> str:
    found = re.search(pattern, message, re.M | re.I)
    if found is None:
        raise CallFailed("the answer lacks something")
    return found[1]
