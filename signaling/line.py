"""A session and the connections that carry it, one at a time: who takes over, who is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from rtc_stt.events import Event
from rtc_stt.recognizer import STALL_S
from rtc_stt.session import Session
from signaling.figures import Figures
from signaling.stream_audio import StreamAudio

__all__ = ["RESUMABLE", "Carrier", "Line", "ResumingCarrier"]

FINISH_TIMEOUT_S = 10.0
"""For the last final of a client that has gone."""

RESUMABLE = ("connection_lost", "data_channel_closed", "replaced")
"""Reasons for which a client may come back."""


class Carrier(Protocol):
    """A connection, whatever it is made of: a WebRTC peer, a WebSocket, a leg of a phone call. It carries a
    session and does not own it."""

    @property
    def id(self) -> str:
        """Names it; whoever knows it may end the session."""

    @property
    def has_opened(self) -> bool:
        """Whether its client has ever been able to hear, and so may know the token to come back with."""

    def send(self, event: Event) -> None:
        """Where the session delivers."""

    def drop(self, reason: str) -> None:
        """End the connection, not the session. What follows from it happens later."""

    def play_out(self) -> None:
        """Hand over the audio that waits: the session is about to end."""

    async def wait(self) -> str | None:
        """Until it is over: the reason, or None where the session has ended."""

    def stop(self) -> None:
        """Carry nothing any more. May be called again."""

    async def close(self, *, flush: bool) -> None:
        """Close the connection within some seconds; with ``flush`` the last events may arrive first."""


class ResumingCarrier(Carrier, Protocol):
    """A connection whose client may come back to a session that another one carried."""

    def take_over(self, last_seq: int) -> None:
        """Carry the session from here on: audio in, and events out from the one after ``last_seq``."""


class Line:
    """See above.

    Args:
        make_session: makes its session, given where to deliver.
        resume_seconds: how long it waits for a client that was lost.
        on_lost: called when it begins to wait for its client.
        on_ended: called once, when the session has ended.
    """

    def __init__(
        self,
        make_session: Callable[[Callable[[Event], None]], Session],
        resume_seconds: float,
        *,
        on_lost: Callable[[Line], None],
        on_ended: Callable[[Line], None],
    ) -> None:
        self.session = make_session(self._deliver)
        self.figures = Figures()
        self.audio: StreamAudio | None = None
        """What a WebSocket made of its bytes; the next one goes on where it stopped."""
        self.moved_to: int | None = None
        """Media time at which a session of another gateway goes on here, in samples, until its client is
        there; None of one that has begun here."""
        self.peer: Carrier | None = None
        """The connection that carries it; None while its client is lost."""
        self.trying: ResumingCarrier | None = None
        """A connection that would take over, and is not there yet."""
        self.is_waiting = False
        """For its client to come back."""
        self._told_s = 0.0  # of its audio
        self._resume_seconds = resume_seconds
        self._on_lost = on_lost
        self._on_ended = on_ended
        self._timer: asyncio.TimerHandle | None = None

    @property
    def may_resume(self) -> bool:
        """Whether a client may come back to it."""
        return not self.session.ended.done()

    def take_heard_s(self) -> float:
        """Seconds of audio that the session has had since this was asked last."""
        before, self._told_s = self._told_s, self.session.heard_s
        return self._told_s - before

    def start(self, peer: Carrier) -> None:
        """With its first connection."""
        self.peer = peer
        self.session.ended.add_done_callback(self._leave)
        self.session.start()

    def wait_for_client(self, position: int) -> None:
        """It goes on from another gateway, and its client is about to come."""
        self.moved_to, self.is_waiting = position, True
        self.session.ended.add_done_callback(self._leave)
        self.session.start()
        self._set_timer(self._resume_seconds, lambda: self.finish("connection_lost"))

    def try_again(self, peer: ResumingCarrier) -> None:
        """A further connection was answered: the one before, if it is not there yet, will not be needed."""
        if self.trying:
            self.trying.drop("replaced")
        self.trying = peer

    def take_over(self, peer: ResumingCarrier, last_seq: int) -> None:
        """It is there: from here on it carries the session."""
        if self.trying is not peer or not self.may_resume:
            peer.drop("replaced")
            return
        self.trying = None
        self._cancel_timer()
        self.is_waiting = False
        old, self.peer = self.peer, peer
        if old:
            old.drop("replaced")
            old.stop()
        self.session.detach()
        if self.audio:  # the WebSocket before may have asked for patience
            self.session.expect_audio(STALL_S)
        peer.take_over(last_seq)

    def part(self, peer: Carrier, reason: str) -> None:
        """A connection is over. Where it carried the session, this waits for its client, or ends it."""
        if self.trying is peer:
            self.trying = None
            if self.is_waiting:  # its connection may have been told of, and came to nothing
                self._on_lost(self)
        if self.peer is not peer:
            return
        self.peer = None
        self.session.detach()
        if self.session.ended.done():
            return
        if reason in RESUMABLE and peer.has_opened and self._resume_seconds > 0:
            self.is_waiting = True
            self._set_timer(self._resume_seconds, lambda: self.finish(reason))
            self._on_lost(self)
        else:
            self.finish(reason)

    def finish(self, reason: str) -> None:
        """Finalise what is open and end; where nobody listens, within :data:`FINISH_TIMEOUT_S`."""
        if self.peer:
            self.peer.play_out()
        self.session.finish(reason)
        if self.peer is None and not self.session.ended.done():
            self._set_timer(FINISH_TIMEOUT_S, lambda: self.session.abort("server_error"))

    def _deliver(self, event: Event) -> None:
        if self.peer:
            self.peer.send(event)

    def _leave(self, _: object) -> None:
        self._cancel_timer()
        self._on_ended(self)

    def _set_timer(self, seconds: float, call: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, call)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
