"""A caller who speaks as little SIP as a call takes, over UDP or TCP: for tests of what hears it."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """What was received."""

    start: str
    head: str
    body: str

    @property
    def code(self) -> int:
        """0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/") else 0

    @property
    def method(self) -> str:
        return self.start.split()[0] if not self.code else self.field("CSeq").split()[1]

    def field(self, name: str) -> str:
        found = re.search(rf"^{name}\s*:\s*(.*?)\s*$", self.head, re.M | re.I)
        assert found, f"no {name} in {self.start}"
        return found[1]


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Caller(asyncio.DatagramProtocol):
    """One dialog, over UDP."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.call_id = secrets.token_hex(8)
        self.tag, self.to_tag = secrets.token_hex(4), ""
        self.cseq = 0
        self.target = f"sip:stt@{bracketed(server[0])}:{server[1]}"
        self.told: list[Message] = []
        self.answers_bye = True
        self.branch = ""
        self._news = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, address: str = "127.0.0.1") -> Caller:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, 0))
        return self

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    @property
    def own(self) -> str:
        assert self._transport
        host, port = self._transport.get_extra_info("sockname")[:2]
        return f"{bracketed(host)}:{port}"

    # ── Out ──

    def write(self, data: bytes) -> None:
        assert self._transport
        self._transport.sendto(data, self.server)

    def request(
        self, method: str, body: bytes = b"", *, kind: str = "application/sdp", headers: Sequence[str] = ()
    ) -> None:
        if method not in ("ACK", "CANCEL"):
            self.cseq += 1
        if method != "CANCEL":
            self.branch = f"z9hG4bK{secrets.token_hex(6)}"
        to = f";tag={self.to_tag}" if self.to_tag else ""
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.own};branch={self.branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:alice@{self.own}>;tag={self.tag}",
            f"To: <sip:stt@{bracketed(self.server[0])}>{to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:alice@{self.own}>",
            *headers,
        ]
        if body:
            lines.append(f"Content-Type: {kind}")
        lines.append(f"Content-Length: {len(body)}")
        self.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def invite(
        self,
        sdp: bytes = b"",
        *,
        kind: str = "application/sdp",
        headers: Sequence[str] = (),
        ack: bytes = b"",
    ) -> Message:
        """INVITE to its final answer, and the ACK."""
        self.request("INVITE", sdp, kind=kind, headers=headers)
        answer = await self.final("INVITE")
        if answer.code == 200:
            self.to_tag = re.search(r"tag=([^;\s]+)", answer.field("To"))[1]  # type: ignore[index]
            self.target = re.search(r"<([^>]+)>", answer.field("Contact"))[1]  # type: ignore[index]
        self.request("ACK", ack)
        return answer

    async def bye(self) -> Message:
        self.request("BYE")
        return await self.final("BYE")

    # ── In ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pass

    def datagram_received(self, data: bytes | str, addr: object) -> None:
        assert isinstance(data, bytes)
        head, _, body = data.decode().partition("\r\n\r\n")
        start, _, head = head.partition("\r\n")
        message = Message(start, head, body)
        if not message.code and self.answers_bye:
            echoed = [f"{name}: {message.field(name)}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
            self.write("\r\n".join(["SIP/2.0 200 OK", *echoed, "Content-Length: 0", "", ""]).encode())
        self.told.append(message)
        self._news.set()

    async def final(self, method: str) -> Message:
        """The final answer to the latest request of this method."""
        return await self.wait(
            lambda m: m.code >= 200 and m.field("CSeq") == f"{self.cseq} {method}", f"an answer to {method}"
        )

    async def wait(self, wanted: object, what: str, seconds: float = 5.0) -> Message:
        assert callable(wanted)
        try:
            async with asyncio.timeout(seconds):
                while not (found := [m for m in self.told if wanted(m)]):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{what} did not come; {[m.start for m in self.told]}") from None
        return found[-1]

    async def hung_up(self, seconds: float = 5.0) -> Message:
        """Their BYE."""
        return await self.wait(lambda m: m.start.startswith("BYE "), "BYE", seconds)


def media_port(answer: Message, number: int = 0) -> int:
    """The port of an m-line of an answer."""
    return int(re.findall(r"^m=\w+ (\d+)", answer.body, re.M)[number])


def describe(port: int, *lines: str, formats: str = "0 101", profile: str = "RTP/AVP") -> bytes:
    """The description of a phone on loopback."""
    told = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"m=audio {port} {profile} {formats}",
        "a=rtpmap:101 telephone-event/8000",
        *lines,
        "",
    ]
    return "\r\n".join(told).encode()
