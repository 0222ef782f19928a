"""SDP of phone calls: what the other side describes. Pure; what we answer is in :mod:`.sdp_answer`.

A description (RFC 8866) is read with the tolerance that PBXs ask for: static payload types need no
``a=rtpmap`` (RFC 3551 §6), attributes that are not known are skipped, and a line that we cannot use does no
harm to the others. What is hostile (too long, control characters, numbers out of range) is a 400.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from rtc_stt.errors import BadRequest
from signaling.codecs.codec import Codec
from signaling.sdp_lines import Section, read_sections, split_lines
from signaling.telephony.sip.sdes import Crypto, parse_crypto

__all__ = [
    "MAX_SDP_BYTES",
    "Description",
    "Direction",
    "Stream",
    "parse_description",
]

MAX_SDP_BYTES = 16 * 1024
"""A phone's has 500 bytes to 3 kB."""

MAX_LINES = 400
MAX_STREAMS = 16
MAX_FORMATS = 64
"""Of one line: payload types have 7 bits, and no phone knows more codecs."""

Direction = str
"""``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive`` (RFC 8866 §6.7)."""

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

STATIC = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "13": "CN/8000"}
"""RFC 3551 §6, of those that mean something to us."""

CODECS = {"pcmu": ("PCMU", 8_000), "pcma": ("PCMA", 8_000), "g722": ("G722", 8_000), "opus": ("opus", 48_000)}
"""By their names in lower case, as encoding names are compared (RFC 8866 §6.6): ours, and the RTP clock.
That of G.722 is 8000, whatever is written (RFC 3551 §4.5.2)."""

RTPMAP = re.compile(r"([0-9]{1,3}) +([A-Za-z0-9._-]{1,32})/([0-9]{1,6})(?:/([0-9]{1,2}))?")
RTCP = re.compile(r"([0-9]{1,5})(?: +IN +IP[46] +(\S+))?")
CONNECTION = re.compile(r"IN IP[46] ([^/ ]+)(?:/\S+)?")
MILLISECONDS = re.compile(r"[0-9]{1,4}")
TOKEN = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, slots=True)
class Stream:
    """One of their m-lines."""

    kind: str
    """``audio``, ``video`` …"""
    port: int
    """0: it is not, or no longer, wanted (RFC 3264 §8.2)."""
    protocol: str
    formats: tuple[str, ...]
    address: str
    """Where they want RTP: an IPv4 or IPv6 address; empty where it is a name, or none that can be sent to."""
    is_nowhere: bool
    """Their address is 0.0.0.0 or ``::``: they want none, as holds were said by RFC 2543."""
    direction: Direction
    """Theirs."""
    codecs: tuple[Codec, ...] = ()
    """Those that we decode, in their order."""
    events: tuple[tuple[int, int], ...] = ()
    """Payload type and clock rate of each ``telephone-event`` (RFC 4733)."""
    comfort_noise: tuple[int, ...] = ()
    """Payload types of ``CN`` (RFC 3389)."""
    ptime: int | None = None
    """Milliseconds in a packet, as they like them."""
    label: str = ""
    """RFC 4574."""
    mid: str = ""
    crypto: tuple[Crypto, ...] = ()
    """Keys that they offer and that we can use, in their order."""
    asks_crypto: bool = False
    """Whether there were ``a=crypto`` lines at all."""
    rtcp: tuple[str, int] | None = None
    """Where they want RTCP (RFC 3605), where that is not the next port."""
    rtcp_mux: bool = False
    """RFC 5761."""

    @property
    def is_secure(self) -> bool:
        """Whether the profile demands SRTP."""
        return "SAVP" in self.protocol


@dataclass(frozen=True, slots=True)
class Description:
    """All of it."""

    streams: tuple[Stream, ...]


def parse_description(body: bytes) -> Description:
    """What they describe.

    Raises:
        BadRequest: it is no SDP, or beyond the limits.
    """
    if len(body) > MAX_SDP_BYTES:
        raise BadRequest(f"the SDP is longer than {MAX_SDP_BYTES} bytes")
    text = body.decode("utf-8", "replace")
    lines = split_lines(text, what="the SDP", max_bytes=3 * MAX_SDP_BYTES, max_lines=MAX_LINES)
    if not lines or lines[0] != "v=0":
        raise BadRequest("the SDP does not begin with v=0")
    session, sections = read_sections(lines)
    if not sections:
        raise BadRequest("the SDP has no m= line")
    if len(sections) > MAX_STREAMS:
        raise BadRequest(f"the SDP has more than {MAX_STREAMS} m= lines")
    return Description(tuple(_read_stream(section, session) for section in sections))


def _read_stream(section: Section, session: Section) -> Stream:
    address, is_nowhere = _read_address(section.connection or session.connection)
    codecs, events, noise = _read_formats(section)
    crypto = section.all("crypto")
    keys = tuple(key for line in crypto[:MAX_FORMATS] if (key := parse_crypto(line)))
    return Stream(
        kind=section.kind,
        port=section.port,
        protocol=section.protocol,
        formats=tuple(section.formats[:MAX_FORMATS]),
        address=address,
        is_nowhere=is_nowhere,
        direction=_read_direction(section, session),
        codecs=codecs,
        events=events,
        comfort_noise=noise,
        ptime=_read_ptime(section.first("ptime")),
        label=_token(section.first("label")),
        mid=_token(section.first("mid")),
        crypto=keys,
        asks_crypto=bool(crypto),
        rtcp=_read_rtcp(section.first("rtcp"), address),
        rtcp_mux=section.first("rtcp-mux") is not None,
    )


def _read_formats(
    section: Section,
) -> tuple[tuple[Codec, ...], tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Codecs, telephone events and comfort noise of a line."""
    names = dict(STATIC)
    for value in section.all("rtpmap"):
        if match := RTPMAP.match(value):
            names[match[1]] = f"{match[2]}/{match[3]}"
    codecs, events, noise = list[Codec](), list[tuple[int, int]](), list[int]()
    for text in dict.fromkeys(section.formats[:MAX_FORMATS]):
        if text not in names or not text.isascii() or int(text) > 127:
            continue
        payload_type = int(text)
        name, rate = names[text].lower().split("/")
        if name in CODECS:
            codecs.append(Codec(CODECS[name][0], payload_type, CODECS[name][1]))
        elif name == "telephone-event" and int(rate):
            events.append((payload_type, int(rate)))
        elif name == "cn":
            noise.append(payload_type)
    return tuple(codecs), tuple(events), tuple(noise)


def _read_direction(section: Section, session: Section) -> Direction:
    for part in (section, session):
        for name, _ in part.attributes:
            if name in DIRECTIONS:
                return name
    return "sendrecv"


def _read_address(connection: str) -> tuple[str, bool]:
    """The address of a ``c=`` line, and whether it is nowhere."""
    match = CONNECTION.fullmatch(connection)
    return _usable(match[1]) if match else ("", False)


def _usable(text: str) -> tuple[str, bool]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "", False
    if address.is_unspecified:
        return "", True
    if address.is_multicast or text == "255.255.255.255" or "%" in text:
        return "", False
    return str(address), False


def _read_rtcp(value: str | None, address: str) -> tuple[str, int] | None:
    match = RTCP.fullmatch(value or "")
    if not match or not 0 < int(match[1]) < 65_536:
        return None
    where = _usable(match[2])[0] if match[2] else address
    return (where, int(match[1])) if where else None


def _read_ptime(value: str | None) -> int | None:
    found = int(value) if MILLISECONDS.fullmatch(value or "") and value else 0
    return found if 5 <= found <= 120 else None


def _token(value: str | None) -> str:
    return value if value and TOKEN.fullmatch(value) else ""
