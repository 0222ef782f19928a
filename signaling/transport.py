"""One ``RTCPeerConnection``: the only room that knows aiortc.

aiortc keeps ICE, DTLS, SRTP and SCTP. Its way of receiving audio is never begun: the gate hands encrypted
media here, and what is decrypted goes to the listener at once, in the same call of the loop. Private names of
aiortc and aioice are used where they offer nothing else; ``tests/signaling/test_transport.py`` says which and
fails where they change.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pylibsrtp
from aiortc import RTCConfiguration, RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription, candidate_from_sdp

from rtc_stt.errors import BadRequest, RtcSttError, Unavailable, Unprocessable, trace
from rtc_stt.logs import IdLog
from signaling.codecs import Codec
from signaling.datagrams import Gate
from signaling.sctp import SctpGuard
from signaling.sdp import offers_passive_dtls, polish_answer

__all__ = ["MAX_CANDIDATES", "Listener", "Transport"]

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 5.0
"""To make an answer. It takes milliseconds; an offer with names that do not resolve takes a second."""

CLOSE_TIMEOUT_S = 3.0
"""For aiortc to close. It hangs on rare occasions; then its sockets and tasks are ended one by one."""

MAX_CANDIDATES = 20
"""Of the client, those of the offer and trickled ones together."""


class Listener(Protocol):
    """Who a transport tells. Called on the event loop; must not raise."""

    def receive_rtp(self, packet: bytes) -> None:
        """A decrypted RTP packet."""

    def receive_rtcp(self, packet: bytes) -> None:
        """A decrypted RTCP packet, compound or not."""

    def open_channel(self, channel: Any) -> None:
        """The client has opened a data channel: an ``RTCDataChannel``."""

    def change_state(self, state: str) -> None:
        """``connecting``, ``connected``, ``failed`` or ``closed``."""

    def refuse_message(self, reason: str) -> None:
        """Something that came over SCTP is not taken."""

    def violate(self, reason: str) -> None:
        """The client does what no honest one does: the connection should be closed."""


class Transport:
    """See above.

    Args:
        listener: told all that happens.
        local: the server is for this machine only; the loopback interface is offered too.
        log: of the session that it carries.
    """

    def __init__(self, listener: Listener, *, local: bool, log: IdLog | None = None) -> None:
        self._listener = listener
        self._log = (log or IdLog(logging.getLogger())).at(__name__)
        self._local = local
        # No ICE servers: the default is a public STUN server and up to five seconds of gathering.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("datachannel", listener.open_channel)
        self._connection.on("connectionstatechange", lambda: listener.change_state(self.state))
        self._dtls: Any = None
        self._ice: Any = None  # aioice's connection
        self._gate: Gate | None = None
        self._sctp: SctpGuard | None = None
        self._offer: SessionDescription | None = None
        self._candidates = 0
        self._closing: asyncio.Task[None] | None = None
        self.codecs: Mapping[int, Codec] = {}
        """By payload type: what the client may send. Empty before :meth:`answer`."""

    # ── Negotiation ────────────────────────────────────────────────────────────

    async def answer(self, offer: str) -> str:
        """Answer the first offer with all our candidates.

        Raises:
            BadRequest, Unprocessable: it cannot be answered.
            Unavailable: no UDP port is free.

        Whatever is raised, everything is closed then.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._negotiate(offer)
        except RtcSttError:
            await self.close()
            raise
        except Exception as error:
            await self.close()
            raise _translated(error) from error
        except BaseException:
            await self.close()
            raise

    async def _negotiate(self, offer: str) -> str:
        connection = self._connection
        # With this and without a candidate aioice gathers nothing, and the connection stays new for ever.
        offer = re.sub(r"a=end-of-candidates\r?\n", "", offer)
        self._offer = SessionDescription.parse(offer)
        self._candidates = sum(len(media.ice_candidates) for media in self._offer.media)
        if self._candidates > MAX_CANDIDATES:
            raise BadRequest(f"the offer has more than {MAX_CANDIDATES} candidates")
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self._guard()
        if not offers_passive_dtls(offer):
            # As the passive side we serve every client; some cannot take an active answer. aiortc has no
            # public way to choose.
            self._dtls._set_role("server")
        await connection.setLocalDescription(await connection.createAnswer())
        if not self._ice.local_candidates:
            raise Unavailable("no UDP port is free; try again later")
        return polish_answer(connection.localDescription.sdp)

    def _guard(self) -> None:
        """Take hold of what aiortc has made for the offer, before anything can arrive."""
        (transceiver,) = self._connection.getTransceivers()
        self._dtls = transceiver.receiver.transport
        self._ice = self._dtls.transport._connection
        self._gate = Gate(self._ice, self._receive_media, time.monotonic, local=self._local, log=self._log)
        # This would start a thread, a task and a queue without bound.
        transceiver.receiver.receive = _receive_nothing  # type: ignore
        if sctp := self._connection.sctp:
            self._sctp = SctpGuard(sctp, self._listener.refuse_message, self._listener.violate, self._log)
        self.codecs = _codecs(transceiver._codecs)

    async def renegotiate(self, offer: str) -> str:
        """Answer a further offer of the same sections, with the same credentials and codecs.

        Raises:
            Unprocessable: it asks for something else, e.g. an ICE restart.
            BadRequest: it cannot be read.

        The connection goes on as it was then.
        """
        try:
            again = SessionDescription.parse(offer)
        except Exception as error:  # see _translated
            raise _translated(error) from error
        if self._offer is None or _fixed(again) != _fixed(self._offer):
            raise Unprocessable(
                "a further offer may not change sections, codecs or ICE credentials: make a new connection"
            )
        for media in again.media:
            self._candidates += len(media.ice_candidates)
        if self._candidates > 3 * MAX_CANDIDATES:
            raise BadRequest("the offers of this connection have too many candidates")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:
            raise _translated(error) from error
        return polish_answer(self._connection.localDescription.sdp)

    async def add_candidates(self, candidates: Sequence[str], ufrag: str | None) -> None:
        """Add trickled candidates (RFC 8838); ``candidates`` are values of ``a=candidate``.

        That no more will come is not told to aioice: it would fail as soon as no pair is left, though a
        client may still check from an address that nobody has signalled. The connect timer ends what never
        connects.

        Raises:
            Unprocessable: they belong to another ICE generation.
            BadRequest: one cannot be read, or there are too many.
        """
        assert self._offer is not None
        known = {media.ice.usernameFragment for media in self._offer.media if media.ice}
        if ufrag is not None and ufrag not in known:
            raise Unprocessable("the candidates belong to another ICE generation; a restart is not offered")
        try:
            parsed = [candidate_from_sdp(value) for value in candidates]
        except (ValueError, AssertionError, IndexError) as error:
            raise BadRequest("a candidate cannot be read") from error
        if self._candidates + len(parsed) > MAX_CANDIDATES:
            raise BadRequest(f"more than {MAX_CANDIDATES} candidates")
        self._candidates += len(parsed)
        for candidate in parsed:
            await self._add(candidate)

    async def _add(self, candidate: RTCIceCandidate) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._dtls.transport.addRemoteCandidate(candidate)
        except TimeoutError:
            self._log.info("a candidate took too long to resolve")
        except Exception as error:
            raise BadRequest("a candidate cannot be used") from error

    # ── Media and figures ────────────────────────────────────────────────────────────

    def _receive_media(self, data: bytes) -> str | None:
        """An SRTP or SRTCP packet, as the gate lets it in. Why it was not taken, if so."""
        session = self._dtls._rx_srtp
        if session is None or self._dtls.state != "connected":
            return "early"
        is_rtcp = len(data) > 1 and 192 <= data[1] <= 223  # RFC 5761 §4
        try:
            packet = session.unprotect_rtcp(data) if is_rtcp else session.unprotect(data)
        except (pylibsrtp.Error, ValueError):  # altered, replayed, or too long
            return "srtp"
        if is_rtcp:
            self._listener.receive_rtcp(packet)
        else:
            self._listener.receive_rtp(packet)
        return None

    def send_rtcp(self, packet: bytes) -> None:
        """Send an RTCP packet; nothing happens where there is no connection."""
        pair = self._ice._nominated.get(1) if self._ice else None
        if pair is None or self._dtls.state != "connected":
            return
        try:
            pair.protocol.transport.sendto(self._dtls._tx_srtp.protect_rtcp(packet), pair.remote_addr)
        except (pylibsrtp.Error, ValueError, OSError) as error:
            self._log.info("an RTCP packet could not be sent: %s", type(error).__name__)

    @property
    def state(self) -> str:
        """``new``, ``connecting``, ``connected``, ``failed`` or ``closed``."""
        return str(self._connection.connectionState)

    @property
    def outstanding_bytes(self) -> int:
        """Of the data channel, not yet acknowledged by the client's SCTP."""
        return self._sctp.outstanding_bytes if self._sctp else 0

    @property
    def round_trip_s(self) -> float | None:
        """To the client and back, smoothed; None before anything was measured."""
        return self._sctp.round_trip_s if self._sctp else None

    @property
    def candidate_types(self) -> tuple[str, str] | None:
        """Type of the local and the remote candidate in use: ``host``, ``srflx``, ``prflx`` or ``relay``."""
        pair = self._ice._nominated.get(1) if self._ice else None
        return (pair.local_candidate.type, pair.remote_candidate.type) if pair else None

    def take_refused(self) -> Mapping[str, int]:
        """Datagrams that were not taken since the last call, by reason."""
        if self._gate is None or not self._gate.refused:
            return {}
        counts = Counter(self._gate.refused)
        self._gate.refused.clear()
        return counts

    # ── The end ────────────────────────────────────────────────────────────

    async def close(self) -> None:
        """Close, within :data:`CLOSE_TIMEOUT_S` whatever aiortc does. No socket and no task is left."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close(), name="close-transport")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._connection.remove_all_listeners()
        parts = self._parts()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.close()
        except TimeoutError:
            self._log.warning("a peer connection did not close within %g s", CLOSE_TIMEOUT_S)
        except Exception as error:
            self._log.warning("a peer connection failed to close: %s", trace(error))
        finally:
            if self._gate:
                self._gate.close()
            await _end_tasks_of(parts)
            for part in parts:
                # The collector comes to aiortc's circles of objects when it likes; what they hold of OpenSSL
                # and libsrtp is large, and known to go here.
                for name in ("_ssl", "_rx_srtp", "_tx_srtp"):
                    if hasattr(part, name):
                        setattr(part, name, None)

    def _parts(self) -> list[Any]:
        """Objects of aiortc and aioice that may have tasks."""
        parts: list[Any] = [self._connection]
        transports = [t.receiver.transport for t in self._connection.getTransceivers()]
        if sctp := self._connection.sctp:
            parts.append(sctp)
            transports.append(sctp.transport)
        for dtls in transports:
            parts += [dtls, dtls.transport, dtls.transport._connection]
        return parts


async def _receive_nothing(_parameters: object) -> None:
    """In place of ``RTCRtpReceiver.receive``."""


async def _end_tasks_of(parts: Sequence[Any]) -> None:
    """Cancel what still runs for these: aiortc keeps no record of its tasks, a coroutine knows its object."""
    known = {id(part) for part in parts}
    left = []
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and id(frame.f_locals.get("self")) in known:
            task.cancel()
            left.append(task)
    if left:
        await asyncio.wait(left, timeout=1)


def _codecs(negotiated: Sequence[Any]) -> dict[int, Codec]:
    names = {"opus": "opus", "g722": "G722", "pcmu": "PCMU", "pcma": "PCMA"}
    return {
        codec.payloadType: Codec(
            names[codec.name.lower()], codec.payloadType, codec.clockRate, dict(codec.parameters)
        )
        for codec in negotiated
        if codec.name.lower() in names
    }


def _fixed(offer: SessionDescription) -> list[object]:
    """What a further offer may not change."""
    return [
        (
            media.kind,
            media.rtp.muxId,
            media.ice.usernameFragment if media.ice else None,
            media.ice.password if media.ice else None,
            sorted((f.algorithm, f.value) for f in media.dtls.fingerprints) if media.dtls else None,
            sorted((c.payloadType, c.mimeType.lower(), c.clockRate) for c in media.rtp.codecs),
        )
        for media in offer.media
    ]


def _translated(error: Exception) -> BadRequest:
    """What to raise for an offer that cannot be answered: aiortc raises whatever its parsers stumbled on."""
    log.info("an offer could not be answered: %s", type(error).__name__)
    return BadRequest("the offer cannot be answered: it is not valid SDP")
