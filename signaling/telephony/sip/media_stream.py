"""One stream of a SIP call: two sockets, SRTP, the lock on a source, a receiver.

Sockets are read by the loop's reader callback, many packets a turn, without a transport each: see
:data:`MAX_TURN`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from rtc_stt.audio import Origin, Samples
from rtc_stt.errors import trace
from rtc_stt.instrument import Instrument
from rtc_stt.token_bucket import TokenBucket
from signaling.media_turn import MediaTurn
from signaling.receiver import AudioReceiver, ReceiverStats
from signaling.rtp import RtpPacket, parse_rtp
from signaling.telephony.sip.digits import DigitReceiver, Press
from signaling.telephony.sip.latch import Latch, Source
from signaling.telephony.sip.media_sender import KEEPALIVE_S, MediaSender
from signaling.telephony.sip.rtp_ports import RtpPair
from signaling.telephony.sip.sdes import Crypto
from signaling.telephony.sip.sdp import Direction
from signaling.telephony.sip.sdp_answer import Accepted, Ours
from signaling.telephony.sip.srtp import Srtp

__all__ = ["Ear", "MediaStream"]

log = logging.getLogger(__name__)

MAX_TURN = 16
"""Packets read in one turn of the loop: a burst does not keep others waiting, and what is left is read in
the next."""

BURST_S = 0.004
"""Between two readings of a stream: packets are 10 ms apart at least, where they do not come in a heap."""

MAX_DRAIN = 64
"""Packets that a socket may hold unread when its call ends: a second and more."""

MAX_PACKET = 2_048

PACKET_RATE, PACKET_BURST = 500, 2_000
"""Of the peer. Speech is 50 to 100 a second; the burst is what an interrupted line delivers at once."""

STRAY_RATE, STRAY_BURST = 100, 100
"""Of other sources that are looked at: to parse one costs some microseconds, a failed decryption more."""

REPORT_S = 5.0
"""Between two reports by RTCP (RFC 3550 §6.2)."""

REKEY_S = 2.0
"""So long packets made with the keys before are taken too."""


class Ear(Protocol):
    """Who hears a stream. No method raises."""

    def receive_audio(self, samples: Samples, origin: Origin) -> None:
        """What comes next."""

    def receive_silence(self, samples: int, origin: Origin) -> None:
        """Likewise, as a number of samples."""

    def wants(self) -> int:
        """Samples that complete what it works on: fewer need not be handed over."""

    def begin(self) -> None:
        """The first packet has come."""

    def press(self, press: Press) -> None:
        """A key was pressed."""

    def fail(self) -> None:
        """The audio cannot be handled any more."""


class MediaStream:
    """See above. It listens from the first :meth:`negotiate` on.

    Args:
        pair: closed with it.
        turn: of the loop, in which what it hears is decoded with that of others.
    """

    def __init__(self, pair: RtpPair, ear: Ear, instrument: Instrument, turn: MediaTurn) -> None:
        self.port = pair.port
        self.is_held = False
        """Nobody is to be surprised that nothing comes."""
        self.accepted: Accepted | None = None
        self.ours: Crypto | None = None
        """Our key."""
        self._pair = pair
        self._ear = ear
        self._instrument = instrument
        self._turn = turn
        self._ssrc = secrets.randbits(32)
        self._receiver: AudioReceiver | None = None
        self._digits = DigitReceiver()
        self._event_rates: dict[int, int] = {}
        self._media: set[int] = set()
        self._latch = Latch()
        self._rtcp_source: Source | None = None
        self._srtp: Srtp | None = None
        self._srtp_before: tuple[Srtp, float] | None = None
        self._refused: Counter[str] = Counter()
        self._packets = TokenBucket(PACKET_RATE, PACKET_BURST)
        self._strays = TokenBucket(STRAY_RATE, STRAY_BURST)
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = time.monotonic()
        self._has_begun = False
        self._read_at = 0.0
        self._sender = MediaSender(pair, self._ssrc)
        self._alive_at = self._reported_at = 0.0
        self._reports = 0
        self._is_closed = False

    # ── What its call does ────────────────────────────────────────────────────────────

    def negotiate(self, accepted: Accepted, *, is_answer: bool = False) -> Ours:
        """Go by a description, the first or a further one; our side of it.

        Args:
            is_answer: it answers an offer of ours, which had our key.
        """
        now, before = time.monotonic(), self.accepted
        stream = accepted.stream
        if accepted.crypto is None:
            self._srtp, self.ours = None, None
        elif before is None or before.crypto != accepted.crypto or self.ours is None:
            self._rekey(accepted.crypto, now, self.ours if is_answer else None)
        self.accepted = self._sender.accepted = accepted
        self._sender.srtp = self._srtp
        if before and (before.stream.address, before.stream.port) != (stream.address, stream.port):
            self._rtcp_source = None
        if not stream.is_nowhere:  # a hold says nothing of where they will be
            self._latch.expect((stream.address, stream.port) if stream.address else None)
        codecs = {codec.payload_type: codec for codec in stream.codecs}
        self._event_rates = dict(stream.events)
        without_audio = {*self._event_rates, *stream.comfort_noise}
        # Those from before stay: packets may be on their way.
        self._media |= codecs.keys() | without_audio
        if self._receiver is None:
            self._receiver = AudioReceiver(
                codecs,
                self._ear.receive_audio,
                silence=self._ear.receive_silence,
                wants=self._ear.wants,
                due=self._be_due,
                instrument=self._instrument,
                local_ssrc=self._ssrc,
                now=now,
                events=without_audio,
            )
            loop = asyncio.get_running_loop()
            loop.add_reader(self._pair.rtp, self._read, self._pair.rtp, self._receive_rtp)
            loop.add_reader(self._pair.rtcp, self._read, self._pair.rtcp, self._receive_rtcp)
        else:
            self._receiver.renegotiate(codecs, without_audio, now)
        self._heard_at = now
        return Ours(accepted, self.port, self.ours)

    def offer(self, direction: Direction) -> Ours:
        """Our side as it stands, for an offer of ours: plain, or with the key that we have."""
        assert self.accepted
        return Ours(dataclasses.replace(self.accepted, direction=direction), self.port, self.ours)

    def hold(self, on: bool) -> None:
        """While on hold nothing has to come."""
        if self.is_held and not on:
            self._heard_at = time.monotonic()
        self.is_held = on

    def idle_s(self, now: float) -> float:
        """Seconds without a packet of the peer; 0 while on hold."""
        return 0.0 if self.is_held else now - self._heard_at

    def stats(self, now: float) -> ReceiverStats | None:
        """The figures so far; None before there are any."""
        return self._receiver.stats(now) if self._receiver else None

    def tick(self, now: float) -> None:
        """To be called about once a second."""
        if self._receiver is None or self._is_closed:
            return
        for press in self._digits.handle_timer(now):
            self._ear.press(press)
        for reason, count in self._refused.items():
            self._instrument.datagrams_refused(reason, count)
        self._refused.clear()
        if now >= self._reported_at + REPORT_S:
            self._reported_at = now
            if report := self._receiver.report(now):
                self._sender.send_report(report, self._latch.source, self._rtcp_source)
            self._reports += 1
            if self._reports % 2 == 0:  # every ten seconds, as with other streams
                self._measure(now)
        if now >= self._alive_at + KEEPALIVE_S:
            self._alive_at = now
            self._sender.send_silence(self._latch.source)

    def drain(self) -> None:
        """Take what has arrived and was not read yet: the word of the end may overtake it."""
        for _ in range(MAX_DRAIN // MAX_TURN):
            if self._receiver and not self._is_closed:
                self._read(self._pair.rtp, self._receive_rtp)

    def flush(self) -> None:
        """Hand over what waits: the call is about to end."""
        now = time.monotonic()
        if self._receiver and not self._is_closed:
            for press in self._digits.flush(now):
                self._ear.press(press)
            self._receiver.flush(now)

    def close(self) -> None:
        """Give the sockets back. May be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._receiver:
            self._stop_reading()
            self._receiver.close()
        if self._timer:
            self._timer.cancel()
        self._pair.close()
        for reason, count in self._refused.items():
            self._instrument.datagrams_refused(reason, count)
        self._srtp = self._srtp_before = self._sender.srtp = None

    def _measure(self, now: float) -> None:
        assert self._receiver
        stats = self._receiver.stats(now)
        if stats.codec:
            self._instrument.line_measured(stats.codec, None, stats.jitter_ms / 1000, stats.bit_rate_kbps)

    def _rekey(self, theirs: Crypto, now: float, ours: Crypto | None) -> None:
        if self._srtp:
            self._srtp_before = self._srtp, now + REKEY_S
        self.ours = ours or Crypto(theirs.tag, theirs.suite, secrets.token_bytes(len(theirs.key)))
        self._srtp = Srtp(theirs, self.ours)

    # ── In ────────────────────────────────────────────────────────────

    def _read(self, sock: socket.socket, take: Callable[[bytes, Source, float], None]) -> None:
        now = time.monotonic()
        # A socket with more rings again. To look whether there is costs as much as a packet, and lets go of
        # the interpreter's lock, which another thread may then hold for a while.
        is_burst, self._read_at = now - self._read_at < BURST_S, now
        try:
            for _ in range(MAX_TURN if is_burst else 1):
                data, source = sock.recvfrom(MAX_PACKET)
                take(data, source[:2], now)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:  # ICMP says that nobody is there: the time-out will tell
            pass
        except Exception as error:
            self._fail(error)
            return
        self._set_timer()

    def _be_due(self) -> None:
        assert self._receiver
        self._turn.add(self._receiver, self._fail)

    def _fail(self, error: Exception) -> None:
        """It takes whatever comes; should it ever fail, it does so once."""
        log.error("the media of a call cannot be handled: %s", trace(error))
        self._stop_reading()
        self._ear.fail()

    def _stop_reading(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pair.rtp)
        loop.remove_reader(self._pair.rtcp)

    def _receive_rtp(self, data: bytes, source: Source, now: float) -> None:
        is_known = source == self._latch.source
        if not (is_known or self._srtp or self._latch.may_try(source, now)):
            self._refused["stranger"] += 1
            return
        is_likely = is_known or self._latch.is_likely(source)
        if not (self._packets if is_likely else self._strays).take(now):
            self._refused["flood" if is_likely else "stranger"] += 1
            return
        if len(data) > 1 and 192 <= data[1] <= 223:  # RTCP on the same port (RFC 5761 §4)
            self._receive_rtcp(data, source, now)
            return
        plain = self._unprotect(data, now) if self._srtp else data
        packet = parse_rtp(plain) if plain is not None else None
        if plain is None or packet is None:
            self._refused["srtp" if plain is None else "broken"] += 1
        elif packet.payload_type not in self._media:
            self._refused["payload_type"] += 1
        elif self._latch.accept(source, packet.ssrc, packet.sequence, now, proven=self._srtp is not None):
            self._take(packet, now)
        else:
            self._refused["stranger"] += 1

    def _take(self, packet: RtpPacket, now: float) -> None:
        assert self._receiver
        self._heard_at = now
        if not self._has_begun:
            self._has_begun = True
            self._ear.begin()
        if rate := self._event_rates.get(packet.payload_type):
            for press in self._digits.receive(packet, rate, now):
                self._ear.press(press)
        self._receiver.receive_packet(packet, now)

    def _unprotect(self, data: bytes, now: float) -> bytes | None:
        assert self._srtp
        if (plain := self._srtp.unprotect(data)) is not None:
            return plain
        if self._srtp_before:
            before, until = self._srtp_before
            if now < until:
                return before.unprotect(data)
            self._srtp_before = None
        return None

    def _receive_rtcp(self, data: bytes, source: Source, now: float) -> None:
        locked = self._latch.source
        if locked is None or (self._srtp is None and source[0] != locked[0]):
            self._refused["stranger"] += 1
            return
        bucket = self._packets if source == self._rtcp_source else self._strays
        if not bucket.take(now):
            self._refused["flood"] += 1
            return
        plain = self._srtp.unprotect_rtcp(data) if self._srtp else data
        if plain is None:
            self._refused["srtp"] += 1
            return
        self._rtcp_source = source
        assert self._receiver
        self._receiver.receive_rtcp(plain, now)

    def _set_timer(self) -> None:
        """Ring when the receiver wants to. One that is set for earlier does no harm: it sets itself again."""
        deadline = self._receiver.next_deadline() if self._receiver and not self._is_closed else None
        if deadline is None or (self._timer and self._timer.when() <= deadline):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if not self._receiver or self._is_closed:
            return
        try:
            self._receiver.handle_timer(time.monotonic())
        except Exception as error:
            self._fail(error)
            return
        self._set_timer()
