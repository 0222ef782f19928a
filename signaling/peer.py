"""The life of one connection, which carries a session and does not own it: timers, audio, data channel.

A peer is over when its connection is lost, when it never comes about, when its client breaks the rules, or
when the session has ended. Then it is closed, always within a few seconds, whatever aiortc does.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from rtc_stt.audio import Origin, Samples
from rtc_stt.commands import Command
from rtc_stt.errors import trace
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from rtc_stt.session import Session
from signaling.calls import Fragment
from signaling.data_channel import EventChannel
from signaling.dialects.dialect import Beginning
from signaling.figures import Figure, Figures
from signaling.receiver import AudioReceiver
from signaling.transport import Transport

__all__ = ["Peer"]

CONNECT_TIMEOUT_S = 15.0
"""From the answer to a connection. aiortc would wait for ever for a client that never sends."""

DATA_CHANNEL_TIMEOUT_S = 30.0
"""From the connection to the data channel. Without one nobody hears the transcripts."""

SILENCE_S = 45.0
"""Without a message and without a packet of audio. Either alone is no sign of death: a muted track may send
nothing, and simple clients send no pings. ICE notices most deaths earlier."""

TICK_S = 1.0
"""For reports to the sender, figures, and a look at the clock."""

MEASURE_EVERY = 10
"""Ticks from one measurement of the line to the next."""

FLUSH_TIMEOUT_S = 1.5
"""For the last events to arrive: a bit longer than SCTP waits before it sends again."""


class Peer:
    """A :class:`~signaling.line.ResumingCarrier`, see above.

    Args:
        peer_id: names it; whoever knows it may end the session.
        session: what it carries.
        figures: of the session; this connection's are added.
        instrument: where counts go.
        local: see :class:`Transport`.
        is_live: whether it carries the session from the start; else from :meth:`take_over` on.
        on_connected: called once, when the connection stands.
        on_open: called once, when the client has opened its data channel.
        beginning: what the client said with its offer.
    """

    def __init__(
        self,
        peer_id: str,
        *,
        session: Session,
        figures: Figures,
        instrument: Instrument,
        local: bool,
        is_live: bool,
        on_connected: Callable[[Peer], None],
        on_open: Callable[[Peer], None],
        beginning: Beginning | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.id = peer_id
        self.session = session
        self._figures = figures
        self._instrument = instrument
        self._is_live = is_live
        self._on_connected = on_connected
        self._on_open = on_open
        self._transport = Transport(self, local=local)
        self._channel = EventChannel(
            self, lambda: self._transport.outstanding_bytes, time.monotonic, beginning=beginning
        )
        self._receiver: AudioReceiver | None = None
        self._gone: asyncio.Future[str] = loop.create_future()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._began_at = time.monotonic()
        self._connected = False
        self._ticks = 0

    @property
    def has_opened(self) -> bool:
        """Whether the client has ever opened its data channel, and so may know the token to come back
        with."""
        return self._channel.resumes

    # ── What its owner does ────────────────────────────────────────────────────────────

    async def answer(self, offer: str) -> str:
        """Answer an offer, all candidates included. The timers run from here.

        Raises:
            BadRequest, Unprocessable, Unavailable: see :meth:`Transport.answer`.
        """
        answer = await self._transport.answer(offer)
        self._receiver = AudioReceiver(
            self._transport.codecs,
            self._deliver_audio,
            silence=self._deliver_silence,
            instrument=self._instrument,
            local_ssrc=secrets.randbits(32),
            now=time.monotonic(),
        )
        self._began_at = time.monotonic()
        self._after("connect", CONNECT_TIMEOUT_S, lambda: self._lose("connect_timeout"))
        return answer

    async def renegotiate(self, offer: str) -> str:
        """Answer a further offer. See :meth:`Transport.renegotiate`."""
        return await self._transport.renegotiate(offer)

    async def trickle(self, fragment: Fragment) -> None:
        """Add candidates. See :meth:`Transport.add_candidates`."""
        await self._transport.add_candidates(fragment.candidates, fragment.ufrag)

    def take_over(self, last_seq: int) -> None:
        """Carry the session from here on: audio in, and events out from the one after ``last_seq``."""
        self._is_live = True
        self.session.attach(self._channel.send, last_seq)

    def send(self, event: Event) -> None:
        """Where the session delivers."""
        self._channel.send(event)

    def drop(self, reason: str) -> None:
        """End the connection, not the session."""
        self._lose(reason)

    def play_out(self) -> None:
        """Hand over the audio that waits for packets before it: the session is about to end."""
        if self._receiver:
            self._receiver.flush(time.monotonic())

    async def wait(self) -> str | None:
        """Until it is over: the reason, or None where the session has ended."""
        await asyncio.wait([self._gone, self.session.ended], return_when=asyncio.FIRST_COMPLETED)
        return self._gone.result() if self._gone.done() else None

    def stop(self) -> None:
        """Play out what waits, stop all timers, and carry nothing any more. May be called again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if receiver := self._receiver:
            receiver.flush(time.monotonic())
            if self._is_live:
                self._measure_line()
                self._tell_figures()
                self._figures.keep(self._own_figures())
            receiver.close()
        self._receiver = None
        self._is_live = False

    async def close(self, *, flush: bool) -> None:
        """Close the connection; with ``flush`` the last events may arrive first."""
        if flush and self._transport.state == "connected":
            deadline = time.monotonic() + FLUSH_TIMEOUT_S
            while self._transport.outstanding_bytes and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
        self._channel.close()
        await self._transport.close()

    # ── What the transport tells (see transport.Listener) ────────────────────────────

    def receive_rtp(self, packet: bytes) -> None:
        """A packet of audio."""
        if receiver := self._receiver:
            self._hear(lambda: receiver.receive_rtp(packet, time.monotonic()))

    def receive_rtcp(self, packet: bytes) -> None:
        """A report of the sender, or its good-bye."""
        if receiver := self._receiver:
            receiver.receive_rtcp(packet, time.monotonic())

    def open_channel(self, channel: Any) -> None:
        """A data channel of the client."""
        if not self._gone.done() and self._channel.attach(channel):
            self._cancel("channel")
            self._on_open(self)

    def change_state(self, state: str) -> None:
        """A new state of the connection."""
        self.session.log.info("connection %s", state)
        if state == "connected" and not self._connected:
            self._connected = True
            self._cancel("connect")
            if not self._channel.is_attached:
                self._after("channel", DATA_CHANNEL_TIMEOUT_S, lambda: self._lose("no_data_channel"))
            self._after("tick", TICK_S, self._tick)
            self._on_connected(self)
        elif state in ("failed", "closed"):
            self._lose("connection_lost")

    def violate(self, reason: str) -> None:
        """The client does what no honest one does."""
        self.session.log.warning("the connection is closed for abuse of the data channel: %s", reason)
        self._lose("abuse")

    # ── What comes over the data channel (see data_channel.Listener) ─────────────────

    def receive_message(self, message: str | bytes) -> None:
        """A message of ``rtc-stt.v1``."""
        if self._is_live:
            self._tell_figures()  # it may be the last moment: after a stop nothing is told but the end
            self.session.receive_message(message)

    def receive_command(self, command: Command) -> None:
        """What a message of another dialect comes to."""
        if self._is_live:
            self._tell_figures()
            self.session.receive_command(command)

    def complain(self, code: str, message: str) -> None:
        """The client does something wrong, and is to be told."""
        self.session.warn(code, message)

    def give_up(self, reason: str) -> None:
        """The client cannot be reached any more. Where the connection goes, its channel closes a moment
        before the connection says so."""
        asyncio.get_running_loop().call_soon(self._lose, reason)

    def refuse_message(self, reason: str) -> None:
        """Something that came over the data channel is not taken."""
        self._instrument.message_refused(reason)

    # ── Audio ────────────────────────────────────────────────────────────

    def _deliver_audio(self, samples: Samples, origin: Origin) -> None:
        if self._is_live:
            self.session.receive_audio(samples, origin)

    def _deliver_silence(self, samples: int, origin: Origin) -> None:
        if self._is_live:
            self.session.receive_silence(samples, origin)

    def _hear(self, act: Callable[[], None]) -> None:
        """Let the receiver act. It takes whatever comes; should it ever fail, nobody is left talking to
        it."""
        try:
            act()
            self._set_jitter_timer()
        except Exception as error:
            self.session.log.error("the audio of the client cannot be read: %s", trace(error))
            self.session.fail("bad_audio", "the audio cannot be decoded; connect again")

    def _set_jitter_timer(self) -> None:
        """Ring when the receiver wants to. One that is set for earlier does no harm: it sets itself again."""
        deadline = self._receiver.next_deadline() if self._receiver else None
        if deadline is None:
            return
        timer = self._timers.get("jitter")
        if timer is None or timer.when() > deadline:
            if timer:
                timer.cancel()
            self._timers["jitter"] = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timers.pop("jitter", None)
        if receiver := self._receiver:
            self._hear(lambda: receiver.handle_timer(time.monotonic()))

    # ── Once a second ────────────────────────────────────────────────────────────

    def _tick(self) -> None:
        now = time.monotonic()
        self._after("tick", TICK_S, self._tick)
        assert self._receiver
        if report := self._receiver.report(now):
            self._transport.send_rtcp(report)
        for reason, count in self._transport.take_refused().items():
            self._instrument.datagrams_refused(reason, count)
        if self._is_live:
            self._tell_figures()
        self._ticks += 1
        if self._ticks % MEASURE_EVERY == 0:
            self._measure_line()
        heard_at = (self._began_at, self._receiver.last_rtp_at or 0.0, self._channel.last_message_at or 0.0)
        if now - max(heard_at) > SILENCE_S:
            self._lose("connection_lost")

    def _measure_line(self) -> None:
        assert self._receiver
        stats = self._receiver.stats(time.monotonic())
        if self._is_live and stats.codec:
            self._instrument.line_measured(
                stats.codec, self._transport.round_trip_s, stats.jitter_ms / 1000, stats.bit_rate_kbps
            )

    def _tell_figures(self) -> None:
        self.session.update_stats(self._figures.with_connection(self._own_figures()))

    def _own_figures(self) -> Mapping[str, Figure]:
        assert self._receiver
        figures: dict[str, Figure] = dict(self._receiver.stats(time.monotonic()).as_mapping())
        if (round_trip_s := self._transport.round_trip_s) is not None:
            figures["round_trip_ms"] = round(round_trip_s * 1000, 1)
        return figures

    # ── The end ────────────────────────────────────────────────────────────

    def _lose(self, reason: str) -> None:
        """What follows from it happens later: the cause may be an event that the session is just telling."""
        if not self._gone.done():
            self._gone.set_result(reason)

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, call)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()
