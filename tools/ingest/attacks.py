"""What clients and strangers may do to the server: offers, data channels, slow requests, floods, tokens.

Each attack is small enough for a test, and is given a number to grow by. None of it leaves this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection

from tools.ingest.speaker import Speaker

__all__ = [
    "CHANNEL_ABUSE",
    "HostileOffer",
    "abuse_channels",
    "another",
    "flood",
    "half_open",
    "hostile_offers",
    "media_address",
    "misuse_tokens",
    "mutated",
    "offer",
    "post",
    "slow_bodies",
    "slow_headers",
    "stranger",
]

DCEP, STRING, BINARY = 50, 51, 53  # payload protocols of SCTP (RFC 8832 §8.1)


# ── Offers ────────────────────────────────────────────────────────────


async def offer() -> str:
    """An honest offer; nobody waits for its answer."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("audio", direction="sendonly")
        connection.createDataChannel("rtc-stt")
        await connection.setLocalDescription(await connection.createOffer())
        return connection.localDescription.sdp
    finally:
        await connection.close()


def another(sdp: str) -> str:
    """The same offer of somebody else: other ICE credentials, and nobody there to answer checks."""
    sdp = re.sub(r"(?m)^a=ice-ufrag:.*\r$", f"a=ice-ufrag:{secrets.token_hex(4)}\r", sdp)
    return re.sub(r"(?m)^a=ice-pwd:.*\r$", f"a=ice-pwd:{secrets.token_hex(12)}\r", sdp)


@dataclass(frozen=True)
class HostileOffer:
    """One, and how it may be answered."""

    name: str
    sdp: str
    statuses: frozenset[int]


def hostile_offers(good: str) -> list[HostileOffer]:
    """Offers that are known to do harm to aiortc, made of a good one."""
    bare = re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", good)
    audio = good[good.index("m=audio") : good.index("m=application")]
    refused = frozenset({400, 413, 422})

    def with_lines(lines: Sequence[str], base: str = bare) -> str:
        return base.replace("a=mid:0\r\n", "a=mid:0\r\n" + "".join(f"{line}\r\n" for line in lines), 1)

    def candidates(count: int, host: str = "198.51.100.7") -> list[str]:
        return [f"a=candidate:{n} 1 udp 2130706431 {host} {10_000 + n} typ host" for n in range(count)]

    formats = [f"a=rtpmap:{n % 128} opus/48000/2\r\na=rtcp-fb:{n % 128} nack" for n in range(1_500)]
    return [
        HostileOffer("1,500 formats", with_lines(formats), refused),
        HostileOffer("5,000 candidates", with_lines(candidates(5_000)), refused),
        HostileOffer("1,000 candidates", with_lines(candidates(1_000)), refused),
        HostileOffer(
            "500 audio sections",
            good + "".join(audio.replace("a=mid:0", f"a=mid:a{n}") for n in range(500)),
            refused,
        ),
        HostileOffer(
            "500 short audio sections", good + "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n" * 500, refused
        ),
        HostileOffer("a name that does not resolve",
                     with_lines(["a=candidate:1 1 udp 2130706431 3f0c-nobody.local 5000 typ host"]),
                     frozenset({201, 400})),
        HostileOffer("an end without candidates", with_lines(["a=end-of-candidates"]), frozenset({201, 400})),
        HostileOffer("candidates of loopback and multicast only", with_lines(
            [*candidates(3, "127.0.0.1"), *candidates(3, "224.0.0.1"), *candidates(3, "169.254.1.1")]
        ), frozenset({201, 400})),
        HostileOffer("a line of 30 kB", with_lines(["a=x:" + "y" * 30_000]), frozenset({201, *refused})),
        HostileOffer("no line ends", good.replace("\r\n", " "), refused),
        HostileOffer("only line ends", "v=0\r\n" + "\r\n" * 15_000, refused),
        HostileOffer("a port of 10 kB", good.replace("m=audio ", "m=audio " + "9" * 10_000, 1), refused),
        HostileOffer("a version of 10 kB", "v=" + "0" * 10_000 + good[3:], refused),
        HostileOffer("control characters", good.replace("opus", "o\x00\x1bpus"),
                     frozenset({201, *refused})),
    ]  # fmt: skip


def mutated(good: str, chance: random.Random) -> str:
    """The offer with one to four of its lines gone, doubled, cut, or with other numbers or separators."""
    lines = good.splitlines()
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(1, len(lines))
        way = chance.randrange(5)
        if way == 0:
            del lines[at]
        elif way == 1:
            lines.insert(at, chance.choice(lines))
        elif way == 2:
            lines[at] = lines[at][: chance.randint(0, len(lines[at]))]
        elif way == 3:
            lines[at] = re.sub(r"\d+", lambda m: str(int(m.group()) * 7919), lines[at])
        else:
            lines[at] = lines[at].replace(":", " ", 1)
    return "\r\n".join(lines) + "\r\n"


async def post(http: aiohttp.ClientSession, sdp: str, key: str | None = None) -> tuple[int, str]:
    """Post an offer, and take back what was answered. The status, and the type of the error if any.

    Raises:
        AssertionError: the refusal is not in the form of the contract.
    """
    headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {key}"} if key else {})
    async with http.post("/whip", data=sdp.encode("utf-8", "surrogatepass"), headers=headers) as response:
        if response.status == 201:
            location = response.headers["Location"]
        else:
            told = await response.json()
            assert set(told["error"]) == {"type", "message", "request_id"}, told
            assert response.status < 500 or response.status == 503, told
            if response.status in (429, 503):
                assert int(response.headers["Retry-After"]) >= 1
            return response.status, told["error"]["type"]
    async with http.delete(location, headers=headers) as response:
        assert response.status in (200, 404)
    return 201, ""


async def half_open(
    url: str, sdp: str, count: int, key: str | None = None, at_a_time: int = 20
) -> Counter[int]:
    """So many offers, and nobody connects. How they were answered."""
    answers: Counter[int] = Counter()
    turns = asyncio.Semaphore(at_a_time)
    headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {key}"} if key else {})

    async def once(http: aiohttp.ClientSession) -> None:
        async with turns, http.post("/whip", data=another(sdp), headers=headers) as response:
            await response.read()
            answers[response.status] += 1

    async with aiohttp.ClientSession(url) as http:
        await asyncio.gather(*(once(http) for _ in range(count)))
    return answers


# ── Tokens ────────────────────────────────────────────────────────────


async def token(url: str, key: str) -> str:
    """A browser's token, made with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(url) as http, http.post("/v1/tokens", headers=headers) as response:
        response.raise_for_status()
        return str((await response.json())["token"])


async def misuse_tokens(url: str, sdp: str, key: str, token_seconds: float) -> dict[str, int]:
    """How a token was answered that is good (``first use``), wrong, used before, or old."""
    old, used = await token(url, key), await token(url, key)
    wrong = [
        used[:-2],
        used + "A",
        used.swapcase(),
        old[: len(old) // 2],
        "x" * 5_000,
        "Bearer",
        "\N{SNOWMAN}",
    ]
    async with aiohttp.ClientSession(url) as http:
        answers = {f"wrong {n}": (await post(http, sdp, text))[0] for n, text in enumerate(wrong)}
        answers["first use"] = (await post(http, sdp, used))[0]
        answers["replayed"] = (await post(http, another(sdp), used))[0]
        await asyncio.sleep(token_seconds + 1)
        answers["old"] = (await post(http, sdp, old))[0]
    return answers


# ── Slow requests ────────────────────────────────────────────────────────────


async def slow_bodies(url: str, count: int, seconds: float, key: str) -> Counter[str]:
    """So many requests whose body comes a byte at a time. How the server ended them: status, or ``open``."""
    head = (
        f"POST /whip HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/sdp\r\nContent-Length: 9999\r\n\r\nv"
    )
    return await _slowly(url, head.encode(), b"=", count, seconds)


async def slow_headers(url: str, count: int, seconds: float) -> Counter[str]:
    """Likewise, with headers that do not end."""
    return await _slowly(url, b"POST /whip HTTP/1.1\r\nHost: localhost\r\n", b"X: y\r\n", count, seconds)


async def _slowly(url: str, head: bytes, more: bytes, count: int, seconds: float) -> Counter[str]:
    port = int(url.rpartition(":")[2])

    async def once() -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = asyncio.ensure_future(reader.read(64))
        try:
            writer.write(head)
            for _ in range(round(seconds)):
                await asyncio.wait([answer], timeout=1)
                if answer.done():
                    return (answer.result().split() or [b"", b"closed"])[1].decode()
                writer.write(more)
            return "open"
        except ConnectionError:
            return "closed"
        finally:
            answer.cancel()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    return Counter(await asyncio.gather(*(once() for _ in range(count))))


# ── Strangers ────────────────────────────────────────────────────────────


def media_address(answer: str) -> tuple[str, int]:
    """Where the server takes media of a connection, over IPv4."""
    found = re.search(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", answer, re.I | re.M)
    assert found, "the answer has no UDP candidate over IPv4"
    return found[1], int(found[2])


def stranger(kind: str) -> Callable[[], bytes]:
    """Makes datagrams of someone who has no part in a connection: ``rtp``, ``stun``, ``dtls`` or ``junk``."""
    chance = random.Random(11)

    def rtp() -> bytes:
        return struct.pack("!BBHII", 0x80, 96, chance.randrange(65_536), 0, 7) + chance.randbytes(60)

    def stun() -> bytes:
        username = struct.pack("!HH", 6, 8) + b"who:knew"
        return struct.pack("!HHI", 1, len(username), 0x2112A442) + chance.randbytes(12) + username

    def dtls() -> bytes:
        return b"\x16\xfe\xfd\0\0" + chance.randbytes(60)

    def junk() -> bytes:
        return chance.randbytes(chance.randint(1, 1_400))

    return {"rtp": rtp, "stun": stun, "dtls": dtls, "junk": junk}[kind]


async def flood(to: tuple[str, int], kind: str, rate: int, seconds: float) -> tuple[int, int]:
    """Datagrams of a stranger, ``rate`` a second. How many bytes went, and how many came back."""
    make, loop = stranger(kind), asyncio.get_running_loop()
    back = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.setblocking(False)
        begun, sent, went = loop.time(), 0, 0
        while (now := loop.time() - begun) < seconds:
            while sent < now * rate:
                sent += 1
                datagram = make()
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    went += wire.sendto(datagram, to)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                while True:
                    back += len(wire.recv(2_048))
            await asyncio.sleep(0.005)
    return went, back


# ── Data channels ────────────────────────────────────────────────────────────


async def _too_much_at_once(speaker: Speaker) -> None:
    """A message of three megabytes."""
    await _send(speaker, _stream(speaker), STRING, b"x" * 3_000_000)


async def _never_ending(speaker: Speaker) -> None:
    """A message that never ends: each part is kept, for the rest may come."""
    sctp: Any = speaker.connection.sctp
    for _ in range(200):
        await _send(speaker, _stream(speaker), BINARY, b"y" * 12_000)
        for chunk in sctp._outbound_queue:
            chunk.flags &= ~1  # not the last fragment (RFC 9260 §3.3.1)


async def _thousands_of_channels(speaker: Speaker) -> None:
    """A channel a packet."""
    for number in range(3_000):
        await _send(speaker, (2 * number + 11) % 65_535, DCEP, _open(f"c{number}"))


async def _the_same_channel_again(speaker: Speaker) -> None:
    """DCEP OPEN for a stream that is open: aiortc raises, and the connection with it."""
    await _send(speaker, _stream(speaker), DCEP, _open("rtc-stt"))


async def _text_that_is_none(speaker: Speaker) -> None:
    """A string that is not UTF-8: likewise."""
    await _send(speaker, _stream(speaker), STRING, b"\xff\xfe\xfd{")


async def _a_label_that_is_none(speaker: Speaker) -> None:
    """An OPEN whose label is not UTF-8, and one that promises more than it holds."""
    await _send(speaker, 31, DCEP, struct.pack("!BBHLHH", 3, 0, 0, 0, 2, 0) + b"\xff\xfe")
    await _send(speaker, 33, DCEP, struct.pack("!BBHLHH", 3, 0, 0, 0, 60_000, 60_000) + b"x")


async def _a_flood_of_messages(speaker: Speaker) -> None:
    """Four thousand messages as fast as they go."""
    assert speaker.channel
    for number in range(4_000):
        speaker.channel.send(f'{{"type": "ping", "id": "{number}"}}')


async def _odd_protocols(speaker: Speaker) -> None:
    """Payload protocols that nobody has defined, empty messages, and DCEP of unknown kinds."""
    for protocol in (0, 7, 52, 54, 56, 57, 4_294_967_295):
        await _send(speaker, _stream(speaker), protocol, b"\0")
    for data in (b"\0", b"\x02", b"\x03", b"\x03" * 11, b"\xff" * 40):
        await _send(speaker, 35, DCEP, data)


CHANNEL_ABUSE: dict[str, Callable[[Speaker], Any]] = {
    "three megabytes at once": _too_much_at_once,
    "a message that never ends": _never_ending,
    "3,000 channels": _thousands_of_channels,
    "the same channel again": _the_same_channel_again,
    "text that is none": _text_that_is_none,
    "a label that is none": _a_label_that_is_none,
    "4,000 messages": _a_flood_of_messages,
    "odd protocols": _odd_protocols,
}
"""What a client that is connected may do with SCTP."""


async def abuse_channels(url: str, key: str | None = None) -> dict[str, str]:
    """Every kind in a session of its own, three at a time. How each session stood a second later."""
    turns = asyncio.Semaphore(3)  # half-open connections of one key are limited

    async def abuse(way: Callable[[Speaker], Any]) -> str:
        async with turns, Speaker(url, token=key) as speaker:
            await speaker.ear.wait_for("session.started")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await way(speaker)
            await asyncio.sleep(1)
            ended, state = speaker.ear.ended, speaker.connection.connectionState
            return ended.reason if ended else state

    ends = await asyncio.gather(*map(abuse, CHANNEL_ABUSE.values()))
    return dict(zip(CHANNEL_ABUSE, ends, strict=True))


def _stream(speaker: Speaker) -> int:
    assert speaker.channel
    return int(speaker.channel.id or 0)


def _open(label: str) -> bytes:
    """DATA_CHANNEL_OPEN of an ordered, reliable channel (RFC 8832 §5.1)."""
    return struct.pack("!BBHLHH", 3, 0, 0, 0, len(label), 0) + label.encode()


async def _send(speaker: Speaker, stream: int, protocol: int, data: bytes) -> None:
    sctp: Any = speaker.connection.sctp
    with contextlib.suppress(ConnectionError):
        await sctp._send(stream, protocol, data)
