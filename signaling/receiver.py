"""The receiver of one audio track: RTP in, 16 kHz mono out, RTCP back. No clock, task or socket in it.

The owner hands over decrypted packets, calls :meth:`AudioReceiver.handle_timer` at
:meth:`AudioReceiver.next_deadline`, and sends what :meth:`AudioReceiver.report` gives once a second.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Origin, Samples
from rtc_stt.instrument import Instrument
from signaling.codecs import Codec, Decoder, decoder_for
from signaling.codecs.g711 import G711Decoder
from signaling.jitter import Conceal, Decision, JitterBuffer, Lose, Packet, Pause, Recover
from signaling.rtp import (
    Goodbye,
    ReceptionStatistics,
    RtpPacket,
    SenderReport,
    build_report,
    parse_rtcp,
    parse_rtp,
)

__all__ = ["AudioReceiver", "ReceiverStats"]

CNAME = "rtc-stt"
"""Of our reports. We send no media, so nothing is to be told apart by it."""

COMFORT_NOISE = 13
"""The payload type of RFC 3389: it describes a silence, and ours is silent enough."""

STALE_SSRC_S = 2.0
"""So long what comes of a stream after the next one began is not taken for yet another beginning."""

_SILENCE: Samples = np.zeros(SAMPLE_RATE, np.float32)
_SILENCE.flags.writeable = False


@dataclass(frozen=True, slots=True)
class ReceiverStats:
    """What became of a track so far."""

    codec: str
    """The last one; empty before the first packet."""
    packets_received: int
    packets_lost: int
    """Sent as far as the sequence numbers tell, and not received (W3C ``packetsLost``)."""
    packets_late: int
    """Received after they were given up."""
    packets_duplicate: int
    packets_refused: int
    """Malformed, of a payload type that was not negotiated, or too many."""
    recovered: int
    """Packets whose audio came from forward error correction."""
    concealed_ms: int
    lost_ms: int
    jitter_ms: float
    bit_rate_kbps: float
    """Of the payloads, over the whole time."""
    audio_ms: int
    """Media time."""

    def as_mapping(self) -> dict[str, str | int | float]:
        """By field name."""
        return {name: getattr(self, name) for name in _FIGURES}


_FIGURES = tuple(field.name for field in dataclasses.fields(ReceiverStats))


class _Stream:
    """One SSRC with one clock rate."""

    def __init__(self, ssrc: int, statistics: ReceptionStatistics, buffer: JitterBuffer, rate: int) -> None:
        self.ssrc = ssrc
        self.rate = rate
        self.statistics = statistics
        self.buffer = buffer
        self.ticks = 0
        self.samples = 0


class AudioReceiver:
    """See above.

    Args:
        codecs: by payload type, as negotiated.
        events: payload types of telephone events (RFC 4733), and of comfort noise besides 13: they have no
            audio.
        deliver: gets the audio in order, shape ``(n,)``; silence may be read-only.
        silence: gets silence instead, as a number of samples; without it, ``deliver`` gets that too.
        wants: how many samples complete what whoever hears works on. Payloads that are fewer wait for the
            next ones, where a codec can decode several as one. None: each is handed over by itself.
        due: told when they are enough, and not again before :meth:`play`, which the owner calls soon; None:
            they are handed over at once.
        instrument: told of packets in sums, with each report.
        local_ssrc: ours, in RTCP.
        now: on the clock of all other calls.

    Raises:
        KeyError: a codec has no decoder.
    """

    def __init__(
        self,
        codecs: Mapping[int, Codec],
        deliver: Callable[[Samples, Origin], None],
        *,
        silence: Callable[[int, Origin], None] | None = None,
        wants: Callable[[], int] | None = None,
        due: Callable[[], None] | None = None,
        instrument: Instrument,
        local_ssrc: int,
        now: float,
        events: Collection[int] = (),
    ) -> None:
        self._codecs = dict(codecs)
        self._events = frozenset(events)
        self._deliver = deliver
        self._deliver_silence = silence
        self._wants = wants
        self._due = due
        self._is_due = False
        self._gathered = list[bytes]()
        """Payloads in a row, all received and of one codec, that are yet to be decoded."""
        self._gathered_samples = 0
        self._gatherer: Decoder | None = None
        self._lent = 0
        """Samples of payloads that :meth:`lend` has given."""
        self._returned: Samples | None = None
        """What they are, between :meth:`receive_decoded` and :meth:`play`."""
        self._instrument = instrument
        self._local_ssrc = local_ssrc
        self._decoders: dict[int, Decoder] = {}
        self._stream: _Stream | None = None
        self._before: tuple[int, float] | None = None
        """The SSRC of the stream before, and when it was followed."""
        self._now = now
        self._begun: float | None = None
        self._codec: Codec | None = None
        """Of the last packet."""
        self._samples = dict.fromkeys(Origin, 0)
        self._counts = dict.fromkeys(("received", "recovered", "concealed", "lost", "late", "refused"), 0)
        self._told = dict(self._counts)
        self._duplicate = 0
        self._lost_before = 0
        self._bytes = 0
        self._closed = False
        self.last_rtp_at: float | None = None
        """When the last packet of this track came."""

    def renegotiate(self, codecs: Mapping[int, Codec], events: Collection[int], now: float) -> None:
        """From here on these payload types mean this, and media time goes on. The others keep their meaning:
        packets from before may be on their way.

        Raises:
            KeyError: a codec has no decoder.
        """
        self.flush(now)
        for number, codec in codecs.items():
            if self._codecs.get(number, codec) != codec:
                self._decoders.pop(number, None)
                if self._codec is not None and self._codec.payload_type == number:
                    self._codec = codec
        self._codecs |= codecs
        self._events = frozenset(events)

    # ── In ──

    def receive_rtp(self, data: bytes, now: float) -> None:
        """A packet, decrypted. Whatever is in it: audio comes out, or a count goes up."""
        packet = None if self._closed else parse_rtp(data)
        if packet is None:
            self._counts["refused"] += not self._closed
        else:
            self.receive_packet(packet, now)

    def receive_packet(self, packet: RtpPacket, now: float) -> None:
        """The same, of one that has been taken apart."""
        if self._closed:
            return
        self._now = now
        codec = self._codecs.get(packet.payload_type)
        stream = self._stream
        if codec is None:
            stream = self._without_audio(packet)
            if stream is None:
                return
        elif stream is None or packet.ssrc != stream.ssrc or codec.clock_rate != stream.rate:
            stream = self._follow(packet, codec, now)
            if stream is None:
                return
        self.last_rtp_at = now
        self._counts["received"] += 1
        self._bytes += len(packet.payload)
        # Every packet of an event has the timestamp of its beginning (RFC 4733 §2.2.1), however late it is.
        is_event = codec is None and packet.payload_type in self._events
        stream.statistics.receive(packet.sequence, None if is_event else packet.timestamp, now)
        duration, broken = 0, False
        if codec is not None and packet.payload:
            self._codec = codec
            decoder = self._decoders.get(packet.payload_type) or self._decoder(packet.payload_type)
            duration = decoder.duration(packet.payload)
            if stream.buffer.passes(packet.sequence, packet.timestamp, duration, now):
                self._play(decoder, packet.payload, self._advance(stream, duration))
                return
            if not duration:
                self._counts["refused"] += 1
                # What it was to be is not known; most packets are like the one before.
                duration, broken = stream.buffer.usual or codec.clock_rate // 50, True
        taken = Packet(
            packet.sequence, packet.timestamp, duration, packet.payload, packet.payload_type, now, broken
        )
        self._act(stream, stream.buffer.receive(taken, now), now)

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """A compound of RTCP, decrypted."""
        stream = self._stream
        if stream is None or self._closed:
            return
        for report in parse_rtcp(data):
            if isinstance(report, SenderReport) and report.ssrc == stream.ssrc:
                stream.statistics.receive_sender_report(report, now)
            elif isinstance(report, Goodbye) and stream.ssrc in report.ssrcs:
                self.flush(now)

    # ── Time ──

    def next_deadline(self) -> float | None:
        """When to call :meth:`handle_timer`; it may be in the past. None: not before the next packet."""
        return None if self._stream is None or self._closed else self._stream.buffer.next_deadline()

    def handle_timer(self, now: float) -> None:
        """Give up what has not come in time."""
        if self._stream is not None and not self._closed:
            self._act(self._stream, self._stream.buffer.handle_timer(now), now)

    def flush(self, now: float) -> None:
        """Play out what waits: the sender has ended."""
        if self._stream is not None and not self._closed:
            self._act(self._stream, self._stream.buffer.flush(now), now)
            self._play_gathered()

    def close(self) -> None:
        """Take no more, and let go of the decoders."""
        self._tell_instrument()
        self._closed = True
        self._gathered.clear()
        self._gatherer = self._returned = None
        self._lent = 0
        self._decoders.clear()

    # ── Out ──

    def lend(self) -> tuple[G711Decoder, bytes] | None:
        """What is due, for whoever decodes it with that of others, and gives it back before anything else;
        None where nothing waits any more, or it is of another codec: then :meth:`play` decodes it."""
        decoder = self._gatherer
        if not self._gathered or not isinstance(decoder, G711Decoder):
            return None
        payload, self._lent = self._take_gathered()
        return decoder, payload

    def receive_decoded(self, samples: Samples | None) -> None:
        """What was lent, decoded; None where it is malformed."""
        self._returned = samples

    def play(self) -> None:
        """Hand over what is due."""
        self._play_gathered()

    def report(self, now: float) -> bytes | None:
        """An RTCP compound to send, about once a second; None while there is nothing to report on."""
        self._tell_instrument()
        if self._stream is None or self._closed:
            return None
        block = self._stream.statistics.report_block(now)
        return build_report(self._local_ssrc, self._stream.ssrc, block, CNAME)

    def stats(self, now: float) -> ReceiverStats:
        """The figures so far."""
        statistics = self._stream.statistics if self._stream else None
        buffer = self._stream.buffer if self._stream else None
        seconds = now - self._begun if self._begun is not None else 0.0
        counts = self._sums()
        return ReceiverStats(
            codec=self._codec.name if self._codec else "",
            packets_received=counts["received"],
            packets_lost=max(0, self._lost_before + (statistics.lost if statistics else 0)),
            packets_late=counts["late"],
            packets_duplicate=self._duplicate + (buffer.duplicate if buffer else 0),
            packets_refused=counts["refused"],
            recovered=counts["recovered"],
            concealed_ms=_ms(self._samples[Origin.CONCEALED]),
            lost_ms=_ms(self._samples[Origin.LOST]),
            jitter_ms=round(1000 * statistics.jitter_s, 1) if statistics else 0.0,
            bit_rate_kbps=round(self._bytes * 8 / 1000 / seconds, 1) if seconds > 0 else 0.0,
            audio_ms=_ms(sum(self._samples.values())),
        )

    # ── Streams ──

    def _without_audio(self, packet: RtpPacket) -> _Stream | None:
        """The stream of a packet that is none of our codecs, if it has a place in its order.

        Telephone events and comfort noise share the sequence numbers of the audio, and no time of theirs
        counts: that the timestamps then go on after a pause says all.
        """
        stream = self._stream
        if stream is None or stream.ssrc != packet.ssrc:
            stream = None
        if packet.payload_type in self._events:
            # Some senders number them by themselves: those must not take the place of audio.
            return stream if stream and stream.buffer.is_near(packet.sequence, packet.timestamp) else None
        if packet.payload_type != COMFORT_NOISE:
            self._counts["refused"] += 1
        return stream

    def _follow(self, packet: RtpPacket, codec: Codec, now: float) -> _Stream | None:
        """Another sender, or another clock: a new stream, and media time goes on. None: one that is over."""
        old = self._stream
        if old is not None:
            if self._before is not None:
                ssrc, since = self._before
                if packet.ssrc == ssrc != old.ssrc and now < since + STALE_SSRC_S:
                    self._counts["late"] += 1
                    return None
            self._act(old, old.buffer.flush(now), now)
            self._play_gathered()
            self._keep_counts(old)
            self._before = (old.ssrc, now)
        if self._begun is None:
            self._begun = now
        self._decoders.clear()
        statistics = ReceptionStatistics(codec.clock_rate)
        buffer = JitterBuffer(
            codec.clock_rate,
            statistics,
            lambda packet: self._decoder(packet.payload_type).recoverable(packet.payload),
            begun=self._begun,
            decided=sum(self._samples.values()) * codec.clock_rate // SAMPLE_RATE,
        )
        self._stream = _Stream(packet.ssrc, statistics, buffer, codec.clock_rate)
        return self._stream

    def _decoder(self, payload_type: int) -> Decoder:
        decoder = self._decoders.get(payload_type)
        if decoder is None:
            codec = self._codecs[payload_type]
            decoder = self._decoders[payload_type] = decoder_for(codec)
        return decoder

    # ── Decisions ──

    def _act(self, stream: _Stream, decisions: list[Decision], now: float) -> None:
        for decision in decisions:
            if isinstance(decision, Packet):
                if now > decision.arrived:
                    self._instrument.jitter_delayed(now - decision.arrived)
                decoder = self._decoder(decision.payload_type)
                self._play(decoder, decision.payload, self._advance(stream, decision.duration))
            else:
                self._play_gathered()
                self._fill(stream, decision)

    def _fill(self, stream: _Stream, decision: Recover | Conceal | Lose | Pause) -> None:
        """Hand over what is in the place of packets."""
        count = self._advance(stream, decision.ticks)
        if isinstance(decision, Recover):
            self._recover(decision, count)
        elif isinstance(decision, Conceal):
            self._conceal(count)
        else:
            self._silence(count, Origin.LOST if isinstance(decision, Lose) else Origin.RECEIVED)

    def _play(self, decoder: Decoder, payload: bytes, count: int) -> None:
        """Decode a payload of ``count`` samples, now or with those that follow it."""
        if self._gatherer is not decoder:
            self._play_gathered()
        if self._wants is None or not decoder.joins:
            self._decode(decoder, payload, count)
            return
        self._gatherer = decoder
        self._gathered.append(payload)
        self._gathered_samples += count
        if self._is_due or self._gathered_samples < self._wants():
            return
        if self._due is None:
            self._play_gathered()
        else:
            self._is_due = True
            self._due()

    def _play_gathered(self) -> None:
        """Hand over what was lent and is decoded, and what waits for more of its kind."""
        self._is_due = False
        if self._lent:
            samples, count = self._returned, self._lent
            self._returned, self._lent = None, 0
            self._take_decoded(samples, count)
        if self._gathered:
            assert self._gatherer
            self._decode(self._gatherer, *self._take_gathered())

    def _take_gathered(self) -> tuple[bytes, int]:
        """Payloads put together, and how many samples they are."""
        payload, count = b"".join(self._gathered), self._gathered_samples
        self._gathered.clear()
        self._gathered_samples = 0
        return payload, count

    def _decode(self, decoder: Decoder, payload: bytes, count: int) -> None:
        self._take_decoded(decoder.decode(payload), count)

    def _take_decoded(self, samples: Samples | None, count: int) -> None:
        if samples is None:
            self._counts["refused"] += 1
            self._conceal(count)
        else:
            self._hand_over(samples if len(samples) == count else _fit(samples, count), Origin.RECEIVED)

    def _recover(self, decision: Recover, count: int) -> None:
        samples = self._decoder(decision.packet.payload_type).recover(decision.packet.payload, count)
        if samples is None:
            self._conceal(count)
        else:
            self._hand_over(_fit(samples, count), Origin.RECEIVED)

    def _conceal(self, count: int) -> None:
        assert self._codec is not None  # nothing is missing before the first packet
        self._hand_over(self._decoder(self._codec.payload_type).conceal(count), Origin.CONCEALED)

    def _silence(self, count: int, origin: Origin) -> None:
        if self._deliver_silence and count:
            self._samples[origin] += count
            self._deliver_silence(count, origin)
            return
        while count > 0:
            size = min(count, len(_SILENCE))
            self._hand_over(_SILENCE[:size], origin)
            count -= size

    def _hand_over(self, samples: Samples, origin: Origin) -> None:
        if len(samples):
            self._samples[origin] += len(samples)
            self._deliver(samples, origin)

    @staticmethod
    def _advance(stream: _Stream, ticks: int) -> int:
        """Samples of the next ``ticks``, rounded so that the sum never drifts."""
        stream.ticks += ticks
        count = stream.ticks * SAMPLE_RATE // stream.rate - stream.samples
        stream.samples += count
        return count

    # ── Counts ──

    def _sums(self) -> dict[str, int]:
        sums = dict(self._counts)
        if self._stream is not None:
            for name in ("recovered", "concealed", "lost", "late", "refused"):
                sums[name] += getattr(self._stream.buffer, name)
        return sums

    def _keep_counts(self, stream: _Stream) -> None:
        """Those of a stream that is over."""
        self._counts = self._sums()
        self._duplicate += stream.buffer.duplicate
        self._lost_before += max(0, stream.statistics.lost)

    def _tell_instrument(self) -> None:
        sums = self._sums()
        for name, count in sums.items():
            if count > self._told[name]:
                self._instrument.rtp_packets(name, count - self._told[name])
        self._told = sums


def _fit(samples: Samples, count: int) -> Samples:
    """Exactly ``count`` samples: a decoder that says other than the packet's header must not move time."""
    return samples[:count] if len(samples) > count else np.pad(samples, (0, count - len(samples)))


def _ms(samples: int) -> int:
    return round(samples * 1000 / SAMPLE_RATE)
