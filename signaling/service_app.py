"""The HTTP services ``primary`` and ``fallback``: recordings in, transcripts out, no live audio."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal

from aiohttp import web

from rtc_stt.config import Recordings
from rtc_stt.service.transcriber import Transcriber
from signaling import health as probes
from signaling import openapi, snapshot, transcribe, usage_routes
from signaling.app import make_gate
from signaling.calls import Health
from signaling.keys import DRAIN, GATE, HEALTH, IN_FLIGHT, SERVER
from signaling.loop_lag import LoopLag
from signaling.metrics import Metrics
from signaling.request import middleware
from signaling.settings import Access, Server
from signaling.snapshot import Service

__all__ = ["create_service_app"]


def create_service_app(
    transcriber: Transcriber,
    server: Server,
    access: Access,
    recordings: Recordings,
    metrics: Metrics,
    *,
    name: Literal["primary", "fallback"],
    commit: str,
    health: Callable[[], Health],
    queue: Callable[[], Mapping[str, Any]] = dict,
) -> web.Application:
    """The application of one service. When it ends it drains.

    Args:
        commit: see ``SERVER_COMMIT``.
        health: how the engines are; that the service drains is known here.
        queue: what :meth:`~rtc_stt.decode_pool.DecodePool.snapshot` tells.

    Raises:
        ConfigError: the keys contradict each other.
    """
    app = web.Application(middlewares=[middleware])
    app[SERVER], app[GATE] = server, make_gate(server, access, metrics)
    transcribe.add_routes(app, transcriber, recordings)

    def how_it_is() -> Health:
        return dataclasses.replace(health(), draining=app[IN_FLIGHT].draining)

    async def drain(seconds: float) -> None:
        await transcribe.drain(app, seconds)

    app[HEALTH], app[DRAIN] = how_it_is, drain
    probes.add_routes(app)
    usage_routes.add_routes(app)
    snapshot.add_routes(app, Service(name, commit, queue), metrics)
    app.router.add_get("/metrics", metrics.scrape)
    openapi.add_routes(app)

    async def life(app: web.Application) -> AsyncIterator[None]:
        lag = LoopLag(metrics.loop_lagged)
        lag.start()
        yield
        lag.stop()
        await drain(server.drain_seconds)

    app.cleanup_ctx.append(life)
    return app
