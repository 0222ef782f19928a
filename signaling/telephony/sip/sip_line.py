"""An m-line of a SIP call that is taken: a stream, and the leg that hears it."""

from __future__ import annotations

from typing import Protocol

from rtc_stt.audio import Origin, Samples
from rtc_stt.instrument import Instrument
from signaling.media_turn import MediaTurn
from signaling.telephony.leg import Leg
from signaling.telephony.sip.digits import Press
from signaling.telephony.sip.media_stream import MediaStream
from signaling.telephony.sip.rtp_ports import RtpPair
from signaling.telephony.sip.sdp_answer import Ours

__all__ = ["BY_INFO", "BY_RTP", "LineOwner", "SipLine"]

BY_RTP, BY_INFO = "rtp", "info"
"""How a key was told."""

FIGURES_S = 10.0
"""Between two tellings of packets."""


class LineOwner(Protocol):
    """The call that it is of."""

    def press(self, way: str, digit: str, duration_ms: int | None, leg: str = "") -> None:
        """A key was pressed, which was told in this way."""

    def end(self, reason: str) -> None:
        """It cannot go on."""


class SipLine:
    """See above; an :class:`~.media_stream.Ear`."""

    def __init__(
        self, call: LineOwner, leg: Leg, pair: RtpPair, instrument: Instrument, turn: MediaTurn
    ) -> None:
        self.leg = leg
        self.stream = MediaStream(pair, self, instrument, turn)
        self._was_two_way = False
        self._told_at = 0.0
        self._call = call

    # ── What its stream does ────────────────────────────────────────────────────────────

    def receive_audio(self, samples: Samples, origin: Origin) -> None:
        """See :class:`~.media_stream.Ear`."""
        self.leg.receive_audio(samples, origin)

    def receive_silence(self, samples: int, origin: Origin) -> None:
        """See :class:`~.media_stream.Ear`."""
        self.leg.receive_silence(samples, origin)

    def wants(self) -> int:
        """See :class:`~.media_stream.Ear`."""
        return self.leg.session.wants

    def begin(self) -> None:
        """See :class:`~.media_stream.Ear`."""
        self.leg.begin_now()

    def press(self, press: Press) -> None:
        """See :class:`~.media_stream.Ear`."""
        self._call.press(BY_RTP, press.digit, press.duration_ms, self.leg.label)

    def fail(self) -> None:
        """See :class:`~.media_stream.Ear`."""
        self._call.end("server_error")

    # ── What its call does ────────────────────────────────────────────────────────────

    def offer(self) -> Ours:
        """Our side, for an offer of ours."""
        return self.stream.offer("sendrecv" if self._was_two_way else "recvonly")

    def note_hold(self) -> bool | None:
        """Whether it is on hold, as it was negotiated last; None where it was not yet.

        Who holds sends nothing, or music; who records sends one way from the start, and that is no hold.
        """
        if self.stream.accepted is None:
            return None
        stream = self.stream.accepted.stream
        self._was_two_way |= stream.direction == "sendrecv" and not stream.is_nowhere
        is_held = stream.is_nowhere or stream.direction in ("inactive", "recvonly")
        is_held |= stream.direction == "sendonly" and self._was_two_way
        self.stream.hold(is_held)
        return is_held

    def tick(self, now: float) -> None:
        """To be called about once a second."""
        self.stream.tick(now)
        if now >= self._told_at + FIGURES_S:
            self.tell_figures(now)

    def tell_figures(self, now: float) -> None:
        """What its ``leg.ended`` tells of packets: at its end, and now and then for an end without a word."""
        self._told_at = now
        if stats := self.stream.stats(now):
            self.leg.update_stats(stats.as_mapping())

    def remove(self, now: float) -> None:
        """It is not wanted any more."""
        self.stream.flush()
        self.tell_figures(now)
        self.stream.close()
        self.leg.finish("removed")
