"""The sockets of SIP: what comes goes to the user agent, and what that decides is done here.

::

    UDP, TCP ──bytes──▶ UserAgent ──Invited──▶ SipCall.open ──▶ UserAgent.accept ──Send──▶ UDP, TCP
                            ▲ ──Ended──▶ SipCall.ended
                            └── hang_up ◀── the call has ended here

New calls are answered one in a turn of the loop: to open a leg takes a millisecond, and many may come at
once.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rtc_stt.errors import (
    BadRequest,
    ConfigError,
    RtcSttError,
    TooMany,
    Unavailable,
    Unprocessable,
    UnsupportedMedia,
    trace,
)
from rtc_stt.instrument import Instrument
from signaling.media_turn import turn_of_loop
from signaling.telephony.hub import CallHub
from signaling.telephony.settings import Sip
from signaling.telephony.sip.connections import SipConnections
from signaling.telephony.sip.rtp_ports import RtpPorts
from signaling.telephony.sip.sip_call import Exchange, SipCall
from signaling.telephony.sip.sip_line import BY_INFO
from signaling.telephony.sip.user_agent import UserAgent
from signaling.telephony.sip.vocabulary import (
    Confirmed,
    Count,
    Disconnect,
    Effect,
    Ended,
    Flow,
    Invited,
    Pressed,
    Reoffered,
    Send,
)
from signaling.udp import parse_port_range

__all__ = ["Listening", "SipServer", "read_settings"]

log = logging.getLogger(__name__)

TURN_S = 0.002
"""Of one turn of the loop are for datagrams, for media wait meanwhile. One takes up to a millisecond."""

MAX_DATAGRAM = 65_535

MAX_ATTEMPTS = 20
"""To find a port that is free for UDP and TCP, where any will do."""

RECEIVE_BUFFER = 1024 * 1024
"""Of the UDP socket, bytes: what may arrive while the loop is busy."""

FAREWELL_S = 1.0
"""For the answers to our last BYEs."""

PHRASES = {
    400: "Bad Request",
    415: "Unsupported Media Type",
    486: "Busy Here",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Listening:
    """What the settings come to."""

    address: str
    """What stands in Contact and SDP."""
    media_ports: range
    agent: UserAgent
    """As it would be on ``SIP_PORT``."""


def read_settings(settings: Sip) -> Listening:
    """Whether calls can be taken with these settings, short of listening.

    Raises:
        ConfigError: a key of SIP cannot be right.
    """
    address = _public_address(settings)
    ports = parse_port_range(settings.rtp_port_range, "RTP_PORT_RANGE")
    if ports is None or len(ports) < 3:
        raise ConfigError("RTP_PORT_RANGE: pairs of ports are needed, e.g. 20000-21999")
    return Listening(address, ports, _make_agent(settings, address, settings.sip_port))


def _make_agent(settings: Sip, address: str, port: int) -> UserAgent:
    return UserAgent(settings, secrets.token_bytes(32), os.urandom, address=address, port=port)


class SipServer:
    """A user agent with its sockets and calls.

    Args:
        owner: the id of the key whose calls these are.

    Raises:
        ConfigError: see :func:`read_settings`.
    """

    def __init__(self, hub: CallHub, settings: Sip, instrument: Instrument, *, owner: str) -> None:
        self.port = settings.sip_port
        """Where it listens, from :meth:`start` on."""
        self._hub = hub
        self._settings = settings
        self._instrument = instrument
        listening = read_settings(settings)
        self._address = listening.address
        self._exchange = Exchange(
            hub=hub,
            ports=RtpPorts(settings.sip_host, listening.media_ports),
            settings=settings,
            instrument=instrument,
            turn=turn_of_loop(),
            address=self._address,
            owner=owner,
        )
        self._agent = listening.agent
        self._udp: socket.socket | None = None
        self._tcp: asyncio.Server | None = None
        self._connections = SipConnections(self._receive, self._lose, instrument)
        self._timer: asyncio.TimerHandle | None = None
        self._calls: dict[str, SipCall] = {}
        self._waiting: deque[Invited] = deque()

    def __len__(self) -> int:
        """Dialogs of calls that stand."""
        return len(self._calls)

    # ── Its life ────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the address or the port cannot be had.
        """
        for attempt in range(MAX_ATTEMPTS):
            try:
                self._udp = await self._listen()
                break
            except OSError as error:
                if self._settings.sip_port or attempt == MAX_ATTEMPTS - 1:
                    what = os.strerror(error.errno or errno.EADDRINUSE)
                    raise ConfigError(
                        f"cannot listen for SIP on {self._settings.sip_host}:{self._settings.sip_port} "
                        f"({what}): choose another SIP_PORT"
                    ) from error
        if self.port != self._settings.sip_port:
            self._agent = _make_agent(self._settings, self._address, self.port)
        assert self._udp
        asyncio.get_running_loop().add_reader(self._udp, self._read)
        log.info("SIP is listened for on port %d, UDP and TCP", self.port)

    async def _listen(self) -> socket.socket:
        """The socket of UDP, and TCP on the same port."""
        host = self._settings.sip_host
        udp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            udp.bind((host, self._settings.sip_port))
            port = udp.getsockname()[1]
            self._tcp = await asyncio.get_running_loop().create_server(self._connections.make, host, port)
        except BaseException:
            udp.close()
            raise
        self.port = port
        return udp

    async def stop(self) -> None:
        """Say BYE to whoever is left, and close."""
        now = time.monotonic()
        self._waiting.clear()
        for dialog, call in list(self._calls.items()):
            call.end("drained")
            self._perform(self._agent.hang_up(dialog, "drained", now))
        deadline = now + FAREWELL_S
        while not self._agent.is_idle and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._timer:
            self._timer.cancel()
        if self._udp:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
            self._udp = None
        if self._tcp:
            self._tcp.close()
            self._connections.close()
            await self._tcp.wait_closed()

    def release(self, dialog: str, reason: str) -> None:
        """See :class:`~.sip_call.Host`."""
        if self._calls.pop(dialog, None):
            self._perform(self._agent.hang_up(dialog, reason, time.monotonic()))

    # ── In ────────────────────────────────────────────────────────────

    def _read(self) -> None:
        assert self._udp
        now = time.monotonic()
        while time.monotonic() < now + TURN_S:
            try:
                data, source = self._udp.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # ICMP says that somebody is not there
                continue
            self._receive(data, Flow("udp", source[0], source[1]), now)

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        try:
            self._perform(self._agent.receive(data, flow, now))
        except Exception as error:
            log.error("a SIP message could not be handled: %s", trace(error))
            self._instrument.phone_refused("broken")

    def _lose(self, flow: Flow, now: float) -> None:
        self._perform(self._agent.connection_lost(flow, now))

    def _ring(self) -> None:
        self._timer = None
        self._perform(self._agent.handle_timer(time.monotonic()))

    # ── What the user agent decides ────────────────────────────────────────────────────

    def _perform(self, effects: Iterable[Effect]) -> None:
        """Do all of it, in order, and what follows from it."""
        todo = deque(effects)
        while todo:
            effect = todo.popleft()
            match effect:
                case Send():
                    self._send(effect.flow, effect.data)
                case Invited():
                    self._waiting.append(effect)
                    if len(self._waiting) == 1:
                        asyncio.get_running_loop().call_soon(self._answer_next)
                case Reoffered():
                    todo.extend(self._reoffer(effect))
                case Confirmed():
                    self._confirm(effect)
                case Ended():
                    self._end(effect)
                case Pressed() if call := self._calls.get(effect.dialog):
                    call.press(BY_INFO, effect.digit, effect.duration_ms)
                case Count():
                    self._instrument.phone_refused(effect.reason)
                case Disconnect():
                    self._connections.disconnect(effect.flow)
        self._set_timer()

    def _set_timer(self) -> None:
        deadline = self._agent.next_deadline()
        if deadline is None or (self._timer and self._timer.when() <= deadline):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _send(self, flow: Flow, data: bytes) -> None:
        if flow.transport != "udp":
            self._connections.send(flow, data)
        elif self._udp:
            try:
                self._udp.sendto(data, (flow.address, flow.port))
            except OSError as error:  # what matters is sent again
                log.debug("a SIP message could not be sent: %s", error.strerror)

    # ── Calls ────────────────────────────────────────────────────────────

    def _answer_next(self) -> None:
        """Answer the INVITE that has waited longest."""
        if not self._waiting:
            return
        invited = self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_next)
        call = SipCall(invited.dialog, invited.invitation, self._exchange, self)
        effects, is_taken = self._try(invited.dialog, lambda: self._open(call))
        if is_taken:
            self._calls[invited.dialog] = call
        self._perform(effects)

    def _open(self, call: SipCall) -> bytes:
        if len(self._hub) >= self._hub.settings.max_calls:
            self._instrument.phone_refused("full")
            raise TooMany("all calls are taken")
        return call.open()

    def _reoffer(self, effect: Reoffered) -> list[Effect]:
        call = self._calls.get(effect.dialog)
        if call is None:
            return self._agent.reject(effect.dialog, 500, PHRASES[500], time.monotonic())
        return self._try(
            effect.dialog, lambda: call.reoffer(effect.body, effect.content_type, effect.content_parameters)
        )[0]

    def _try(self, dialog: str, describe: Callable[[], bytes]) -> tuple[list[Effect], bool]:
        """Accept with a description, or say in the words of SIP why there is none."""
        now = time.monotonic()
        try:
            return self._agent.accept(dialog, describe(), now), True
        except RtcSttError as error:
            code, retry_after = _refusal(error)
            log.info("a call was refused with %d: %s", code, error)
        except Exception as error:
            code, retry_after = 500, None
            log.error("a call could not be taken: %s", trace(error))
        return self._agent.reject(dialog, code, PHRASES[code], now, retry_after), False

    def _confirm(self, effect: Confirmed) -> None:
        if call := self._calls.get(effect.dialog):
            try:
                call.confirm(effect.body, effect.content_type, {})
            except RtcSttError as error:
                log.info("a call is ended, its answer cannot be used: %s", error)
                call.end("bad_answer")

    def _end(self, effect: Ended) -> None:
        self._waiting = deque(one for one in self._waiting if one.dialog != effect.dialog)
        if call := self._calls.pop(effect.dialog, None):
            call.ended(effect.reason)


def _refusal(error: RtcSttError) -> tuple[int, int | None]:
    """The status of SIP for an error, and what Retry-After says (RFC 3261 §21)."""
    match error:
        case Unprocessable():
            return 488, None
        case UnsupportedMedia():
            return 415, None
        case BadRequest():
            return 400, None
        case TooMany():
            return 486, None
        case Unavailable():
            return 503, error.retry_after_s
    return 500, None


def _public_address(settings: Sip) -> str:
    """What stands in Contact and SDP.

    Raises:
        ConfigError: it is no address that others could use.
    """
    key = "SIP_PUBLIC_IP" if settings.sip_public_ip else "SIP_HOST"
    try:
        address = ipaddress.ip_address(settings.sip_public_ip or settings.sip_host)
    except ValueError:
        raise ConfigError(f"{key}: it should be an IP address") from None
    if address.is_unspecified:
        raise ConfigError("SIP_HOST listens on every address: say with SIP_PUBLIC_IP which one others use")
    return str(address)
