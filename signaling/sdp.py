"""What an offer must look like before aiortc sees it, and what our answer says.

aiortc trusts an offer: a large one blocks the loop for seconds, a strange one raises from anywhere. The
limits are several times what browsers send.
"""

from __future__ import annotations

import re

from rtc_stt.errors import BadRequest, Unprocessable

__all__ = ["MAX_OFFER_BYTES", "check_offer", "offers_passive_dtls", "polish_answer"]

MAX_OFFER_BYTES = 32 * 1024
MAX_LINES = 600
MAX_OF_A_KIND = {"a=rtpmap:": 64, "a=rtcp-fb:": 64, "a=fmtp:": 64, "a=candidate:": 20}

CODECS = re.compile(r"^a=rtpmap:\d+ (opus/48000/2|G722/8000|PCMU/8000|PCMA/8000)", re.I | re.M)

OPUS_PARAMETERS = "minptime=10;useinbandfec=1;stereo=0;maxplaybackrate=16000;maxaveragebitrate=32000"
"""RFC 7587 §6.1, of what we like to receive: speech in wideband, with forward error correction, since
recognition uses nothing above 8 kHz."""


def check_offer(sdp: str) -> None:
    """Refuse what is not an offer of one audio stream.

    Raises:
        BadRequest: it is no SDP, or larger than any honest one.
        Unprocessable: it is one, of something else (video, no audio, several streams, unknown codecs).
    """
    if len(sdp.encode("utf-8", "surrogatepass")) > MAX_OFFER_BYTES:
        raise BadRequest(f"the offer is longer than {MAX_OFFER_BYTES} bytes")
    lines = sdp.splitlines()
    if not lines or lines[0].strip() != "v=0":
        raise BadRequest("the body is no SDP: it should begin with v=0")
    if len(lines) > MAX_LINES:
        raise BadRequest(f"the offer has more than {MAX_LINES} lines")
    for start, most in MAX_OF_A_KIND.items():
        if sum(line.startswith(start) for line in lines) > most:
            raise BadRequest(f"the offer has more than {most} lines {start[:-1]}")
    sections = _sections(lines)
    kinds = [kind for kind, _ in sections]
    if "video" in kinds:
        raise Unprocessable("this server takes no video: offer one audio track")
    if kinds.count("audio") != 1:
        raise Unprocessable("offer exactly one audio track")
    if kinds.count("application") > 1 or set(kinds) - {"audio", "application"}:
        raise Unprocessable("offer one audio track and at most one data channel section")
    bundled = {mid for line in lines if line.startswith("a=group:BUNDLE") for mid in line.split()[1:]}
    # One transport for all (RFC 9143), as browsers do; aiortc trips over anything else.
    mids = [mid for _, found in sections for mid in found]
    each_has_one = all(len(found) == 1 for _, found in sections) and len(set(mids)) == len(mids)
    if (len(sections) > 1 or bundled) and not (each_has_one and bundled == set(mids)):
        raise BadRequest("every section of the offer needs one a=mid of its own, in a=group:BUNDLE")
    if not CODECS.search(sdp):
        raise Unprocessable("offer one of the codecs Opus, G722, PCMU, PCMA")
    if "a=fingerprint:" not in sdp or "a=ice-ufrag:" not in sdp:
        raise BadRequest("the offer has no DTLS fingerprint or no ICE credentials")


def _sections(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Kind and ``a=mid`` values of each media section."""
    sections: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("m="):
            sections.append((line[2:].split(" ", 1)[0], []))
        elif line.startswith("a=mid:") and sections:
            sections[-1][1].append(line[6:].strip())
    return sections


def offers_passive_dtls(sdp: str) -> bool:
    """Whether the client insists on waiting for our handshake."""
    return "a=setup:passive" in sdp


def polish_answer(sdp: str) -> str:
    """Say of Opus what aiortc leaves out of its answers."""
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
