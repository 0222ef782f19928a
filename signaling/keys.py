"""What the handlers find in the application: typed keys instead of globals."""

from __future__ import annotations

from aiohttp import web

from signaling.registry import Registry
from signaling.settings import Server

__all__ = ["REGISTRY", "SERVER"]

REGISTRY = web.AppKey("registry", Registry)
SERVER = web.AppKey("server", Server)
