"""Which gateways there are: each says once a second that it lives, and hears who else does.

::

    nodes       sorted set: name → when it is thought dead (Redis' clock, ms)
    nodes:told  hash: name → what it tells of itself, its life first

A name belongs to whoever has it, until that one leaves or is silent for five seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Callable

from rtc_stt import __version__
from rtc_stt.errors import trace
from signaling.shared.link import Away, Link
from signaling.shared.node import Node, derive_name, read_nodes, rename, write_node
from signaling.shared.settings import Sharing

__all__ = ["BEAT_S", "LIFE_S", "Node", "Nodes"]

log = logging.getLogger(__name__)

BEAT_S = 1.0
"""Between two signs of life."""

LIFE_S = 5.0
"""Who gave none for so long is dead, as far as the others go."""

MAX_DRAWS = 8
"""Names that are tried at a time."""

BEAT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local name, life, told, lasts = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('HDEL', KEYS[2], dead)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local there = redis.call('HGET', KEYS[2], name)
if there and string.sub(there, 1, #life + 1) ~= life .. ' ' then
  return {0, redis.call('HVALS', KEYS[2])}
end
if lasts == 0 then
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
else
  redis.call('ZADD', KEYS[1], now + lasts, name)
  redis.call('HSET', KEYS[2], name, told)
  redis.call('PEXPIRE', KEYS[1], 10 * lasts)
  redis.call('PEXPIRE', KEYS[2], 10 * lasts)
end
return {1, redis.call('HVALS', KEYS[2])}
"""
"""Gives whether the name is ours, and what all that live tell."""


class Nodes:
    """See above.

    Args:
        port: where this gateway listens; 0: on one that is not known yet.
    """

    def __init__(self, link: Link, sharing: Sharing, port: int) -> None:
        self.life = secrets.token_hex(8)
        self.name = sharing.node_name or _default_name(port)
        """Of this one. It may change where another has it already; at the start above all."""
        self.look: Callable[[], tuple[int, str]] = lambda: (0, "normal")
        """How many sessions this one has, and its load step."""
        self._link = link
        self._url = sharing.node_url
        self._started = time.time()
        self._known: list[Node] = []
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        link.on_back(self._beat)

    def known(self) -> list[Node]:
        """Those that live, this one included, by name; where Redis is away, those that lived when it went."""
        return list(self._known)

    def find(self, name: str) -> Node | None:
        """One of them."""
        return next((node for node in self._known if node.name == name), None)

    def __len__(self) -> int:
        """How many; 1 at least."""
        return max(1, len(self._known))

    def start(self) -> None:
        """Give signs of life from now on. The first is given when the link is started."""
        self._task = asyncio.get_running_loop().create_task(self._go_on(), name="nodes")

    async def aclose(self) -> None:
        """Leave: the name is free, and nobody waits for this one's death."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Away):
            async with self._lock:
                await self._say(0.0)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self._beat()
            except Away:
                continue
            except Exception as error:
                log.error("no sign of life could be given: %s", trace(error))

    async def _beat(self) -> None:
        async with self._lock:
            for _ in range(MAX_DRAWS):
                if await self._say(LIFE_S):
                    return
                taken, self.name = self.name, rename(self.name, secrets.token_hex(2))
                log.error(
                    "another gateway is called %s: this one goes on as %s; give each a NODE_NAME of its own",
                    taken,
                    self.name,
                )

    async def _say(self, lasts_s: float) -> bool:
        """Whether the name is ours."""
        sessions, load = self.look()
        node = Node(
            name=self.name,
            url=self._url,
            life=self.life,
            sessions=sessions,
            load=load,
            version=__version__,
            started=self._started,
        )
        is_ours, texts = await self._link.run(
            "nodes",
            BEAT,
            [self._link.key("nodes"), self._link.key("nodes", "told")],
            [node.name, node.life, write_node(node), round(lasts_s * 1000)],
        )
        if is_ours:
            self._known = read_nodes(texts)
        return bool(is_ours)


def _default_name(port: int) -> str:
    return derive_name(socket.gethostname(), port) if port else secrets.token_hex(4)
