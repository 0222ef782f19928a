"""Who is connected: sessions, attached or waiting for their client, and the connections that carry them."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rtc_stt.config import change_stream_options
from rtc_stt.decoding import Decoder
from rtc_stt.errors import NotFound, SessionGone, Unavailable, trace
from rtc_stt.events import Event
from rtc_stt.handover import Handover
from rtc_stt.session import Session, Speech
from signaling.calls import Call, Connected, Fragment, Health, Keeper, Meter, Resume, Watcher
from signaling.dialects.dialect import Beginning
from signaling.line import Carrier, Line, ResumingCarrier
from signaling.peer import Peer
from signaling.settings import Server, WebRtc
from signaling.shared.record import TAIL_MARK, digest, session_of

__all__ = ["Registry"]

C = TypeVar("C", bound=Carrier)
R = TypeVar("R", bound=ResumingCarrier)

log = logging.getLogger(__name__)

METER_S = 5.0
"""Between two tellings of how much audio a session has had."""

SPEAKING_SHARE = 1 / 3
"""Of the time of a drain, to come to the end of an utterance; the rest is for the finals, and for the clients
to take them."""

SHEET_S = 1.0
"""Between two tellings how far a session is."""

SHARES = 8
"""Of the sessions, told of by turns: to tell of hundreds at once takes as long as some packets may wait."""

LOOK_S = 0.02
"""Between two looks who has."""

REMEMBER_S, MAX_REMEMBERED = 600.0, 4_096
"""How long, and how many, connections that have ended are known: to end one again is no error."""


class Registry:
    """Implements :class:`~signaling.calls.Host` for the sessions of this process.

    Args:
        speech: what all sessions share.
        name: of this process, where there are several; ids and tokens begin with it.
        node: gives the name of this gateway, where it has one; they begin with that first.
    """

    def __init__(
        self,
        speech: Speech,
        server: Server,
        webrtc: WebRtc,
        *,
        name: str = "",
        node: Callable[[], str] = lambda: "",
    ) -> None:
        self.watch: Watcher | None = None
        self.meter: Meter | None = None
        self.keeper: Keeper | None = None
        self.draining = False
        self._speech = speech
        self._server = server
        self._webrtc = webrtc
        self._name = f"{name}-" if name else ""
        self._node = node
        self._lines: dict[str, Line] = {}  # by resume token
        self._peers: dict[str, tuple[Line, Carrier]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._metering: asyncio.TimerHandle | None = None  # while there are sessions
        self._telling: asyncio.TimerHandle | None = None  # likewise
        self._share = 0
        self._answering = 0
        self._past: OrderedDict[str, tuple[float, str]] = OrderedDict()  # by peer id: when it ended, token

    def __len__(self) -> int:
        """Sessions, those included that wait for their client or for their first answer."""
        return len(self._lines) + self._answering

    @property
    def pool(self) -> Decoder:
        """What decodes for all of them."""
        return self._speech.pool

    def health(self) -> Health:
        """See :class:`~signaling.calls.Host`."""
        return Health(
            ready=self.pool.is_ready and not self.draining,
            sessions=len(self),
            load=self.pool.step.name.lower(),
            troubles=tuple(self.pool.troubles),
            draining=self.draining,
        )

    # ── Calls ────────────────────────────────────────────────────────────

    async def connect(self, call: Call) -> Connected:
        """Answer an offer. See :class:`~signaling.calls.Host`."""
        line = self._find(call.resume) if call.resume else None
        if line is None:
            self.check_admission()
            return await self._begin(call)
        assert call.resume
        return await self._resume(call, call.resume, line)

    def _find(self, resume: Resume) -> Line:
        line = self._lines.get(resume.token)
        if line is None or not line.may_resume:
            raise SessionGone("the session has ended, or there never was one: begin a new one")
        return line

    def check_admission(self) -> None:
        """Whether a new session may begin now.

        Raises:
            Unavailable: it may not.
        """
        if self.draining:
            raise self._refusal("draining", "the server is shutting down; connect again in a moment")
        if not self.pool.is_ready:
            raise self._refusal("unhealthy", f"{', '.join(self.pool.troubles)}; try again later")
        if not self.pool.accepts_sessions:
            raise self._refusal("load", "the server has as much to do as it can; try again later")

    def check_options(self, changes: Mapping[str, object]) -> list[str]:
        """What would be wrong with the options of a ``configure``; nothing where all is right."""
        options = self._speech.options
        return change_stream_options(options, options, changes, self.pool.languages)[1]

    def _refusal(self, reason: str, message: str) -> Unavailable:
        self._speech.instrument.session_refused(reason)
        return Unavailable(message)

    async def _begin(self, call: Call) -> Connected:
        line = self._make_line("webrtc")
        peer = self._make_peer(line, call.beginning, is_live=True)
        self._answering += 1
        try:
            answer = await self._answer(peer, call.sdp)
        finally:
            self._answering -= 1
        if self.draining:
            await peer.close(flush=False)
            raise self._refusal("draining", "the server is shutting down; connect again in a moment")
        self._keep(line)
        line.start(peer)
        self._carry(line, peer)
        return Connected(peer.id, line.session.id, answer)

    def _make_line(self, transport: str, token: str | None = None, handover: Handover | None = None) -> Line:
        session_id = (session_of(token) if token else None) or self._prefix + secrets.token_urlsafe(9)

        def make_session(deliver: Callable[[Event], None]) -> Session:
            return Session(
                self._speech,
                deliver,
                transport=transport,
                limits={
                    "max_sessions": self._server.max_sessions,
                    "resume_seconds": round(self._webrtc.resume_seconds),
                },
                session_id=session_id,
                resume_token=token or self._draw_token(session_id),
                handover=handover,
            )

        line = Line(
            make_session,
            self._webrtc.resume_seconds,
            on_lost=lambda line: self._tell(line, "lost"),
            on_ended=self._let_go,
        )
        if self.keeper:
            self.keeper.began(session_id, digest(line.session.resume_token), transport)
            line.session.witness = None if not self.keeper.hears else _Witness(session_id, self.keeper)
        return line

    @property
    def _prefix(self) -> str:
        node = self._node()
        return f"{node}.{self._name}" if node else self._name

    def _draw_token(self, session_id: str) -> str:
        """Where gateways have names, a token tells whose session it is of."""
        secret = secrets.token_urlsafe(24)
        return f"{session_id}{TAIL_MARK}{secret}" if self._node() else self._prefix + secret

    def _keep(self, line: Line) -> None:
        """One of this process, from now on."""
        self._lines[line.session.resume_token] = line
        if self.keeper and self._telling is None:
            self._tell_sheets()

    async def adopt(self, token: str, handover: Handover, transport: str = "webrtc") -> None:
        """Go on with a session of another gateway. See :class:`~signaling.calls.Host`."""
        self.check_admission()
        line = self._make_line(transport, token, handover)
        self._keep(line)
        line.wait_for_client(handover.position)
        self._tell(line, "lost")

    async def _resume(self, call: Call, resume: Resume, line: Line) -> Connected:
        peer = self._make_peer(
            line, call.beginning, is_live=False, on_open=lambda peer: line.take_over(peer, resume.last_seq)
        )
        answer = await self._answer(peer, call.sdp)
        if not line.may_resume:
            await peer.close(flush=False)
            raise SessionGone("the session has just ended: begin a new one")
        line.try_again(peer)
        self._carry(line, peer)
        return Connected(peer.id, line.session.id, answer)

    def _make_peer(
        self,
        line: Line,
        beginning: Beginning,
        *,
        is_live: bool,
        on_open: Callable[[Peer], None] | None = None,
    ) -> Peer:
        return Peer(
            self._new_id(),
            session=line.session,
            figures=line.figures,
            instrument=self._speech.instrument,
            local=self._server.is_loopback,
            is_live=is_live,
            on_connected=lambda _: self._tell(line, "connected"),
            on_open=on_open or (lambda _: None),
            beginning=beginning,
        )

    async def _answer(self, peer: Peer, sdp: str) -> str:
        try:
            return await peer.answer(sdp)
        except Unavailable:
            self._speech.instrument.session_refused("ports")
            raise

    def _carry(self, line: Line, peer: Carrier) -> None:
        self._peers[peer.id] = line, peer
        task = asyncio.get_running_loop().create_task(
            self._see_out(line, peer), name=f"peer-{line.session.id}"
        )
        self._tasks[peer.id] = task

    async def _see_out(self, line: Line, peer: Carrier) -> None:
        """Be with a connection to its end."""
        reason = None
        self._metering = self._metering or self._after_meter()
        try:
            reason = await peer.wait()
        finally:
            peer.stop()
            line.part(peer, reason or "server_error")
            try:
                await peer.close(flush=reason is None)
            except Exception as error:
                line.session.log.at(__name__).error("a connection could not be closed: %s", trace(error))
            del self._peers[peer.id], self._tasks[peer.id]
            self._remember(peer.id, line)

    # ── WebSockets and phones ────────────────────────────────────────────────────────────

    def carry(self, make: Callable[[str, Line], C], *, transport: str = "websocket") -> tuple[C, Session]:
        """Let a WebSocket that stands, or a leg of a phone call, carry a new session.

        Args:
            make: makes the carrier, given its id and what it is to carry.
            transport: what its audio comes by, for metrics.

        Raises:
            Unavailable: overloaded, out of order, or draining.
        """
        self.check_admission()
        line = self._make_line(transport)
        carrier = make(self._new_id(), line)
        self._keep(line)
        line.start(carrier)
        self._carry_standing(line, carrier)
        return carrier, line.session

    def resume(self, make: Callable[[str, Line], R], resume: Resume) -> tuple[R, Session]:
        """Let a WebSocket that stands carry the session that it resumes.

        Args:
            make: see :meth:`carry`.

        Raises:
            SessionGone: there is nothing to resume.
        """
        line = self._find(resume)
        carrier = make(self._new_id(), line)
        line.try_again(carrier)
        line.take_over(carrier, resume.last_seq)
        self._carry_standing(line, carrier)
        return carrier, line.session

    def _carry_standing(self, line: Line, carrier: Carrier) -> None:
        self._carry(line, carrier)
        # Later: the door is to hear first whose session it is.
        asyncio.get_running_loop().call_soon(self._tell, line, "connected")

    def _new_id(self) -> str:
        """Of a connection: who knows it may end the session."""
        return self._prefix + secrets.token_urlsafe(16)

    # ── Connections that stand ────────────────────────────────────────────────────────────

    async def trickle(self, peer_id: str, fragment: Fragment) -> None:
        """Add candidates. See :class:`~signaling.calls.Host`."""
        await self._peer(peer_id).trickle(fragment)

    async def renegotiate(self, peer_id: str, sdp: str) -> Connected:
        """Answer a further offer. See :class:`~signaling.calls.Host`."""
        peer = self._peer(peer_id)
        return Connected(peer_id, peer.session.id, await peer.renegotiate(sdp))

    def _peer(self, peer_id: str) -> Peer:
        _, peer = self._peers.get(peer_id, (None, None))
        if not isinstance(peer, Peer):
            raise NotFound("there is no such connection, or it has ended")
        return peer

    def knows(self, peer_id: str) -> bool:
        """Whether a connection is, or was not long ago, one of this process."""
        return peer_id in self._peers or peer_id in self._past

    async def disconnect(self, peer_id: str) -> None:
        """End the session of a connection. See :class:`~signaling.calls.Host`.

        While another connection carries the session, only this one ends: a page that was left may say its
        good-bye after the next one has taken over.
        """
        if peer_id in self._peers:
            line, peer = self._peers[peer_id]
            if line.peer is not peer:
                peer.drop("deleted")
        elif peer_id in self._past:
            _, token = self._past[peer_id]
            if token not in self._lines:
                return
            line = self._lines[token]
        else:
            raise NotFound("there is no such connection, or it has ended")
        if line.peer is None or line.peer.id == peer_id:
            line.finish("deleted")

    def expel(self, session_id: str, code: str, message: str) -> None:
        """End a session with a fatal error. See :class:`~signaling.calls.Host`."""
        for line in list(self._lines.values()):
            if line.session.id == session_id:
                line.session.expel(code, message)

    # ── What they hear ────────────────────────────────────────────────────────────

    def _after_meter(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(METER_S, self._read_meters)

    def _read_meters(self) -> None:
        self._metering = self._after_meter() if self._lines else None
        for line in list(self._lines.values()):
            self._read_meter(line)

    def _read_meter(self, line: Line) -> None:
        seconds = line.take_heard_s()
        if seconds and self.meter:
            self.meter(line.session.id, seconds)

    # ── How far they are ────────────────────────────────────────────────────────────

    def _tell_sheets(self) -> None:
        self._telling = None
        if self.keeper and self._lines:
            self._share = (self._share + 1) % SHARES
            sessions = [line.session for line in self._lines.values()]
            sheets = {one.id: one.sheet for one in sessions if hash(one.id) % SHARES == self._share}
            if sheets:
                self.keeper.sheets(sheets)
            self._telling = asyncio.get_running_loop().call_later(SHEET_S / SHARES, self._tell_sheets)

    # ── The end ────────────────────────────────────────────────────────────

    async def drain(self, seconds: float) -> None:
        """Admit nobody and see all out. See :class:`~signaling.calls.Host`."""
        self.draining = True
        lines = list(self._lines.values())
        deadline = time.monotonic() + seconds
        await self._finish_in_silence(lines, seconds * SPEAKING_SHARE)
        await self._wait_for([line.session.ended for line in lines], deadline - time.monotonic())
        late = [line for line in lines if not line.session.ended.done()]
        if late:
            log.warning("%d sessions did not end in time", len(late))
            for line in late:
                line.session.abort("drained")
        # What the sessions have told is now on its way; that takes the peers a moment, also when time is up.
        await self._wait_for(list(self._tasks.values()), max(5.0, deadline - time.monotonic()))

    async def _finish_in_silence(self, lines: list[Line], seconds: float) -> None:
        """Let each end when its speaker has come to the end of an utterance, so that no word is cut in two;
        all when the time is up. Where nobody is there to speak on, there is nothing to wait for.
        """
        for line in lines:
            line.session.warn("draining", "the server is shutting down")
        deadline = time.monotonic() + seconds
        speaking = lines
        while speaking and time.monotonic() < deadline:
            for line in speaking:
                if line.peer is None or line.session.is_silent:
                    line.finish("drained")
            speaking = [line for line in speaking if not line.session.is_ending]
            if speaking:
                await asyncio.sleep(LOOK_S)
        for line in speaking:
            line.finish("drained")

    async def _wait_for(self, what: list[asyncio.Future[Any]], seconds: float) -> None:
        if what:
            await asyncio.wait(what, timeout=seconds)

    def _let_go(self, line: Line) -> None:
        del self._lines[line.session.resume_token]
        self._read_meter(line)
        self._tell(line, "ended")

    def _tell(self, line: Line, what: str) -> None:
        if self.watch:
            self.watch(line.session.id, what)

    def _remember(self, peer_id: str, line: Line) -> None:
        now = time.monotonic()
        self._past[peer_id] = now, line.session.resume_token
        while self._past:
            ended_at, _ = self._past[next(iter(self._past))]
            if len(self._past) <= MAX_REMEMBERED and now - ended_at < REMEMBER_S:
                break
            self._past.popitem(last=False)


class _Witness:
    """Hands on what one session tells. A :class:`rtc_stt.delivery.Witness`."""

    def __init__(self, session_id: str, keeper: Keeper) -> None:
        self._session_id, self._keeper = session_id, keeper

    def told(self, event: Event) -> None:
        self._keeper.told(self._session_id, event)

    def acknowledged(self, seq: int) -> None:
        self._keeper.acknowledged(self._session_id, seq)
