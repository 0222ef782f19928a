"""``GET /v1/models``: the models that there are, as OpenAI's clients list them.

Many ask for the list before anything else, to let a person choose. Here the choice changes nothing: which
tier has the last word, routing decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from rtc_stt.errors import NotFound

__all__ = ["PATH", "add_routes"]

PATH = "/v1/models"

OWNER = "rtc-stt"


def add_routes(app: web.Application, queue: Callable[[], Mapping[str, Any]]) -> None:
    """Add the list, and one model of it.

    Args:
        queue: see :meth:`~rtc_stt.decode_pool.DecodePool.snapshot`.
    """
    began = int(time.time())  # when a model was made, nobody knows here

    def describe(name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": began, "owned_by": OWNER}

    def names() -> list[str]:
        """Each once, the fast tier's first."""
        return list(dict.fromkeys(tier["model"] for tier in queue().get("tiers", {}).values()))

    async def get_list(_request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [describe(name) for name in names()]})

    async def get_one(request: web.Request) -> web.Response:
        name = request.match_info["model"]
        if name not in names():
            raise NotFound(f"there is no such model; GET {PATH} lists those there are")
        return web.json_response(describe(name))

    app.router.add_get(PATH, get_list)
    app.router.add_get(PATH + "/{model}", get_one)
