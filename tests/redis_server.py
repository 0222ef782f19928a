"""A real ``redis-server`` for tests; see :mod:`tools.shared.redis_server`."""

from __future__ import annotations

from tools.shared.redis_server import RedisServer, running

__all__ = ["RedisServer", "running"]
