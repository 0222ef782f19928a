"""Is the process alive, and should it be sent new sessions?"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from rtc_stt import __version__
from rtc_stt.errors import Unavailable
from signaling.keys import GATE, HEALTH, IN_FLIGHT

__all__ = ["add_routes"]


async def health(_request: web.Request) -> web.Response:
    """Alive."""
    return web.json_response({"ok": True, "version": __version__})


async def ready(request: web.Request) -> web.Response:
    """Ready for new sessions: the models are warm (they are before the port opens), the fast one is well, and
    nothing drains.

    Without Redis it is ready, and says so: it goes by its own part of what is shared.

    Under load it stays ready: a server that is taken out of the balance would lose the sessions it carries.
    """
    health = request.app[HEALTH]()
    if health.draining:
        raise Unavailable("the server is shutting down")
    if not health.ready:
        raise Unavailable(", ".join(health.troubles))
    told: dict[str, Any] = {"ok": True, "sessions": health.sessions, "load": health.load}
    if IN_FLIGHT in request.app:
        told["requests"] = len(request.app[IN_FLIGHT])
    if shared := request.app[GATE].shared:
        told["shared"] = shared.state
    if health.troubles:
        told["degraded"] = list(health.troubles)
    return web.json_response(told)


def add_routes(app: web.Application) -> None:
    """Add the endpoints."""
    app.router.add_get("/v1/health", health)
    app.router.add_get("/v1/ready", ready)
