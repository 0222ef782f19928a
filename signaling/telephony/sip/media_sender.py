"""What is sent back on a stream of a SIP call: a packet of silence now and then, and reports.

Nobody is ever spoken to. But firewalls forget a way that nothing goes back on, and many a PBX hangs up a call
without RTP: see :mod:`.sdp_answer`.
"""

from __future__ import annotations

import logging
import secrets
import socket
import struct

from signaling.telephony.sip.latch import Source
from signaling.telephony.sip.rtp_ports import RtpPair
from signaling.telephony.sip.sdp_answer import Accepted
from signaling.telephony.sip.srtp import Srtp

__all__ = ["KEEPALIVE_S", "MediaSender"]

log = logging.getLogger(__name__)

KEEPALIVE_S = 5.0
"""Between two packets of silence to who may be sent to: firewalls forget a way after 15 s at worst (RFC 6263
§7), and PBXs that hang up a call without RTP wait 10 s at least."""

SILENCE = {
    "PCMU": b"\xff" * 160,
    "PCMA": b"\xd5" * 160,
    "G722": b"\xfa" * 160,
    "opus": b"\xf8\xff\xfe",
}
"""20 ms each."""


class MediaSender:
    """See above.

    Args:
        pair: the sockets of the stream; it closes them.
        ssrc: ours.
    """

    def __init__(self, pair: RtpPair, ssrc: int) -> None:
        self.accepted: Accepted | None = None
        """What was negotiated last; None: nothing is sent yet."""
        self.srtp: Srtp | None = None
        """Protects what is sent, where there are keys."""
        self._pair = pair
        self._ssrc = ssrc
        self._sequence = secrets.randbits(16)
        self._clock = secrets.randbits(32)

    def send_silence(self, heard_from: Source | None) -> None:
        """A packet of 20 ms, so that the way back stays open; :data:`KEEPALIVE_S` after the one before it.

        Args:
            heard_from: where packets of the peer come from; None: none have.
        """
        accepted = self.accepted
        if accepted is None or accepted.direction != "sendrecv":
            return
        if (to := self._rtp_address(heard_from)) is None:
            return
        codec = accepted.codec
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._clock = (self._clock + int(KEEPALIVE_S * codec.clock_rate)) & 0xFFFFFFFF
        head = struct.pack("!BBHII", 0x80, 0x80 | codec.payload_type, self._sequence, self._clock, self._ssrc)
        packet: bytes | None = head + SILENCE[codec.name]
        if self.srtp and packet:
            packet = self.srtp.protect(packet)
        self._send(self._pair.rtp, packet, to)

    def send_report(self, report: bytes, heard_from: Source | None, reported_from: Source | None) -> None:
        """A compound of RTCP.

        Args:
            heard_from: see :meth:`send_silence`.
            reported_from: where RTCP of the peer comes from; None: none has.
        """
        if (to := self._rtcp_address(heard_from, reported_from)) is None:
            return
        packet: bytes | None = self.srtp.protect_rtcp(report) if self.srtp else report
        is_mux = self.accepted is not None and self.accepted.stream.rtcp_mux
        self._send(self._pair.rtp if is_mux else self._pair.rtcp, packet, to)

    def _rtp_address(self, heard_from: Source | None) -> Source | None:
        """Where the peer sends from, else where it says that it listens."""
        if heard_from:
            return heard_from
        stream = self.accepted.stream if self.accepted else None
        return (stream.address, stream.port) if stream and stream.address and stream.port else None

    def _rtcp_address(self, heard_from: Source | None, reported_from: Source | None) -> Source | None:
        stream = self.accepted.stream if self.accepted else None
        if stream is None or stream.rtcp_mux:
            return self._rtp_address(heard_from)
        if reported_from:
            return reported_from
        if stream.rtcp:
            return stream.rtcp
        return (stream.address, stream.port + 1) if stream.address and 0 < stream.port < 65_535 else None

    @staticmethod
    def _send(sock: socket.socket, packet: bytes | None, to: Source) -> None:
        if packet is None:
            return
        try:
            sock.sendto(packet, to)
        except (OSError, OverflowError):  # the next one may get through
            log.debug("a packet could not be sent back")
