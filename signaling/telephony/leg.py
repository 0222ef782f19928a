"""One party of a phone call. The registry sees it out, as it does with every connection, so drains, quotas
and limits hold for phones too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from rtc_stt.audio import Origin, Samples
from rtc_stt.commands import Configure
from rtc_stt.events import Event
from rtc_stt.session import Session
from signaling.figures import Figure
from signaling.line import Line
from signaling.telephony.leg_clock import LegClock

__all__ = ["Leg", "LegOwner"]

FINISH_S = 30.0
"""For the last final of a leg. Longer than that of a client that has gone: somebody may still listen."""


class LegOwner(Protocol):
    """The call that it is of."""

    @property
    def began(self) -> float:
        """When, in seconds of the monotonic clock."""

    def tell_of_leg(self, leg: Leg, event: Event) -> None:
        """An event of a leg's session."""

    def play_out(self) -> None:
        """A leg is about to end: hand over the audio that waits."""


class Leg:
    """A :class:`~signaling.line.Carrier`: one party of a call. Its session's media time is the call's
    clock."""

    has_opened = False

    def __init__(self, leg_id: str, line: Line, call: LegOwner, label: str) -> None:
        self.id = leg_id
        self.label = label
        self._line = line
        self._call = call
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._is_live = True
        self._deadline: asyncio.TimerHandle | None = None
        self.clock = LegClock(call.began)

    @property
    def session(self) -> Session:
        """Its own."""
        return self._line.session

    @property
    def backlog_s(self) -> float:
        """Audio that waits for the detector: who can wait reads no more while there is much."""
        return self.session.backlog_s

    # ── What its adapter does ────────────────────────────────────────────────────────────

    def begin_now(self) -> None:
        """What has passed of the call so far was silence here: the next audio is of now."""
        self.receive_silence(self.clock.behind(time.monotonic()), Origin.RECEIVED)

    def receive_audio(self, samples: Samples, origin: Origin = Origin.RECEIVED) -> None:
        """What comes next on this leg: 16 kHz mono, shape ``(n,)``."""
        if self._is_live and len(samples):
            self.clock.advance(len(samples))
            self.session.receive_audio(samples, origin)

    def receive_silence(self, samples: int, origin: Origin = Origin.RECEIVED) -> None:
        """Silence, as a number of samples at 16 kHz."""
        if self._is_live and samples > 0:
            self.clock.advance(samples)
            self.session.receive_silence(samples, origin)

    def receive_at(self, at_ms: float, samples: Samples, *, lost: bool = False) -> None:
        """Audio that is stamped with its place on the call's clock.

        Args:
            lost: whether what is missing before it is known to have been lost, and was no silence.
        """
        gap = self.clock.gap_before(at_ms, time.monotonic())
        self.receive_silence(gap, Origin.LOST if lost else Origin.RECEIVED)
        self.receive_audio(samples)

    def configure(self, options: Mapping[str, object]) -> None:
        """Change options of recognition from here on; what is wrong with them is told by a ``warning``."""
        self.session.receive_command(Configure(options))

    def update_stats(self, figures: Mapping[str, Figure]) -> None:
        """What its ``leg.ended`` tells besides: packets, losses, the codec."""
        self.session.update_stats(figures)

    def finish(self, reason: str) -> None:
        """This party has gone: finalise what is open. May be called again."""
        if self._deadline or self.session.ended.done():
            return
        self._deadline = asyncio.get_running_loop().call_later(FINISH_S, self.session.abort, "server_error")
        self.session.ended.add_done_callback(self._cancel_deadline)
        self._line.finish(reason)

    def _cancel_deadline(self, _: object) -> None:
        if self._deadline:
            self._deadline.cancel()

    # ── What its owner does (see line.Carrier) ───────────────────────────────────────────

    def send(self, event: Event) -> None:
        """See :class:`~signaling.line.Carrier`."""
        self._call.tell_of_leg(self, event)

    def drop(self, reason: str) -> None:
        """See :class:`~signaling.line.Carrier`."""
        if not self._gone.done():
            self._gone.set_result(reason)

    def play_out(self) -> None:
        """See :class:`~signaling.line.Carrier`."""
        self._call.play_out()

    async def wait(self) -> str | None:
        """See :class:`~signaling.line.Carrier`."""
        await asyncio.wait([self._gone, self.session.ended], return_when=asyncio.FIRST_COMPLETED)
        return self._gone.result() if self._gone.done() else None

    def stop(self) -> None:
        """See :class:`~signaling.line.Carrier`."""
        self._is_live = False

    async def close(self, *, flush: bool) -> None:
        """See :class:`~signaling.line.Carrier`: there is nothing to close, for a call holds its
        connections."""
