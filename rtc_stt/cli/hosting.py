"""Who carries the sessions of a server: its own process, or media workers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from rtc_stt.config_keys import Values
from rtc_stt.decode_pool import DecodePool
from rtc_stt.logs import LogOptions
from rtc_stt.session import Speech
from signaling.calls import Host
from signaling.metrics import Metrics
from signaling.registry import Registry
from signaling.settings import Server, WebRtc
from signaling.shared.settings import Sharing
from signaling.shared.shared import Shared
from signaling.udp import parse_port_range
from signaling.workers import worker
from signaling.workers.fleet import Fleet
from signaling.workers.plan import FRONT_NAME, split_ports

__all__ = ["hosting", "name_of", "worker_setups"]


def worker_setups(values: Values, webrtc: WebRtc, logs: LogOptions) -> list[dict[str, Any]]:
    """What each of ``MEDIA_WORKERS`` is told; empty where there are none.

    Raises:
        ConfigError: there are too few UDP ports for so many.
    """
    if not webrtc.media_workers:
        return []
    ports = split_ports(parse_port_range(webrtc.udp_port_range), webrtc.media_workers)
    return worker.setups(values, ports, logs)


def name_of(sharing: Sharing, shared: Shared | None) -> Callable[[], str]:
    """Gives the name of this gateway: what its sessions' ids begin with; empty where it has none."""
    return (lambda: shared.nodes.name) if shared else lambda: sharing.node_name


@contextlib.asynccontextmanager
async def hosting(
    speech: Speech,
    server: Server,
    webrtc: WebRtc,
    metrics: Metrics,
    setups: list[dict[str, Any]],
    node: Callable[[], str] = lambda: "",
) -> AsyncIterator[tuple[Host, Registry]]:
    """A host that is ready, and where WebSockets go: a part of it, and always in this process.

    ``node`` gives the name of this gateway.

    At the end of the block its workers end; drain it before.

    Raises:
        ConfigError: a worker cannot be started.
    """
    if not setups:
        registry = Registry(speech, server, webrtc, node=node)
        yield registry, registry
        return
    assert isinstance(speech.pool, DecodePool), "the queue is in this process"
    own = Registry(speech, server, webrtc, name=FRONT_NAME, node=node)
    fleet = Fleet(speech.pool, setups, own=own, instrument=metrics, node=node)
    metrics.others = fleet.collect_figures
    try:
        await fleet.start()
        yield fleet, own
    finally:
        await fleet.aclose()
