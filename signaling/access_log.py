"""A line for each request once it is answered; of a WebSocket once it has ended."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from signaling.request import KEY_NAME, source_of, trail_of, was_read
from signaling.settings import Logs
from signaling.trail import method_of, route_of

__all__ = ["ACCESS_LOG", "LOGS", "AccessLogger"]

ACCESS_LOG = logging.getLogger("rtc_stt.access")

LOGS: web.AppKey[Logs] = web.AppKey("logs", Logs)
"""What is written besides."""


QUIET = ("/v1/health", "/v1/ready", "/metrics", "/v1/metrics")
"""Who looks whether all is well does so every few seconds: lines of it only where something is wrong, or at
level debug."""


class AccessLogger(AbstractAccessLogger):
    """Called by aiohttp once an answer has left, or could not."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write the line. ``time``: seconds since the head of the request had come."""
        trail = trail_of(request)
        read = request if isinstance(request, web.Request) and was_read(request) else None
        route, method = route_of(read) if read is not None else "", method_of(request)
        duration_ms = round(time * 1000)
        fields: dict[str, Any] = {
            "method": method,
            "route": route or None,
            "status": response.status,
            "duration_ms": duration_ms,
            "bytes_in": None if isinstance(response, web.WebSocketResponse) else request.content.total_bytes,
            "bytes_out": None if isinstance(response, web.WebSocketResponse) else response.body_length,
            "key_id": request.get(KEY_NAME),
            "remote": _remote(read) if read is not None else None,
        }
        level = logging.DEBUG if route in QUIET and response.status < 400 else logging.INFO
        self.logger.log(
            level,
            "%s %s %d in %d ms",
            method,
            route or "(no route)",
            response.status,
            duration_ms,
            extra={"ids": trail.ids if trail else {}, "fields": fields},
        )

    @property
    def enabled(self) -> bool:
        """Whether anybody reads it; else it costs nothing."""
        return self.logger.isEnabledFor(logging.INFO)


def _remote(request: web.Request) -> str | None:
    wanted = request.app.get(LOGS, Logs()).addresses
    return source_of(request).address or None if wanted else None
