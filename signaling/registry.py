"""Who is connected: admits peers up to the limit, runs each in a task, and sees them all out."""

from __future__ import annotations

import asyncio
import logging

from rtc_stt.errors import NotFound, Unavailable, Unprocessable
from rtc_stt.session import Speech
from signaling.calls import Call, Connected, Fragment, Health, Watcher
from signaling.peer import Peer
from signaling.settings import Server, WebRtc

__all__ = ["Registry"]

log = logging.getLogger(__name__)


class Registry:
    """Owns every peer from its offer to its end."""

    def __init__(self, speech: Speech, server: Server, webrtc: WebRtc) -> None:
        self._speech = speech
        self._max_sessions = server.max_sessions
        self._peers: dict[str, Peer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._answering = 0  # admitted, no answer yet
        self.draining = False
        self.watch: Watcher | None = None

    def __len__(self) -> int:
        return len(self._peers) + self._answering

    def health(self) -> Health:
        """See :class:`~signaling.calls.Host`."""
        pool = self._speech.pool
        return Health(pool.is_ready, len(self), pool.step.name.lower(), tuple(pool.troubles), self.draining)

    async def trickle(self, peer_id: str, fragment: Fragment) -> None:
        """Not offered yet."""
        raise Unprocessable("candidates are taken with the offer only")

    async def renegotiate(self, peer_id: str, sdp: str) -> Connected:
        """Not offered yet."""
        raise Unprocessable("renegotiation is not offered: send restart_pc: true for a new connection")

    async def connect(self, call: Call) -> Connected:
        """Admit a client: the peer and its answer.

        Raises:
            Unavailable: overloaded, out of order, or draining.
            BadRequest, Unprocessable: see :meth:`Peer.answer`.
        """
        self._check_admission()
        self._answering += 1
        try:
            peer = Peer(self._speech, max_sessions=self._max_sessions)
            answer = await peer.answer(call.sdp)
            self._peers[peer.id] = peer
        finally:
            self._answering -= 1
        task = asyncio.get_running_loop().create_task(peer.run(), name=f"peer-{peer.session.id}")
        self._tasks[peer.id] = task
        task.add_done_callback(lambda done: self._forget(peer, done))
        if self.watch:
            self.watch(peer.session.id, "connected")
        return Connected(peer.id, peer.session.id, answer)

    def _check_admission(self) -> None:
        if self.draining:
            raise self._refusal("draining", "the server is shutting down; connect again in a moment")
        pool = self._speech.pool
        if not pool.is_ready:
            raise self._refusal("unhealthy", f"{', '.join(pool.troubles)}; try again later")
        if not pool.accepts_sessions:
            raise self._refusal("load", "the server has as much to do as it can; try again later")

    def _refusal(self, reason: str, message: str) -> Unavailable:
        self._speech.instrument.session_refused(reason)
        return Unavailable(message)

    async def disconnect(self, peer_id: str) -> None:
        """End a session.

        Raises:
            NotFound: there is no such session, or it has ended.
        """
        peer = self._peers.get(peer_id)
        if peer is None:
            raise NotFound("there is no such session, or it has ended")
        peer.close("deleted")

    async def drain(self, seconds: float) -> None:
        """Admit nobody, let every open utterance have its final, and end all sessions.

        What has not ended after ``seconds`` is aborted.
        """
        self.draining = True
        tasks = list(self._tasks.values())
        for peer in self._peers.values():
            peer.session.warn("draining", "the server is shutting down")
            peer.close("drained")
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        if late:
            log.warning("%d sessions did not end in time", len(late))
            for peer in list(self._peers.values()):
                peer.session.abort("drained")
            await asyncio.wait(late)

    def _forget(self, peer: Peer, done: asyncio.Task[None]) -> None:
        del self._peers[peer.id], self._tasks[peer.id]
        if self.watch:
            self.watch(peer.session.id, "ended")
        if not done.cancelled() and (error := done.exception()):
            log.error("a peer ended with an error", exc_info=error)
