"""What of an offer reaches aiortc.

aiortc trusts an offer: a large one blocks the loop for seconds, a strange one raises from anywhere, and each
candidate is knocked at. So an offer is read here, within limits several times what browsers send, and
**written anew** from what was understood: aiortc sees nothing that was not made by :func:`clean_offer`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rtc_stt.errors import BadRequest, Unprocessable
from signaling.candidates import Reach, clean_candidates
from signaling.sdp import MAX_OFFER_BYTES, Rejected
from signaling.sdp_lines import Section, read_sections, split_lines

__all__ = ["Offer", "Rejected", "clean_offer"]

MAX_LINES = 600
MAX_OF_A_KIND = 64
"""Lines of one kind, candidates and fingerprints too; Chromium sends about twenty of the most frequent."""
MAX_SECTIONS = 8
MAX_FINGERPRINTS = 4

CODECS = {
    ("opus", 48_000, 2): "opus/48000/2",
    ("g722", 8_000, 1): "G722/8000",
    ("pcmu", 8_000, 1): "PCMU/8000",
    ("pcma", 8_000, 1): "PCMA/8000",
}
STATIC = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000"}
"""Payload types that need no ``a=rtpmap`` (RFC 3551 §6)."""
DYNAMIC = range(96, 128)

RTP_PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP")
SCTP_PROTOCOLS = ("UDP/DTLS/SCTP", "DTLS/SCTP")
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
EXTENSIONS = ("urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:ssrc-audio-level")
DIGESTS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Bytes of the fingerprints that aiortc can check (RFC 8122 §5)."""

RTPMAP = re.compile(r"([0-9]{1,3}) ([!-.0-~]{1,32})/([0-9]{1,7})(?:/([0-9]{1,3}))?")
OPUS_NUMBERS = re.compile(
    r"(?:minptime|useinbandfec|stereo|sprop-stereo|usedtx|cbr|maxplaybackrate|maxaveragebitrate"
    r"|sprop-maxcapturerate)=[0-9]{1,6}"
)
MID = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}")
UFRAG = re.compile(r"[A-Za-z0-9+/=_-]{4,256}")
PASSWORD = re.compile(r"[A-Za-z0-9+/=_-]{22,256}")
HEX = re.compile(r"(?:[0-9A-F]{2}:)+[0-9A-F]{2}")


@dataclass(frozen=True, slots=True)
class Offer:
    """What was understood of an offer."""

    sdp: str
    """For aiortc."""
    ufrag: str
    """Names the ICE generation: candidates trickled later must belong to it."""
    candidates: int = 0
    """How many are left in it."""
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class _Transport:
    """Credentials that all sections share."""

    ufrag: str
    password: str
    fingerprints: tuple[str, ...]
    setup: str

    def lines(self) -> list[str]:
        return [
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.password}",
            *(f"a=fingerprint:{fingerprint}" for fingerprint in self.fingerprints),
            f"a=setup:{self.setup}",
        ]


def clean_offer(sdp: str, reach: Reach, *, reject_video: bool = False, further: bool = False) -> Offer:
    """Read an offer of one audio stream, and perhaps a data channel, and write it anew.

    Args:
        reach: which candidates are kept.
        reject_video: answer offers with video by turning that down (see :func:`complete_answer`), instead of
            refusing the offer as RFC 9725 §4.4.3 wants it.
        further: the connection stands already; a client may offer to send nothing for a while.

    Raises:
        BadRequest: it is no SDP, or larger than any honest one.
        Unprocessable: it is one, of something else (video, no audio, several streams, unknown codecs).
    """
    lines = split_lines(sdp, what="the offer", max_bytes=MAX_OFFER_BYTES, max_lines=MAX_LINES)
    if not sdp.startswith("v=0") or lines[0] != "v=0":
        raise BadRequest("the body is no SDP: it should begin with v=0")
    session, sections = read_sections(lines)
    _check_amounts(session, sections)
    kept, rejected = _sort_sections(sections, reject_video=reject_video)
    bundle, mids = _bundle(session, sections, kept)
    # First what kind of offer it is, then whether its credentials are right: the better word for its sender.
    written_sections = [
        _audio(s, session, further=further) if s.kind == "audio" else _application(s) for s in kept
    ]
    primary = next((s for s in kept if bundle and mids[id(s)] == bundle[0]), kept[0])
    transport = _transport(primary, session)
    values = [
        v for s in sections if s.first("ice-ufrag", session) == transport.ufrag for v in s.all("candidate")
    ]
    candidates = [f"a=candidate:{value}" for value in clean_candidates(values, reach)]
    written = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    if session.first("ice-lite") is not None:
        written.append("a=ice-lite")
    if bundle:
        written.append(f"a=group:BUNDLE {' '.join(bundle)}")
    for section, own in zip(kept, written_sections, strict=True):
        written += own
        if mid := mids.get(id(section)):
            written.append(f"a=mid:{mid}")
        written += transport.lines()
        written += candidates if section is primary else []
    return Offer("\r\n".join(written) + "\r\n", transport.ufrag, len(candidates), rejected)


# ── Sections ────────────────────────────────────────────────────────────


def _check_amounts(session: Section, sections: list[Section]) -> None:
    counts: dict[str, int] = {}
    for section in (session, *sections):
        for name, _ in section.attributes:
            counts[name] = counts.get(name, 0) + 1
    for name in ("rtpmap", "rtcp-fb", "fmtp", "candidate", "extmap", "ssrc", "fingerprint"):
        if counts.get(name, 0) > MAX_OF_A_KIND:
            raise BadRequest(f"the offer has more than {MAX_OF_A_KIND} lines a={name}")
    if any(len(section.formats) > MAX_OF_A_KIND for section in sections):
        raise BadRequest(f"an m= line of the offer has more than {MAX_OF_A_KIND} formats")


def _sort_sections(
    sections: list[Section], *, reject_video: bool
) -> tuple[list[Section], tuple[Rejected, ...]]:
    """Those to answer, and those to turn down."""
    kinds = [section.kind for section in sections]
    if "video" in kinds and not reject_video:
        raise Unprocessable("this server takes no video: offer one audio track")
    if kinds.count("audio") != 1:
        raise Unprocessable("offer exactly one audio track")
    unknown = set(kinds) - {"audio", "application", "video"}
    if kinds.count("application") > 1 or unknown or len(kinds) > MAX_SECTIONS:
        raise Unprocessable("offer one audio track and at most one data channel section")
    rejected = tuple(
        Rejected(index, f"m=video 0 {section.protocol} {' '.join(section.formats)}", section.first("mid"))
        for index, section in enumerate(sections)
        if section.kind == "video"
    )
    kept = [section for section in sections if section.kind != "video"]
    if any(section.port == 0 and section.first("bundle-only") is None for section in kept):
        raise Unprocessable(
            "a section of the offer is switched off (port 0): offer an audio track that is on"
        )
    return kept, rejected


def _bundle(
    session: Section, sections: list[Section], kept: list[Section]
) -> tuple[list[str], dict[int, str]]:
    """The names of the kept sections in the order of BUNDLE, and by section.

    One transport for all (RFC 9143), as browsers do; aiortc trips over anything else.
    """
    groups = [group.split() for group in session.all("group")]
    bundles = [group[1:] for group in groups if group[:1] == ["BUNDLE"]]
    bundled = bundles[0] if bundles else []
    names = [section.all("mid") for section in sections]
    flat = [mid for found in names for mid in found]
    off = {mid for s in sections if s.port == 0 and s.first("bundle-only") is None for mid in s.all("mid")}
    if len(bundles) > 1 or len(set(flat)) < len(flat) or not all(MID.fullmatch(mid) for mid in flat):
        raise BadRequest("the a=mid or a=group:BUNDLE of the offer is malformed")
    # More names than sections are no harm: FFmpeg always writes BUNDLE 0 1.
    all_named = all(len(found) == 1 for found in names) and set(flat) - off <= set(bundled)
    if (len(sections) > 1 or bundled) and not all_named:
        raise BadRequest("every section of the offer needs one a=mid of its own, in a=group:BUNDLE")
    mids = {id(section): found[0] for section, found in zip(sections, names, strict=True) if found}
    ours = {mids.get(id(section)) for section in kept}
    return [mid for mid in dict.fromkeys(bundled) if mid in ours], mids


def _transport(section: Section, session: Section) -> _Transport:
    ufrag, password = section.first("ice-ufrag", session), section.first("ice-pwd", session)
    if not (ufrag and password and UFRAG.fullmatch(ufrag) and PASSWORD.fullmatch(password)):
        raise BadRequest("the offer has no ICE credentials, or malformed ones (RFC 8839 §5.4)")
    fingerprints = []
    for value in section.all("fingerprint") or session.all("fingerprint"):
        algorithm, _, digest = value.lower().partition(" ")
        digest = digest.strip().upper()
        size = DIGESTS.get(algorithm)
        if size is None:
            continue
        if not HEX.fullmatch(digest) or len(digest) != 3 * size - 1:
            raise BadRequest("a DTLS fingerprint of the offer is malformed (RFC 8122 §5)")
        fingerprints.append(f"{algorithm} {digest}")
    if not fingerprints:
        raise BadRequest("the offer has no DTLS fingerprint of SHA-256, SHA-384 or SHA-512")
    setup = section.first("setup", session)
    if setup not in ("actpass", "active", "passive"):
        raise BadRequest("the offer should say a=setup:actpass (RFC 8842 §5.2)")
    return _Transport(ufrag, password, tuple(fingerprints[:MAX_FINGERPRINTS]), setup)


def _audio(section: Section, session: Section, *, further: bool) -> list[str]:
    if section.protocol not in RTP_PROTOCOLS:
        raise Unprocessable("offer the audio as UDP/TLS/RTP/SAVPF: encrypted with keys from DTLS")
    if section.first("rtcp-mux") is None and section.first("rtcp-mux-only") is None:
        raise Unprocessable("offer a=rtcp-mux: RTP and RTCP share one port here (RFC 5761)")
    codecs = _codecs(section)
    if not codecs:
        raise Unprocessable("offer one of the codecs Opus, G722, PCMU, PCMA")
    told = [name for part in (section, session) for name, _ in part.attributes if name in DIRECTIONS]
    direction = told[0] if told else "sendrecv"
    if direction in ("recvonly", "inactive") and not further:
        raise Unprocessable(f"the offer's audio is {direction}: offer to send it (sendonly or sendrecv)")
    written = [
        f"m=audio 9 {section.protocol} {' '.join(map(str, codecs))}",
        "c=IN IP4 0.0.0.0",
        f"a={direction}",
        "a=rtcp-mux",
    ]
    opus = [number for number, codec in codecs.items() if codec.startswith("opus")]
    written += [f"a=rtpmap:{number} {codec}" for number, codec in codecs.items()]
    for value in section.all("fmtp"):
        number, _, parameters = value.partition(" ")
        known = [p.strip() for p in parameters.split(";") if OPUS_NUMBERS.fullmatch(p.strip())]
        if opus and number == str(opus[0]) and known:
            written.append(f"a=fmtp:{number} {';'.join(known)}")
            break
    return written + _extensions(section)


def _codecs(section: Section) -> dict[int, str]:
    """The codecs that we know by payload type, in the client's order, one type each."""
    named = dict(STATIC)
    for value in section.all("rtpmap"):
        match = RTPMAP.fullmatch(value)
        if not match:
            raise BadRequest("an a=rtpmap line is malformed (RFC 8866 §6.6)")
        number, name, rate, channels = int(match[1]), match[2].lower(), int(match[3]), int(match[4] or 1)
        codec = CODECS.get((name, rate, channels))
        if codec and (number in DYNAMIC or STATIC.get(number) == codec):
            named.setdefault(number, codec)
    found: dict[int, str] = {}
    for text in section.formats:
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < 128):
            raise BadRequest("a payload type of the audio is not a number from 0 to 127")
        codec = named.get(int(text))
        if codec and codec not in found.values():
            found[int(text)] = codec
    return found


def _extensions(section: Section) -> list[str]:
    """Header extensions that aiortc answers, with ids of one-byte headers (RFC 8285 §4.2)."""
    found: dict[str, int] = {}
    for value in section.all("extmap"):
        identity, _, uri = value.partition(" ")
        number = identity.partition("/")[0]
        usable = number.isascii() and number.isdigit() and len(number) <= 2 and 1 <= int(number) <= 14
        if uri in EXTENSIONS and usable and int(number) not in found.values():
            found.setdefault(uri, int(number))
    return [f"a=extmap:{number} {uri}" for uri, number in found.items()]


def _application(section: Section) -> list[str]:
    if section.protocol not in SCTP_PROTOCOLS:
        raise Unprocessable("offer the data channel as UDP/DTLS/SCTP webrtc-datachannel (RFC 8841)")
    size = _bounded(section.first("max-message-size") or "65536", "max-message-size", 2**40)
    legacy = section.protocol == "DTLS/SCTP"  # before RFC 8841: the port stands in the m= line
    port = _bounded(
        section.formats[0] if legacy else section.first("sctp-port") or "5000", "sctp-port", 65_535
    )
    if not port:
        raise BadRequest("the offer's SCTP port is 0")
    return [
        f"m=application 9 {section.protocol} {port if legacy else 'webrtc-datachannel'}",
        "c=IN IP4 0.0.0.0",
        f"a=sctpmap:{port} webrtc-datachannel 65535" if legacy else f"a=sctp-port:{port}",
        # 0 means any size (RFC 8841 §6.1); our messages are small.
        f"a=max-message-size:{min(size, 2**18) or 2**18}",
    ]


def _bounded(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 13 and int(text) <= most):
        raise BadRequest(f"the a={name} of the offer is out of range")
    return int(text)
