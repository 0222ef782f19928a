"""A media worker: a process with its own event loop, sessions and detector, and the front's decode pool.

It lives as long as the front does. What it must know comes over the socket in the first message (``begin``);
no secret is among it, since who may come in is decided in front.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from rtc_stt.config import Endpointing, Routing, StreamOptions
from rtc_stt.config_keys import Values, build, keys
from rtc_stt.logs import LogOptions, set_up
from rtc_stt.memory import limit_arenas
from rtc_stt.session import Speech
from rtc_stt.tracing import make_sink
from rtc_stt.vad import SileroDetector, VadBatcher
from signaling.loop_lag import LoopLag
from signaling.metrics import Metrics
from signaling.registry import Registry
from signaling.settings import Logs, Server, WebRtc
from signaling.udp import loop_factory
from signaling.workers.frames import BadFrame, Frame, FrameReader
from signaling.workers.link import open_link
from signaling.workers.messages import state_from
from signaling.workers.remote_pool import RemotePool
from signaling.workers.service import Service

__all__ = ["main", "setups"]

log = logging.getLogger("signaling.workers.worker")  # whatever it is run as

BEGIN_TIMEOUT_S = 30.0
"""For the front to say what this worker is to do. It says so at once."""

LAST_S = 4.0
"""For everything to end, once this process is to end. Then it ends anyhow."""

GROUPS: tuple[type, ...] = (Server, Logs, WebRtc, Routing, Endpointing, StreamOptions)
"""The configuration that a worker goes by …"""

NOT_TOLD = frozenset({"ICE_SERVERS", "TURN_URL"})
"""… without secrets, and what only the front tells clients."""


def setups(values: Values, ports: Sequence[str], logs: LogOptions) -> list[dict[str, Any]]:
    """What each worker is told at its start, besides its name and the state of the decode pool.

    Args:
        ports: the part of ``UDP_PORT_RANGE`` of each.
    """
    told = {
        spec.name: values.entries[spec.name]
        for group in GROUPS
        for spec in keys(group).values()
        if spec.name in values.entries and not spec.secret and spec.name not in NOT_TOLD
    }
    return [
        {"values": told | {"UDP_PORT_RANGE": (part, "front")}, "logs": [logs.format, logs.level]}
        for part in ports
    ]


def main(arguments: Sequence[str]) -> int:
    """Carry sessions until the front ends.

    Args:
        arguments: its name, and the number of the file descriptor of the socket.
    """
    limit_arenas()
    # They come to the whole group from a terminal or a service manager; the front decides what follows.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    name, descriptor = arguments
    sock = socket.socket(fileno=int(descriptor))
    try:
        begin = _receive_begin(sock)
    except (BadFrame, OSError):  # the front has ended, or is of another release: it says so itself
        return 1
    log_format, log_level = begin["logs"]
    set_up(LogOptions(log_format, log_level, process=name))
    values = Values({key: (text, place) for key, (text, place) in begin["values"].items()})
    with asyncio.Runner(loop_factory=loop_factory(build(WebRtc, values).udp_port_range)) as runner:
        reason = runner.run(_carry(sock, name, values, begin["state"], str(begin.get("node", ""))))
    log.info("ends: %s", reason)
    return 0


def _receive_begin(sock: socket.socket) -> dict[str, Any]:
    """The first message; the front says nothing more before it is answered."""
    sock.settimeout(BEGIN_TIMEOUT_S)
    reader = FrameReader()
    frames: list[Frame] = []
    while not frames:
        count = sock.recv_into(reader.get_buffer())
        if not count:
            raise BadFrame("the front has ended")
        frames = reader.received(count)
    if frames[0].type != "begin":
        raise BadFrame(f"the front begins with {frames[0].type}")
    return frames[0].header


async def _carry(sock: socket.socket, name: str, values: Values, state: Mapping[str, Any], node: str) -> str:
    """From the first call to the last, for a gateway of this name. Returns the reason of the end."""
    metrics = Metrics()
    gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    # The front is silent until it is told ``ready``.
    link = await open_link(sock, lambda frame: service.receive(frame), gone.set_result)
    pool = RemotePool(state_from(state), link, metrics)
    speech = _make_speech(values, pool, metrics)
    registry = Registry(speech, build(Server, values), build(WebRtc, values), name=name, node=lambda: node)
    service = Service(registry, pool, link, metrics.registry)
    lag = LoopLag(metrics.loop_lagged)
    lag.start()
    link.send({"type": "ready"})
    log.info("ready")
    await asyncio.wait([gone, service.stopped], return_when=asyncio.FIRST_COMPLETED)
    if gone.done() and registry.keeper and registry.keeper.hears:
        # Another gateway goes on with the sessions: their clients are not to be told that they have ended.
        log.info("ends at once: the front is gone (%s)", gone.result())
        os._exit(1)
    _end_anyhow()
    lag.stop()
    await service.aclose()
    await registry.drain(0)
    await speech.aclose()
    link.close("the end")
    return gone.result() if gone.done() else service.stopped.result()


def _make_speech(values: Values, pool: RemotePool, metrics: Metrics) -> Speech:
    return Speech(
        vad=VadBatcher(SileroDetector()),
        pool=pool,
        options=dataclasses.replace(build(StreamOptions, values), endpointing=build(Endpointing, values)),
        routing=build(Routing, values),
        instrument=metrics,
        sink=make_sink("gateway", metrics),
        log_transcripts=build(Logs, values).transcripts,
    )


def _end_anyhow() -> None:
    """Whatever hangs: nobody is there any more who could mend it."""
    timer = threading.Timer(LAST_S, os._exit, (1,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
