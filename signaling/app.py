"""The gateway: one aiohttp application around what all sessions share."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from rtc_stt.session import Speech
from signaling import health, offer, page, whip
from signaling.keys import REGISTRY, SERVER
from signaling.loop_lag import LoopLag
from signaling.metrics import Metrics
from signaling.page import About
from signaling.registry import Registry
from signaling.request import middleware
from signaling.settings import Server, WebRtc

__all__ = ["create_app"]


def create_app(
    speech: Speech,
    server: Server,
    about: About,
    metrics: Metrics | None = None,
    *,
    webrtc: WebRtc | None = None,
) -> web.Application:
    """The application. It owns ``speech`` from its start: the models' threads end with it."""
    app = web.Application(middlewares=[middleware], client_max_size=1024 * 1024)
    app[SERVER] = server
    app[REGISTRY] = Registry(speech, server, webrtc or WebRtc())
    whip.add_routes(app)
    offer.add_routes(app)
    health.add_routes(app)
    page.add_routes(app, about)
    if metrics:
        app.router.add_get("/metrics", metrics.scrape)

    async def life(app: web.Application) -> AsyncIterator[None]:
        lag = LoopLag(speech.instrument.loop_lagged)
        lag.start()
        yield
        lag.stop()
        await app[REGISTRY].drain(server.drain_seconds)
        await speech.aclose()

    app.cleanup_ctx.append(life)
    return app
