"""What we answer to a description, and what we offer where there is none (RFC 3264). Pure.

======================  ==================================================================================
theirs                  ours
======================  ==================================================================================
``sendrecv``            ``sendrecv``: see below
``sendonly``            ``recvonly``: SIPREC, and holds
``recvonly``            ``inactive``: there is nothing that they could hear
``inactive``            ``inactive``
address 0.0.0.0         ``recvonly``, or ``inactive``: a hold as RFC 2543 said it
no codec of ours        port 0; where that goes for every line the call is refused (488)
video, data, fax …      port 0
======================  ==================================================================================

We only hear, and still answer ``sendrecv``: many a PBX shows a call that is answered ``recvonly`` as held,
or hangs it up where no RTP comes back. A stream that may be sent on is kept alive by a packet of silence
every few seconds (RFC 6263 §4.1), which is what a muted phone with discontinuous transmission sends too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtc_stt.errors import Unprocessable
from signaling.codecs.codec import Codec
from signaling.sdp import OPUS_PARAMETERS
from signaling.telephony.sip.sdes import Crypto, write_crypto
from signaling.telephony.sip.sdp import Direction, Stream

__all__ = ["Accepted", "Ours", "accept_stream", "build_description", "choose_streams", "our_own"]

OUR_DIRECTION = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "inactive",
    "inactive": "inactive",
}

PROTOCOLS = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")
"""Those with ``UDP/TLS`` before them want DTLS, which is for browsers."""

EVENTS = 101
"""What everyone numbers telephone events by, in offers of ours."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A line of theirs that we take."""

    stream: Stream
    codec: Codec
    """What our answer names: the first of theirs that we decode, since they know best what is not to be
    transcoded. The others are understood too."""
    events: tuple[int, int] | None
    """Payload type and clock rate of the telephone events that our answer names."""
    crypto: Crypto | None
    """Their key."""
    direction: Direction
    """Ours."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our side of a line that is taken."""

    accepted: Accepted
    port: int
    crypto: Crypto | None = None
    """Our key, with the tag and suite of theirs."""


def accept_stream(stream: Stream) -> Accepted | None:
    """How a line is taken; None where it is not."""
    if stream.kind != "audio" or stream.port == 0 or stream.protocol not in PROTOCOLS or not stream.codecs:
        return None
    if stream.is_secure and not stream.crypto:
        return None
    codec = stream.codecs[0]
    fitting = [event for event in stream.events if event[1] == codec.clock_rate] or list(stream.events)
    direction = OUR_DIRECTION[stream.direction]
    if stream.is_nowhere and direction == "sendrecv":
        direction = "recvonly"
    return Accepted(
        stream,
        codec,
        fitting[0] if fitting else None,
        # Keys in a line of plain RTP: SRTP for who can. What is offered is wanted.
        stream.crypto[0] if stream.crypto else None,
        direction,
    )


def choose_streams(streams: Sequence[Stream], most: int) -> list[Accepted | None]:
    """Which lines are taken, of as many at most; None: that one is not.

    Raises:
        Unprocessable: none is.
    """
    chosen: list[Accepted | None] = []
    taken = 0
    for stream in streams:
        accepted = accept_stream(stream) if taken < most else None
        taken += accepted is not None
        chosen.append(accepted)
    if not taken:
        raise Unprocessable("no stream that we could hear: PCMU, PCMA, G722 and opus over RTP or SDES")
    return chosen


def build_description(
    address: str,
    version: tuple[int, int],
    streams: Sequence[Stream],
    ours: Sequence[Ours | None],
    *,
    is_offer: bool = False,
) -> bytes:
    """An answer: one m-line for each of theirs, in their order (RFC 3264 §6). Or an offer of ours, where an
    INVITE had none (RFC 3261 §14.2): then with all codecs, so that they may choose.

    Args:
        address: where we receive, IPv4 or IPv6.
        version: number of the session, and of this description of it (``o=``).
        streams: theirs.
        ours: as many; None: that line is refused.
    """
    where = f"IN IP{6 if ':' in address else 4} {address}"
    lines = ["v=0", f"o=- {version[0]} {version[1]} {where}", "s=-", f"c={where}", "t=0 0"]
    for stream, own in zip(streams, ours, strict=True):
        if own is None:
            lines.append(f"m={stream.kind} 0 {stream.protocol} {' '.join(stream.formats) or '0'}")
        else:
            lines += _line(own, own.accepted.stream.codecs if is_offer else (own.accepted.codec,))
    return ("\r\n".join(lines) + "\r\n").encode()


def our_own() -> Accepted:
    """A line as we would offer it: every codec, under the numbers that everyone uses."""
    codecs = (
        Codec("opus", 96, 48_000),
        Codec("G722", 9, 8_000),
        Codec("PCMU", 0, 8_000),
        Codec("PCMA", 8, 8_000),
    )
    stream = Stream(
        kind="audio",
        port=0,
        protocol="RTP/AVP",
        formats=(),
        address="",
        is_nowhere=False,
        direction="sendrecv",
        codecs=codecs,
        events=((EVENTS, 8_000),),
    )
    return Accepted(stream, codecs[0], (EVENTS, 8_000), None, "sendrecv")


def _line(own: Ours, codecs: Sequence[Codec]) -> list[str]:
    accepted = own.accepted
    stream = accepted.stream
    numbers = [codec.payload_type for codec in codecs]
    attributes = []
    for codec in codecs:
        channels = "/2" if codec.name == "opus" else ""
        attributes.append(f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}")
        if codec.name == "opus":
            attributes.append(f"a=fmtp:{codec.payload_type} {OPUS_PARAMETERS}")
    if accepted.events:
        number, rate = accepted.events
        numbers.append(number)
        attributes += [f"a=rtpmap:{number} telephone-event/{rate}", f"a=fmtp:{number} 0-15"]
    if stream.ptime:
        attributes.append(f"a=ptime:{stream.ptime}")
    if own.crypto:
        attributes.append(f"a=crypto:{write_crypto(own.crypto)}")
    if stream.mid:
        attributes.append(f"a=mid:{stream.mid}")
    if stream.label:
        attributes.append(f"a=label:{stream.label}")
    if stream.rtcp_mux:
        attributes.append("a=rtcp-mux")
    formats = " ".join(map(str, numbers))
    return [f"m=audio {own.port} {stream.protocol} {formats}", *attributes, f"a={accepted.direction}"]
