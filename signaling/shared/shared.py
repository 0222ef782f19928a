"""All that gateways share, as one: made where ``REDIS_URL`` is set, begun before the first request, ended
last."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from rtc_stt.errors import ConfigError
from rtc_stt.instrument import Instrument
from signaling.allowance import Allowance
from signaling.auth import Authority
from signaling.calls import Health
from signaling.door import Door
from signaling.settings import Access, Server
from signaling.shared.limiter import Limiter
from signaling.shared.link import Link
from signaling.shared.nodes import Nodes
from signaling.shared.settings import Sharing
from signaling.shared.tallies import Tallies
from signaling.usage import Usage

__all__ = ["Shared", "shared_by"]


class Shared:
    """See above.

    Args:
        role: of a service that is no gateway: what it shares it shares with its like.

    Raises:
        ConfigError: there is no ``TOKEN_SECRET``, or see :class:`Link`.
    """

    def __init__(
        self, sharing: Sharing, server: Server, access: Access, instrument: Instrument, *, role: str = ""
    ) -> None:
        if not access.token_secret:
            raise ConfigError(
                "REDIS_URL is set and TOKEN_SECRET is not: gateways that share limits know keys by names "
                "made with it. Set TOKEN_SECRET, the same on each."
            )
        if role:
            sharing = replace(sharing, redis_prefix=f"{sharing.redis_prefix}{role}:")
        self.link = Link(sharing, instrument)
        self.nodes = Nodes(self.link, sharing, server.port)
        self.nodes.told = instrument.nodes_known
        self.limiter = Limiter(self.link, self.nodes.life, Allowance.of(access))
        self.tallies: Tallies | None = None
        self._allowance = Allowance.of(access)

    @property
    def state(self) -> str:
        """As ``/v1/ready`` tells it."""
        return "degraded" if self.link.is_away else "up"

    def attach(self, door: Door, usage: Usage, authority: Authority) -> None:
        """These are what it is shared by."""
        self.tallies = Tallies(self.link, self.nodes.life, usage)
        door.beside = self.limiter

        def divide(is_up: bool) -> None:
            door.allowance = self._allowance if is_up else self._allowance.split(len(self.nodes))

        async def tell_spent() -> None:
            await self.limiter.tell_spent(authority.tokens.used(time.time()))

        self.link.on_change(divide)
        self.link.on_back(tell_spent)
        self.tallies.start()

    def watch(self, health: Callable[[], Health]) -> None:
        """How this gateway is, for the others."""

        def look() -> tuple[int, str]:
            told = health()
            return told.sessions, told.load

        self.nodes.look = look

    async def start(self) -> None:
        """Reach Redis, and take a name. Where it is away that is said, and tried again."""
        await self.link.start()
        self.nodes.start()
        self.limiter.start()

    async def aclose(self) -> None:
        """Say what has not been said, and leave."""
        if self.tallies:
            await self.tallies.aclose()
        await self.limiter.aclose()
        await self.nodes.aclose()
        await self.link.aclose()


@contextlib.asynccontextmanager
async def shared_by(
    sharing: Sharing, server: Server, access: Access, instrument: Instrument, *, role: str = ""
) -> AsyncIterator[Shared | None]:
    """What this server shares, for the block; None: it is alone.

    Args:
        role: see :class:`Shared`.

    Raises:
        ConfigError: see :class:`Shared`.
    """
    if not sharing.redis_url:
        yield None
        return
    shared = Shared(sharing, server, access, instrument, role=role)
    try:
        await shared.start()
        yield shared
    finally:
        await shared.aclose()
