"""A WebSocket that hears calls: one from any point on, or all of an account from now on.

::

    prepared ──▶ replay: what the log keeps after ``last_seq`` ──▶ live: what is told ──▶ close
                 (paced by its client)                             (1 MiB behind: closed)

It says nothing that counts: all but pings and good-byes is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

from aiohttp import WSMessage, WSMsgType, web

from rtc_stt.events import SessionError
from rtc_stt.token_bucket import TokenBucket
from rtc_stt.wire import encode_event
from signaling.live_socket import CLOSE_TIMEOUT_S, FLUSH_TIMEOUT_S, PING_S, SILENCE_S
from signaling.outbox import Outbox
from signaling.stream_protocol import close_code
from signaling.telephony.call_events import CallEvent, CallLog

__all__ = ["MAX_MESSAGE_BYTES", "CallSocket"]

MAX_MESSAGE_BYTES = 4_096
"""Of one message of the client."""

MESSAGE_RATE, MESSAGE_BURST = 5.0, 20.0
"""Messages of the client that are borne."""

EVENTS_A_GO = 128
"""Events of the log that are sent before others have their turn: about a millisecond."""

MAX_EARLY = 1_000
"""Events that are kept while the upgrade is under way, which takes a moment."""

REPLAY_AHEAD_BYTES = 256 * 1024
REPLAY_TIMEOUT_S = 30.0
"""So much of the log is on its way at a time; and so long may all of it take."""

LOOK_S = 0.02


class CallSocket:
    """A :class:`~signaling.telephony.audience.Listener`.

    Args:
        ws: not prepared yet.
        call_id: of the call that is heard; None: all.
        last_seq: the number of the last event that is known; one that is beyond all that there are: none is
            told that came before.
    """

    def __init__(self, ws: web.WebSocketResponse, call_id: str | None, last_seq: int) -> None:
        self._ws = ws
        self._call_id = call_id
        self._seq = last_seq
        self._early: list[str] = []
        self._is_live = False
        self._outbox: Outbox | None = None
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ping_timer: asyncio.TimerHandle | None = None
        self._heard_at = time.monotonic()
        self._messages = TokenBucket(MESSAGE_RATE, MESSAGE_BURST)

    # ── What it hears ────────────────────────────────────────────────────────────

    def hear(self, call_id: str, event: CallEvent) -> None:
        """See :class:`~signaling.telephony.audience.Listener`. What a call tells before this is live is in
        its log; what all of them tell before the upgrade is done is kept here."""
        if self._is_live and self._outbox:
            self._outbox.put(event.text)
        elif self._call_id is None and len(self._early) < MAX_EARLY:
            self._early.append(event.text)

    def dismiss(self, reason: str) -> None:
        """See :class:`~signaling.telephony.audience.Listener`."""
        if not self._gone.done():
            self._gone.set_result(reason)

    # ── Its life ────────────────────────────────────────────────────────────

    async def run(self, transport: asyncio.WriteTransport, log: CallLog | None, *, is_over: bool) -> None:
        """From the upgrade to the end.

        Args:
            log: of the call; None: it has not begun, or all are heard.
            is_over: whether the call is.
        """
        outbox = self._outbox = Outbox(self._ws, transport, self.dismiss)
        reader = asyncio.get_running_loop().create_task(self._read(), name="call-listener")
        self._ping_later()
        try:
            if log is not None:
                await self._replay(outbox, log)
            for text in self._early:
                outbox.put(text)
            self._early.clear()
            self._is_live = True
            if is_over:
                self.dismiss("ended")
            reason = await self._gone
            await _cancel(reader)  # aiohttp does not wait for the other's good-bye while somebody reads
            await self._close(outbox, reason)
        finally:
            self._is_live = False
            self._outbox = None  # it refers back here: its buffers would wait for the collector
            if self._ping_timer:
                self._ping_timer.cancel()
            await _cancel(reader)
            await outbox.close()

    async def _replay(self, outbox: Outbox, log: CallLog) -> None:
        if not log.has_all_after(self._seq):
            outbox.put(_events_lost(self._call_id))
        deadline = time.monotonic() + REPLAY_TIMEOUT_S
        while not self._has_left and (events := log.after(self._seq, EVENTS_A_GO)):
            for event in events:
                outbox.put(event.text)
                self._seq = event.seq
                if outbox.waiting_bytes > REPLAY_AHEAD_BYTES:
                    break
            await asyncio.sleep(0)
            while outbox.waiting_bytes > REPLAY_AHEAD_BYTES and not self._has_left:
                if time.monotonic() > deadline:
                    self.dismiss("client_does_not_read")
                await asyncio.sleep(LOOK_S)

    @property
    def _has_left(self) -> bool:
        """Whether there is nobody for whom it would be worth while."""
        return self._gone.done() and self._gone.result() != "ended"

    async def _close(self, outbox: Outbox, reason: str) -> None:
        if reason == "call_gone":
            message = "the call that was announced did not come"
            outbox.put(encode_event(SessionError(at_ms=0, code=reason, message=message, fatal=True)))
        try:
            if reason != "client_does_not_read":
                await outbox.flush(FLUSH_TIMEOUT_S)
            await outbox.close()
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await self._ws.close(code=close_code(reason), message=reason.encode())
        except TimeoutError:
            outbox.abort()

    async def _read(self) -> None:
        reason = "closed"
        with contextlib.suppress(ConnectionError):
            while not self._ws.closed:
                message = await self._ws.receive()
                self._heard_at = time.monotonic()
                if ending := self._take(message):
                    reason = ending
                    break
        self.dismiss(reason)

    def _take(self, message: WSMessage) -> str:
        """Take one message; gives the reason where it is the last."""
        match message.type:
            case WSMsgType.CLOSE | WSMsgType.CLOSING | WSMsgType.CLOSED:
                return "closed"
            case WSMsgType.ERROR:
                return "abuse"
        if not self._messages.take(self._heard_at):
            return "abuse"
        if message.type is WSMsgType.PING and self._outbox:
            self._outbox.put(message.data, WSMsgType.PONG)
        return ""

    def _ping(self) -> None:
        if time.monotonic() - self._heard_at > SILENCE_S:
            self.dismiss("closed")
            return
        if self._outbox:
            self._outbox.put(b"", WSMsgType.PING)
        self._ping_later()

    def _ping_later(self) -> None:
        self._ping_timer = asyncio.get_running_loop().call_later(PING_S, self._ping)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _events_lost(call_id: str | None) -> str:
    """A warning that is of this connection only, so it has no number of the call."""
    told = {
        "type": "warning",
        "seq": 0,
        "at_ms": 0,
        "call_id": call_id,
        "code": "events_lost",
        "message": "some events since then are not kept any more",
    }
    return json.dumps(told, separators=(",", ":"))
