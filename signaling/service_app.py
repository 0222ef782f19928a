"""The HTTP services ``primary`` and ``fallback``: recordings in, transcripts out, no live audio."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from aiohttp import web

from rtc_stt.config import Recordings
from rtc_stt.service.transcriber import Transcriber
from rtc_stt.spans import SpanSink
from signaling import (
    deepgram_routes,
    openai_models,
    openai_recordings,
    openapi,
    snapshot,
    transcribe,
    usage_routes,
)
from signaling import health as probes
from signaling.access_log import LOGS
from signaling.app import make_gate
from signaling.calls import Health
from signaling.keys import GATE, HEALTH, IN_FLIGHT, SERVER
from signaling.life import add_life
from signaling.metrics import Metrics
from signaling.request import middleware
from signaling.settings import Access, Logs, Server
from signaling.shared.shared import Shared
from signaling.snapshot import Service
from signaling.trail import SINK

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
    logs: Logs | None = None,
    sink: SpanSink | None = None,
    shared: Shared | None = None,
) -> web.Application:
    """The application of one service. When it ends it drains.

    Args:
        commit: see ``SERVER_COMMIT``.
        health: how the engines are; that the service drains is known here.
        queue: what :meth:`~rtc_stt.decode_pool.DecodePool.snapshot` tells.
        logs, sink, shared: see :func:`~signaling.app.create_app`.

    Raises:
        ConfigError: the keys contradict each other.
    """
    app = web.Application(middlewares=[middleware])
    app[SERVER], app[GATE] = server, make_gate(server, access, metrics, shared=shared)
    transcribe.add_routes(app, transcriber, recordings)
    deepgram_routes.add_recorded_routes(app)
    openai_recordings.add_routes(app)

    def how_it_is() -> Health:
        return dataclasses.replace(health(), draining=app[IN_FLIGHT].draining)

    async def drain(seconds: float) -> None:
        await transcribe.drain(app, seconds)

    app[HEALTH], app[LOGS] = how_it_is, logs or Logs()
    if shared:
        shared.watch(how_it_is)
    if sink:
        app[SINK] = sink
    probes.add_routes(app)
    usage_routes.add_routes(app)
    openai_models.add_routes(app, queue)
    snapshot.add_routes(app, Service(name, commit, queue), metrics)
    app.router.add_get("/metrics", metrics.scrape)
    openapi.add_routes(app)
    add_life(app, drain, server.drain_seconds)
    return app
