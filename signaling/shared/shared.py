"""All that gateways share, as one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from rtc_stt.instrument import Instrument
from signaling.settings import Access, Server
from signaling.shared.link import Link
from signaling.shared.nodes import Nodes
from signaling.shared.settings import Sharing

__all__ = ["Shared", "shared_by"]


class Shared:
    """See above."""

    def __init__(self, sharing: Sharing, server: Server, access: Access, instrument: Instrument) -> None:
        self.link = Link(sharing, instrument)
        self.nodes = Nodes(self.link, sharing, server.port)

    async def start(self) -> None:
        """Reach Redis, and take a name."""
        await self.link.start()
        self.nodes.start()

    async def aclose(self) -> None:
        """Leave."""
        await self.nodes.aclose()
        await self.link.aclose()


@contextlib.asynccontextmanager
async def shared_by(
    sharing: Sharing, server: Server, access: Access, instrument: Instrument
) -> AsyncIterator[Shared | None]:
    """What this server shares, for the block; None: it is alone."""
    if not sharing.redis_url:
        yield None
        return
    shared = Shared(sharing, server, access, instrument)
    try:
        await shared.start()
        yield shared
    finally:
        await shared.aclose()
