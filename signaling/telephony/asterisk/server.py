"""AudioSocket: the TCP port that Asterisk connects to, once for each call.

::

    Asterisk ──TCP──▶ a name within 5 s ──▶ registered? ──▶ call, one leg ──▶ audio, keys
             ◀── 00 ── unknown, no room, or the call has ended here

Who is refused is answered by a hang-up, never by ``ff``: Asterisk takes an error for the end of its channel,
and the caller would be cut off; after a hang-up the dial plan goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable

from rtc_stt.errors import ClientError, ConfigError, Unavailable, trace
from rtc_stt.events import Event
from signaling.stream_audio import StreamAudio
from signaling.stream_protocol import Flow
from signaling.telephony.asterisk.conversation import (
    Act,
    Conversation,
    Hear,
    Identified,
    Mislabelled,
    Over,
    Pressed,
)
from signaling.telephony.asterisk.frames import HANG_UP
from signaling.telephony.asterisk.waiting_room import ID_TIMEOUT_S, WaitingRoom
from signaling.telephony.call import Call
from signaling.telephony.call_source import CALLER
from signaling.telephony.hub import CallHub
from signaling.telephony.leg import Leg

__all__ = ["AudioSocketServer"]

log = logging.getLogger(__name__)

READ_BYTES = 2_048
"""What is worked off in one go: 3 ms of the loop's time at most, whatever is in it."""

MAX_BACKLOG_S = 4.0
"""Audio that waits for the detector; while there is more, nothing is read. Live audio never gets there."""

LOOK_S = 0.02
"""Between two looks whether there is less."""

IDLE_S, FILL_S = 1.0, 0.5
"""A PBX that has sent nothing for so long sends silence (a caller on hold, say), which is put on the leg so
often."""

LINGER_S = 1.0
"""For Asterisk to close after a hang-up. Who closes first while audio is coming in resets the connection, and
Asterisk may never read the hang-up."""

KEEPALIVE_S, KEEPALIVE_EVERY_S, KEEPALIVE_TRIES = 20, 10, 4
"""A PBX that lost its power is noticed within a minute (``tcp(7)``)."""


class AudioSocketServer:
    """See above.

    Args:
        hub: knows the calls that are expected.
        host, port: where to listen; port 0: any that is free.
    """

    def __init__(self, hub: CallHub, host: str, port: int) -> None:
        self._hub = hub
        self._host, self._port = host, port
        self._waiting = WaitingRoom()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._listener: asyncio.Server | None = None

    def __len__(self) -> int:
        """Connections."""
        return len(self._open)

    async def start(self) -> int:
        """Take connections; gives the port.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        try:
            self._listener = await asyncio.start_server(
                self._serve, self._host, self._port, limit=READ_BYTES, backlog=256
            )
        except OSError as error:
            raise ConfigError(
                f"AUDIOSOCKET_PORT: cannot listen on {self._host}:{self._port} ({error.strerror})"
            ) from error
        port = int(self._listener.sockets[0].getsockname()[1])
        log.info("AudioSocket on port %d", port)
        return port

    async def close(self) -> None:
        """Take no more, and let go of what is left; calls have been seen out before."""
        if self._listener:
            self._listener.close()
        for writer in self._open.values():
            writer.transport.abort()
        if self._open:
            await asyncio.wait(list(self._open))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._open[task] = writer
        try:
            await self._take(reader, writer)
        except OSError:
            pass  # the connection is gone, and with it who could be told
        except Exception as error:
            log.error("a connection of AudioSocket failed: %s", trace(error))
        finally:
            writer.transport.abort()
            del self._open[task]

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        if reason := self._waiting.enter(address, time.monotonic()):
            self._hub.instrument.phone_refused(reason)
            return
        try:
            _keep_alive(writer.get_extra_info("socket"))
            connection = _Connection(self._hub, reader, writer)
            has_begun = await connection.begin()
        finally:
            self._waiting.leave(address)
        if has_begun:
            await connection.carry()
        else:
            await connection.refuse()


class _Connection:
    """A :class:`~signaling.telephony.call_source.CallSource`: one connection, one call, one leg."""

    def __init__(self, hub: CallHub, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hub = hub
        self._reader, self._writer = reader, writer
        self._talk = Conversation()
        self._flow = Flow()
        self._counted = 0  # frames that have been held against its pace
        self._early: list[Act] = []  # what came together with the name
        self._audio: StreamAudio | None = None
        self._call: Call | None = None
        self._leg: Leg | None = None
        self._idle_since: float | None = None  # while nothing is there to be read
        self._timer: asyncio.TimerHandle | None = None
        self._has_hung_up = False

    # ── What the call does (see call_source.CallSource) ───────────────────────────────────────────

    def tell(self, leg: str, event: Event) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`: the protocol has no way back."""

    def play_out(self) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`: nothing waits here."""

    def hang_up(self, reason: str) -> None:
        """See :class:`~signaling.telephony.call_source.CallSource`."""
        if self._has_hung_up:
            return
        self._has_hung_up = True
        transport = self._writer.transport
        if not transport.is_closing():
            with contextlib.suppress(OSError):  # it has gone
                transport.write(HANG_UP)
                transport.write_eof()
        self._after(LINGER_S, transport.abort)

    # ── Its life ────────────────────────────────────────────────────────────

    async def begin(self) -> bool:
        """Find out which call this is, and begin it; whether that came about."""
        refused = self._hub.instrument.phone_refused
        try:
            async with asyncio.timeout(ID_TIMEOUT_S):
                identified = await self._read_name()
        except TimeoutError:
            refused("no_start")
            return False
        if identified is None:
            refused("malformed")
            return False
        registration = self._hub.claim(str(identified.id))
        if registration is None:
            refused("unknown_call")
            return False
        try:
            self._call = self._hub.begin(registration.details, self, call_id=registration.call_id)
            self._leg = self._call.add_leg(CALLER)
        except (ClientError, Unavailable):  # counted where it arose
            if self._call:
                self._call.end("no_room")
            return False
        return True

    async def _read_name(self) -> Identified | None:
        while not self._early and (data := await self._reader.read(READ_BYTES)):
            self._early = self._talk.receive(data)
        first = self._early.pop(0) if self._early else None
        return first if isinstance(first, Identified) else None

    async def refuse(self) -> None:
        """Say that there is nothing to talk to."""
        self.hang_up("refused")
        await self._ignore()

    async def carry(self) -> None:
        """Until the call has ended, whoever ends it."""
        assert self._call
        reason = "server_error"
        self._after(FILL_S, self._fill)
        try:
            await self._do(self._early)
            while not self._call.is_over:
                await self._hold_back()
                self._idle_since = time.monotonic()
                data = await self._reader.read(READ_BYTES)
                self._idle_since = None
                await self._do(self._talk.receive(data) if data else self._talk.finish())
        except OSError:
            reason = "connection_lost"
        finally:
            self._call.end(reason)
        await self._call.ended
        await self._ignore()

    async def _hold_back(self) -> None:
        """Where frames come too fast, whatever is in them, the next are not read for a while."""
        fresh, self._counted = self._talk.frames - self._counted, self._talk.frames
        if wait_s := self._flow.wait_s(0.0, time.monotonic(), messages=fresh):
            await asyncio.sleep(wait_s)

    async def _ignore(self) -> None:
        """What still comes, until the other side closes or the time for it is up."""
        try:
            while await self._reader.read(READ_BYTES):
                pass
        finally:
            if self._timer:
                self._timer.cancel()

    # ── What it says ────────────────────────────────────────────────────────────

    async def _do(self, acts: list[Act]) -> None:
        assert self._call
        for act in acts:
            if self._call.is_over:
                return
            match act:
                case Hear():
                    await self._hear(act)
                case Pressed(digit):
                    self._call.digit(CALLER, digit)
                case Mislabelled(encoding):
                    self._call.warn(
                        "audio_mislabelled",
                        f"AudioSocket labels this audio signed linear, and it is {encoding}, as which it is "
                        "read: put c(slin) into the dial string",
                        leg=CALLER,
                    )
                case Over(reason):
                    self._call.end(reason)

    async def _hear(self, act: Hear) -> None:
        assert self._call
        assert self._leg
        if wait_s := self._flow.wait_s(len(act.data) / act.form.bytes_per_second, time.monotonic()):
            await asyncio.sleep(wait_s)
        while self._leg.backlog_s > MAX_BACKLOG_S and not self._call.is_over:
            await asyncio.sleep(LOOK_S)
        if self._audio is None:
            self._leg.begin_now()
        if self._audio is None or self._audio.form != act.form:
            self._audio = StreamAudio(act.form)
        self._leg.receive_audio(self._audio.push(act.data))

    # ── Now and then ────────────────────────────────────────────────────────────

    def _fill(self) -> None:
        """Silence in place of what is not sent, so that the leg stays on the call's clock."""
        assert self._leg
        now = time.monotonic()
        if self._idle_since is not None and now - self._idle_since >= IDLE_S:
            self._leg.receive_silence(self._leg.clock.behind(now))
        self._after(FILL_S, self._fill)

    def _after(self, seconds: float, call: Callable[[], object]) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, call)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_TRIES)
