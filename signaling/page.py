"""The demo page and what it asks about the server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

import web_demo
from rtc_stt import __version__
from signaling.keys import GATE

__all__ = ["ABOUT", "About", "add_routes"]

FOLDERS = ("js", "samples")
FILES = ("style.css", "favicon.svg")


@dataclass(frozen=True, slots=True)
class About:
    """What the page says of the models."""

    mode: str
    """``demo`` or ``serve``."""
    fast: str
    accurate: str | None
    languages: Sequence[str]
    understands: str | None = None
    """What the models understand, where that is not simply speech."""
    examples: Sequence[str] = ()


ABOUT = web.AppKey("about", About)
SAMPLES: web.AppKey[list[dict[str, str]]] = web.AppKey("samples", list)


async def index(_request: web.Request) -> web.FileResponse:
    """``GET /``."""
    return web.FileResponse(web_demo.ROOT / "index.html", headers={"Cache-Control": "no-cache"})


async def diagnose(_request: web.Request) -> web.FileResponse:
    """``GET /diagnose``."""
    return web.FileResponse(web_demo.ROOT / "diagnose.html", headers={"Cache-Control": "no-cache"})


async def about(request: web.Request) -> web.Response:
    """``GET /web/about.json``."""
    told = request.app[ABOUT]
    return web.json_response(
        {
            "mode": told.mode,
            "version": __version__,
            "fast": told.fast,
            "accurate": told.accurate,
            "languages": list(told.languages),
            "understands": told.understands,
            "examples": list(told.examples),
            "samples": request.app[SAMPLES],
            "requires_key": not request.app[GATE].authority.is_open,
        }
    )


def add_routes(app: web.Application, told: About) -> None:
    """Add the page."""
    app[ABOUT] = told
    samples = web_demo.ROOT / "samples" / "samples.json"
    app[SAMPLES] = json.loads(samples.read_text(encoding="utf-8"))
    app.router.add_get("/", index)
    app.router.add_get("/diagnose", diagnose)
    app.router.add_get("/web/about.json", about)
    for name in FOLDERS:
        app.router.add_static(f"/web/{name}", web_demo.ROOT / name)
    for name in FILES:
        app.router.add_get(f"/web/{name}", _file(name))


def _file(name: str) -> Callable[[web.Request], Awaitable[web.FileResponse]]:
    async def get(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(web_demo.ROOT / name)

    return get
