"""The worker's end of the link: obeys the front's calls on the host of this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from rtc_stt.errors import ClientError, RtcSttError, trace
from rtc_stt.logs import bind
from signaling.calls import Host
from signaling.workers import figures
from signaling.workers.frames import BadFrame, Frame
from signaling.workers.handovers import Teller, handover_from
from signaling.workers.link import Link
from signaling.workers.messages import (
    call_from,
    connected_to,
    error_to,
    fragment_from,
)
from signaling.workers.remote_pool import RemotePool

__all__ = ["STATUS_S", "Service"]

log = logging.getLogger(__name__)

STATUS_S = 1.0
"""Between two signs of life."""


class Service:
    """Called on the event loop only.

    Args:
        host: carries the sessions.
        pool: takes what is meant for it.
        link: to the front.
        registry: the metrics of this process.
    """

    def __init__(self, host: Host, pool: RemotePool, link: Link, registry: CollectorRegistry) -> None:
        self.stopped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done, with a reason, when the front wants this process to end."""
        self._host = host
        self._pool = pool
        self._link = link
        self._registry = registry
        self._tasks: set[asyncio.Task[None]] = set()
        host.watch = self._tell_watcher
        host.meter = self._tell_meter
        self._show_life()

    def receive(self, frame: Frame) -> None:
        """Take a message of the front.

        Raises:
            BadFrame: it cannot be understood.
        """
        if self._pool.receive(frame):
            return
        match frame.header:
            case {"type": "call", "id": int(number), "method": str(method), "fields": dict(fields)}:
                task = asyncio.get_running_loop().create_task(self._answer(number, method, fields))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case {"type": "expel", "session_id": str(session_id), "code": str(code), "message": str(message)}:
                self._host.expel(session_id, code, message)
            case {"type": "keep", "events": bool(hears)}:
                self._host.keeper = Teller(self._link.send, hears=hears)
            case {"type": "end"}:
                self.stop("the front wants it")
            case _:
                raise BadFrame(f"the front says {frame.type}")

    def stop(self, reason: str) -> None:
        """The end of this process."""
        if not self.stopped.done():
            self.stopped.set_result(reason)

    async def aclose(self) -> None:
        """Give up the calls that are not answered yet."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _answer(self, number: int, method: str, fields: dict[str, Any]) -> None:
        reply: dict[str, Any]
        try:
            reply = {"result": await _METHODS[method](self, fields)}
        except Exception as error:
            if not isinstance(error, RtcSttError):
                log.error("%s failed: %s", method, trace(error))
            elif not isinstance(error, ClientError):
                log.info("%s is refused: %s", method, error)
            reply = {"error": error_to(error)}
        self._link.send({"type": "reply", "id": number, **reply})

    async def _connect(self, fields: dict[str, Any]) -> dict[str, Any]:
        call = call_from(fields)
        with bind(**call.ids):
            return connected_to(await self._host.connect(call))

    async def _adopt(self, fields: dict[str, Any]) -> None:
        await self._host.adopt(fields["token"], handover_from(fields["handover"]))

    async def _trickle(self, fields: dict[str, Any]) -> None:
        await self._host.trickle(fields["peer_id"], fragment_from(fields))

    async def _renegotiate(self, fields: dict[str, Any]) -> dict[str, Any]:
        return connected_to(await self._host.renegotiate(fields["peer_id"], fields["sdp"]))

    async def _disconnect(self, fields: dict[str, Any]) -> None:
        await self._host.disconnect(fields["peer_id"])

    async def _drain(self, fields: dict[str, Any]) -> None:
        await self._host.drain(fields["seconds"])

    async def _figures(self, _fields: dict[str, Any]) -> list[Any]:
        taken: list[Any] = figures.write(figures.take(self._registry))
        return taken

    def _tell_watcher(self, session_id: str, what: str) -> None:
        self._link.send({"type": "watch", "session_id": session_id, "what": what})

    def _tell_meter(self, session_id: str, seconds: float) -> None:
        self._link.send({"type": "audio", "session_id": session_id, "seconds": seconds})

    def _show_life(self) -> None:
        if not self.stopped.done():
            self._link.send({"type": "status"})
            asyncio.get_running_loop().call_later(STATUS_S, self._show_life)


_METHODS: dict[str, Callable[[Service, dict[str, Any]], Any]] = {
    "adopt": Service._adopt,
    "connect": Service._connect,
    "trickle": Service._trickle,
    "renegotiate": Service._renegotiate,
    "disconnect": Service._disconnect,
    "drain": Service._drain,
    "figures": Service._figures,
}
