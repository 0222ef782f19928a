"""``GET /v1/metrics``: how the server is doing, as JSON for people and scripts. ``/metrics`` has more."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from rtc_stt import __version__
from signaling.keys import HEALTH, IN_FLIGHT
from signaling.metrics import Metrics

__all__ = ["PATH", "Service", "add_routes"]

PATH = "/v1/metrics"


@dataclass(frozen=True, slots=True)
class Service:
    """What is told of a server besides its figures."""

    name: str
    """``primary``, ``fallback``, ``serve`` or ``demo``."""
    commit: str
    """What is deployed; empty: not told."""
    queue: Callable[[], Mapping[str, Any]]
    """See :meth:`~rtc_stt.decode_pool.DecodePool.snapshot`."""


def add_routes(app: web.Application, service: Service, metrics: Metrics) -> None:
    """Add the endpoint."""
    began = time.monotonic()

    async def get(request: web.Request) -> web.Response:
        gpus = await asyncio.get_running_loop().run_in_executor(None, metrics.gpus.read)
        told = {
            "version": __version__,
            "commit": service.commit or None,
            "name": service.name,
            "uptime_s": round(time.monotonic() - began, 1),
            "in_flight": len(request.app.get(IN_FLIGHT, ())),
            "load": request.app[HEALTH]().load,
            "queue": service.queue(),
            **metrics.tally.snapshot(),
            "gpus": [dataclasses.asdict(gpu) for gpu in gpus],
        }
        return web.json_response(told)

    app.router.add_get(PATH, get)
