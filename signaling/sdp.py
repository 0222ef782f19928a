"""What our answer says, besides what aiortc puts into it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "MAX_OFFER_BYTES",
    "Rejected",
    "complete_answer",
    "offers_passive_dtls",
    "polish_answer",
    "rewrite_candidates",
]

MAX_OFFER_BYTES = 32 * 1024

OPUS_PARAMETERS = "minptime=10;useinbandfec=1;stereo=0;maxplaybackrate=16000;maxaveragebitrate=24000"
"""RFC 7587 §6.1, of what we like to receive: speech in wideband, with forward error correction, since
recognition uses nothing above 8 kHz. At 24 kbit/s browsers choose SILK, and only that has the correction."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A section that the answer turns down (RFC 3264 §6)."""

    index: int
    """Its place among the sections."""
    line: str
    """Its ``m=`` line, with port 0."""
    mid: str | None


def offers_passive_dtls(sdp: str) -> bool:
    """Whether the client insists on waiting for our handshake."""
    return "a=setup:passive" in sdp


def polish_answer(sdp: str) -> str:
    """Say what aiortc leaves out of its answers: what we like of Opus, RTCP on the one port (RFC 8858), and
    that candidates may trickle in (RFC 8840 §4.1)."""
    sdp = re.sub(r"^a=rtcp-mux-only\r?\n|^a=ice-options:.*\r?\n", "", sdp, flags=re.M)
    sdp = re.sub(r"^(a=rtcp-mux)(\r?\n)", r"\1\2a=rtcp-mux-only\2", sdp, flags=re.M)
    sdp = re.sub(r"^(a=ice-pwd:.*?)(\r?\n)", r"\1\2a=ice-options:trickle\2", sdp, flags=re.M)
    match = re.search(r"^a=rtpmap:(\d+) opus/48000/2", sdp, re.I | re.M)
    if not match:
        return sdp
    payload_type = match.group(1)
    without = re.sub(rf"^a=fmtp:{payload_type} .*\r?\n", "", sdp, flags=re.M)
    line = f"a=fmtp:{payload_type} {OPUS_PARAMETERS}\r\n"
    return re.sub(
        rf"^(a=rtpmap:{payload_type} .*\r?\n)",
        lambda m: m.group(1) + line,
        without,
        count=1,
        flags=re.M,
    )


def complete_answer(answer: str, rejected: Sequence[Rejected]) -> str:
    """Put the sections that were turned down where the client expects them (RFC 3264 §6)."""
    if not rejected:
        return answer
    head, *sections = re.split(r"^(?=m=)", answer, flags=re.M)
    for section in rejected:
        lines = [section.line, "c=IN IP4 0.0.0.0", "a=inactive"]
        if section.mid:
            lines.append(f"a=mid:{section.mid}")
        sections.insert(section.index, "\r\n".join(lines) + "\r\n")
    return head + "".join(sections)


def rewrite_candidates(sdp: str, public_ips: Sequence[str]) -> str:
    """The answer as it is true outside of 1:1 NAT: the ports as they are, under the public addresses.

    A private address of a family for which there is no public one stays. Several public addresses of a family
    make a candidate each, the first preferred.

    Args:
        public_ips: IPv4 and IPv6 addresses as text.
    """
    by_version: dict[int, list[str]] = {4: [], 6: []}
    for address in public_ips:
        by_version[ipaddress.ip_address(address).version].append(address)
    if not public_ips:
        return sdp
    seen: set[str] = set()
    written = []
    for line in sdp.splitlines():
        if line.startswith("a=candidate:") and " typ host" in line:
            written += _outside(line, by_version, seen)
        elif line.startswith("m="):
            seen = set()
            written.append(line)
        elif match := re.fullmatch(r"((?:c=|a=rtcp:\d+ )IN IP)([46]) (\S+)", line):
            public = by_version[int(match[2])]
            hidden = match[3] in ("0.0.0.0", "::")  # noqa: S104 - says that there is none, listens nowhere
            written.append(line if hidden or not public else f"{match[1]}{match[2]} {public[0]}")
        else:
            written.append(line)
    return "\r\n".join(written) + "\r\n"


def _outside(line: str, by_version: dict[int, list[str]], seen: set[str]) -> list[str]:
    """A host candidate under each public address of its family, none twice."""
    bits = line.split()
    public = by_version[ipaddress.ip_address(bits[4]).version]
    written = []
    for index, address in enumerate(public or [bits[4]]):
        told = [
            f"{bits[0]}{index or ''}",
            *bits[1:3],
            str(max(1, int(bits[3]) - 256 * index)),
            address,
            *bits[5:],
        ]
        key = " ".join(told[4:6])
        if key not in seen:
            seen.add(key)
            written.append(" ".join(told))
    return written
