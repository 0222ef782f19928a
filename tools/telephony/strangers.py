"""What strangers send to a SIP port: scans, floods, broken messages, connections that say nothing. None of it
leaves this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import cast

__all__ = [
    "Exchange",
    "amplified",
    "connect",
    "mutated",
    "noise",
    "over_tcp",
    "over_udp",
    "request",
    "silent_connections",
]

SDP = (
    "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
BATCHES = 100
"""A second, that datagrams are sent in."""


@dataclass
class Exchange:
    """What went out and what came back."""

    sent: int = 0
    sent_bytes: int = 0
    answers: int = 0
    answer_bytes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def amplification(self) -> float:
        """Bytes that came back for each that went out."""
        return self.answer_bytes / max(1, self.sent_bytes)


def request(
    method: str, *, address: str, port: int, user: str = "stt", body: str | None = None, more: str = ""
) -> bytes:
    """A request as a caller sends it, a new one each time.

    Args:
        address, port: where it says that it comes from.
        body: None: a description of media in an INVITE, else nothing.
        more: headers, each with its line end.
    """
    if body is None:
        body = SDP.format(address=address) if method == "INVITE" else ""
    unique = secrets.token_hex(6)
    return (
        f"{method} sip:{user}@127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {address}:{port};rport;branch=z9hG4bK{unique}\r\n"
        f"From: <sip:stranger@{address}>;tag={unique[:6]}\r\nTo: <sip:{user}@127.0.0.1>\r\n"
        f"Call-ID: {unique}\r\nCSeq: 1 {method}\r\nContact: <sip:stranger@{address}:{port}>\r\n"
        f"Max-Forwards: 70\r\n{more}"
        + ("Content-Type: application/sdp\r\n" if body else "")
        + f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def mutated(message: bytes, chance: random.Random) -> bytes:
    """The message with one to four of its parts gone, doubled, cut, or made into something else."""
    data = bytearray(message)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(8):
            case 0:
                del data[at : at + chance.randint(1, 60)]
            case 1:
                data[at:at] = data[at : at + chance.randint(1, 200)]
            case 2:
                data = data[:at]
            case 3:
                data[at : at + 1] = chance.randbytes(chance.randint(1, 30))
            case 4:
                data = bytearray(re.sub(rb"\d+", b"9" * chance.randint(1, 40), bytes(data), count=1))
            case 5:
                data = data.replace(b"\r\n", chance.choice([b"\n", b"\r\n ", b"\r", b"\r\n\r\n"]), 3)
            case 6:
                data = data.replace(b":", chance.choice([b"", b"::", b": \x00", b";"]), chance.randint(1, 4))
            case _:
                lines = bytes(data).split(b"\r\n")
                chance.shuffle(lines)
                data = bytearray(b"\r\n".join(lines))
    return bytes(data)


def noise(chance: random.Random, count: int, *, ssrc: int | None = None) -> list[bytes]:
    """RTP packets of loud mu-law noise; of one stream where an SSRC is given, else of one each."""
    head = b"\x80\x00"
    return [
        head
        + (number & 0xFFFF).to_bytes(2, "big")
        + (number * 160 & 0xFFFFFFFF).to_bytes(4, "big")
        + (chance.randbytes(4) if ssrc is None else ssrc.to_bytes(4, "big"))
        + chance.randbytes(160)
        for number in range(count)
    ]


# ── Over UDP ────────────────────────────────────────────────────────────


class _Caller(asyncio.DatagramProtocol):
    def __init__(self, exchange: Exchange, *, hangs_up: bool) -> None:
        self._exchange, self._hangs_up = exchange, hangs_up
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, _address: tuple[str, int]) -> None:
        self._exchange.answers += 1
        self._exchange.answer_bytes += len(data)
        if found := re.match(rb"SIP/2\.0 (\d{3})", data):
            self._exchange.statuses[int(found[1])] += 1
            if found[1] == b"200" and self._hangs_up and re.search(rb"(?m)^CSeq: *\d+ INVITE", data):
                self._hang_up(data)

    def _hang_up(self, data: bytes) -> None:
        """A broken INVITE was good enough: let go of the call at once."""
        kept = b"".join(
            line + b"\r\n"
            for line in data.split(b"\r\n")
            if line[:5].lower() in (b"from:", b"to: <", b"call-")
        )
        number = re.search(rb"(?m)^CSeq: *(\d+)", data)
        target = re.search(rb"(?m)^Contact: *<([^>]+)>", data)
        count, uri = int(number[1]) if number else 1, target[1] if target else b"sip:stt@127.0.0.1"
        for method, cseq in ((b"ACK", count), (b"BYE", count + 1)):
            via = b"Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK" + secrets.token_hex(6).encode()
            self.transport.sendto(
                b"%s %s SIP/2.0\r\n%s\r\n%sCSeq: %d %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                % (method, uri, via, kept, cseq, method)
            )

    def error_received(self, _error: OSError) -> None:
        pass  # nobody listens there: no answer either


@contextlib.asynccontextmanager
async def connect(
    port: int, *, address: str, hangs_up: bool = False
) -> AsyncIterator[tuple[asyncio.DatagramTransport, Exchange]]:
    """A socket at an address of ours that counts what comes back.

    Args:
        hangs_up: end calls that come about.
    """
    exchange = Exchange()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Caller(exchange, hangs_up=hangs_up),
        local_addr=(address, 0),
        remote_addr=("127.0.0.1", port),
    )
    try:
        yield transport, exchange
    finally:
        transport.close()


async def over_udp(
    port: int,
    datagrams: Iterable[bytes],
    *,
    address: str = "127.0.0.1",
    rate: int = 1_000,
    linger_s: float = 1.0,
    hangs_up: bool = False,
) -> Exchange:
    """Send datagrams to a port of this machine, so many a second, and see what comes back.

    Args:
        linger_s: how long answers are waited for behind the last one.
        hangs_up: see :func:`connect`.
    """
    loop = asyncio.get_running_loop()
    async with connect(port, address=address, hangs_up=hangs_up) as (transport, exchange):
        begun = loop.time()
        for datagram in datagrams:
            transport.sendto(datagram)
            exchange.sent += 1
            exchange.sent_bytes += len(datagram)
            ahead = begun + exchange.sent / rate - loop.time()
            if ahead > 1 / BATCHES:
                await asyncio.sleep(ahead)
        await asyncio.sleep(linger_s)
        return exchange


def amplified(port: int, address: str = "127.0.0.2") -> list[bytes]:
    """Small requests that ask for large answers."""
    short = f"SIP/2.0/UDP {address}:{port};branch=z9hG4bK"
    return [
        *(request(method, address=address, port=port) for method in ("OPTIONS", "INVITE", "REGISTER")),
        *(
            (
                f"{method} sip:a@b SIP/2.0\r\nv:{short}{number}\r\nf:<sip:a@b>;tag=1\r\nt:<sip:a@b>\r\n"
                f"i:{number}\r\nCSeq:1 {method}\r\nl:0\r\n\r\n"
            ).encode()
            for number, method in enumerate(("OPTIONS", "INVITE", "REGISTER", "BYE", "MESSAGE", "X"))
        ),
        f"INVITE sip:a@b SIP/2.0\r\nv:{short}z\r\n\r\n".encode(),
        b"OPTIONS sip:a SIP/2.0\r\n\r\n",
        b"\r\n\r\n",
        b"x",
    ]


# ── Over TCP ────────────────────────────────────────────────────────────


async def over_tcp(port: int, data: bytes, *, address: str = "127.0.0.1", patience_s: float = 5.0) -> bytes:
    """Send over a connection of its own; what came back until the server closed it, or nothing more came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    answer = b""
    try:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(patience_s):
                writer.write(data)
                await writer.drain()
                while more := await reader.read(65_536):
                    answer += more
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return answer


async def silent_connections(
    port: int, count: int, first: bytes = b"", *, address: str = "127.0.0.1", hold_s: float = 5.0
) -> int:
    """Open connections and say no more than ``first``; how many the server had closed after ``hold_s``."""

    async def one() -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        except OSError:
            return True
        try:
            async with asyncio.timeout(hold_s):
                writer.write(first)
                while await reader.read(65_536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            pass
        finally:
            writer.close()
        return True

    return sum(await asyncio.gather(*(one() for _ in range(count))))
