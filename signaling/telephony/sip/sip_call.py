"""One call over SIP: what it offered, its streams, and the legs that hear them.

A :class:`~signaling.telephony.call_source.CallSource`. The dialog is the user agent's, the sockets are those
of :mod:`.media_stream`; here is what joins them to a call.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rtc_stt.errors import RtcSttError, Unprocessable
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from signaling.media_turn import MediaTurn
from signaling.telephony.call import Call
from signaling.telephony.call_source import CALLER, MAX_LEGS, CallDetails, clean_parameters, clean_text
from signaling.telephony.hub import CallHub
from signaling.telephony.settings import Sip
from signaling.telephony.sip.people import People
from signaling.telephony.sip.rtp_ports import RtpPorts
from signaling.telephony.sip.sdp import Stream, parse_description
from signaling.telephony.sip.sdp_answer import (
    Accepted,
    Ours,
    build_description,
    choose_streams,
    our_own,
)
from signaling.telephony.sip.sip_line import SipLine
from signaling.telephony.sip.siprec import split_body
from signaling.telephony.sip.vocabulary import Invitation

__all__ = ["Exchange", "SipCall"]

TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """What all SIP calls of a server share."""

    hub: CallHub
    ports: RtpPorts
    settings: Sip
    instrument: Instrument
    turn: MediaTurn
    address: str
    """Where peers send media to: an IP address."""
    owner: str
    """The id of the key whose calls these are."""


class Host(Protocol):
    """Who has the dialogs."""

    def release(self, dialog: str, reason: str) -> None:
        """The call has ended here: say BYE, where nobody has yet."""


class SipCall:
    """See above.

    Args:
        dialog: what the user agent calls it.
    """

    def __init__(self, dialog: str, invitation: Invitation, exchange: Exchange, host: Host) -> None:
        self.dialog = dialog
        self._invitation = invitation
        self._exchange = exchange
        self._host = host
        self._call: Call | None = None
        self._lines: list[SipLine | None] = []
        """By the place of their m-lines; None: refused."""
        self._streams: tuple[Stream, ...] = ()
        """As they describe them, or as we did where they have not yet."""
        self._people = People(is_recording=invitation.is_recording)
        self._version = (secrets.randbits(48), 0)
        self._awaits_answer = False
        self._digits_by = ""
        self._timer: asyncio.TimerHandle | None = None

    # ── What its server does ────────────────────────────────────────────────────────────

    def open(self) -> bytes:
        """Take the call; our description for the 200. Where it fails nothing is left.

        Raises:
            BadRequest: the body cannot be read.
            UnsupportedMedia: it is of another type.
            Unprocessable: there is no stream that we could hear.
            TooMany: its key has all sessions that it may have.
            Unavailable: full, or draining.
        """
        invitation = self._invitation
        parts = split_body(invitation.body, invitation.content_type, invitation.content_parameters)
        problem = self._people.read(parts)
        self._people.is_recording |= bool(parts.metadata)
        accepted: list[Accepted | None] = [our_own()]
        if parts.sdp:
            self._streams = parse_description(parts.sdp).streams
            accepted = self._choose(self._streams)
        else:
            self._streams, self._awaits_answer = (our_own().stream,), True
        self._call = call = self._exchange.hub.begin(self._details(), self)
        try:
            ours = [self._add_line(one) for one in accepted]
        except BaseException:
            self._close_streams()
            call.end("no_room")
            raise
        self._note_holds()
        if problem:
            call.warn("siprec_metadata", problem)
        self._set_timer()
        return self._describe(ours, is_offer=self._awaits_answer)

    def reoffer(self, body: bytes, content_type: str, parameters: Mapping[str, str]) -> bytes:
        """Go by another offer; our answer, or our offer where they ask for one. Empty: none was needed. Where
        it fails all is as before.

        Raises:
            BadRequest, UnsupportedMedia, Unprocessable: see :meth:`open`.
        """
        parts = split_body(body, content_type, parameters)
        if problem := self._people.read(parts):
            self._warn("siprec_metadata", problem)
        if parts.metadata and self._call:
            self._call.note(self._people.parameters())
        if parts.sdp:
            streams = parse_description(parts.sdp).streams
            ours = self._go_by(self._choose(streams))
            self._streams = streams
            self._note_holds()
            return self._describe(ours)
        if body:
            return b""
        self._awaits_answer = True
        return self._describe([line.offer() if line else None for line in self._lines], is_offer=True)

    def confirm(self, body: bytes, content_type: str, parameters: Mapping[str, str]) -> None:
        """The ACK has come. Where the offer was ours, it has their answer.

        Raises:
            BadRequest, UnsupportedMedia, Unprocessable: the answer is none, and the call cannot go on.
        """
        if not self._awaits_answer:
            return
        self._awaits_answer = False
        parts = split_body(body, content_type, parameters)
        streams = parse_description(parts.sdp).streams if parts.sdp else ()
        accepted = self._choose(streams)
        if len(accepted) != len(self._lines):
            raise Unprocessable("the answer does not fit the offer (RFC 3264 §6)")
        for line, taken in zip(self._lines, accepted, strict=True):
            if line and taken:
                line.stream.negotiate(taken, is_answer=True)
        self._streams = streams
        self._note_holds()

    def press(self, way: str, digit: str, duration_ms: int | None, leg: str = "") -> None:
        """A key was pressed. Some phones say so in two ways: the one that came first is believed."""
        self._digits_by = self._digits_by or way
        if self._digits_by == way and self._call:
            label = leg or next((line.leg.label for line in self._lines if line), CALLER)
            self._call.digit(label, digit, duration_ms=duration_ms)

    def end(self, reason: str) -> None:
        """The dialog has ended, or is to: finalise, then let go."""
        if self._call and not self._call.is_over:
            for line in self._lines:
                if line:
                    line.stream.drain()
            self._call.end(reason)

    def ended(self, reason: str) -> None:
        """The dialog has ended: nothing more comes."""
        self.end(reason)
        self._close_streams()

    # ── What its call does (see CallSource) ───────────────────────────────────────────

    def tell(self, leg: str, event: Event) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`: SIP has no way back."""

    def play_out(self) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        for line in self._lines:
            if line:
                line.stream.flush()
        self._tell_figures(time.monotonic())

    def hang_up(self, reason: str) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        self._close_streams()
        self._host.release(self.dialog, reason)

    # ── Offers ────────────────────────────────────────────────────────────

    def _choose(self, streams: Sequence[Stream]) -> list[Accepted | None]:
        """Which lines are taken: one; of a recorder as many as a call has legs."""
        return choose_streams(streams, MAX_LEGS if self._people.is_recording else 1)

    def _go_by(self, chosen: Sequence[Accepted | None]) -> list[Ours | None]:
        """Bring the lines to what was chosen."""
        ours: list[Ours | None] = []
        for place, accepted in enumerate(chosen):
            line = self._lines[place] if place < len(self._lines) else None
            if line and accepted:
                ours.append(line.stream.negotiate(accepted))
                continue
            if line:
                line.remove(time.monotonic())
                self._lines[place] = None
            if accepted is None or (added := self._try_line(accepted, place)) is None:
                self._lines += [None] * (place + 1 - len(self._lines))
                ours.append(None)
            else:
                ours.append(added)
        while len(self._lines) > len(chosen):  # no offer may have fewer (RFC 3264 §8), and some do
            if last := self._lines.pop():
                last.remove(time.monotonic())
        return ours

    def _try_line(self, accepted: Accepted, place: int) -> Ours | None:
        """A further line; None where there is no room for its leg: the others go on."""
        try:
            return self._add_line(accepted, place)
        except RtcSttError as error:
            self._warn("no_room", str(error))
            return None

    def _add_line(self, accepted: Accepted | None, place: int | None = None) -> Ours | None:
        """Take a line, or not, at its place among the others."""
        assert self._call
        line = None
        if accepted:
            pair = self._exchange.ports.take()
            try:
                label = self._people.label(accepted.stream, is_first=not any(self._lines))
                leg = self._call.add_leg(label)
            except BaseException:
                pair.close()
                raise
            line = SipLine(self, leg, pair, self._exchange.instrument, self._exchange.turn)
        if place is not None and place < len(self._lines):
            self._lines[place] = line
        else:
            self._lines.append(line)
        return line.stream.negotiate(accepted) if line and accepted else None

    def _describe(self, ours: Sequence[Ours | None], *, is_offer: bool = False) -> bytes:
        self._version = self._version[0], self._version[1] + 1
        return build_description(
            self._exchange.address, self._version, self._streams, ours, is_offer=is_offer
        )

    def _note_holds(self) -> None:
        for line in self._lines:
            if line and self._call and (is_held := line.note_hold()) is not None:
                self._call.hold(line.leg.label, is_held)

    def _details(self) -> CallDetails:
        invitation = self._invitation
        return CallDetails(
            source="siprec" if self._people.is_recording else "sip",
            external_id=clean_text(invitation.call_id),
            caller=invitation.caller,
            callee=invitation.callee,
            parameters=clean_parameters(
                dict[object, object](invitation.parameters) | dict(self._people.parameters())
            ),
            owner=self._exchange.owner,
            address=invitation.address,
        )

    def _warn(self, code: str, message: str) -> None:
        if self._call:
            self._call.warn(code, message)

    # ── Time ────────────────────────────────────────────────────────────

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        self._set_timer()
        lines = [line for line in self._lines if line]
        for line in lines:
            line.tick(now)
        if lines and all(line.stream.idle_s(now) > self._exchange.settings.rtp_timeout_s for line in lines):
            self.end("media_timeout")

    def _tell_figures(self, now: float) -> None:
        for line in self._lines:
            if line:
                line.tell_figures(now)

    def _close_streams(self) -> None:
        """Give back sockets and timers. May be called again."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for line in self._lines:
            if line:
                line.stream.close()
