"""What every server does while it lives, and at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from signaling.keys import DRAIN, GATE
from signaling.loop_lag import LoopLag

__all__ = ["add_life"]


def add_life(app: web.Application, drain: Callable[[float], Awaitable[None]], seconds: float) -> None:
    """Watch the event loop, and drain at the end, if nobody has done so before.

    Args:
        drain: begins nothing more and sees out what is going on, within the seconds that it is given. To do
            so twice does no harm.
        seconds: ``DRAIN_SECONDS``.
    """
    app[DRAIN] = drain

    async def watch(app: web.Application) -> AsyncIterator[None]:
        lag = LoopLag(app[GATE].instrument.loop_lagged)
        lag.start()
        yield
        lag.stop()

    async def end(_app: web.Application) -> None:
        await drain(seconds)

    app.cleanup_ctx.append(watch)
    app.on_shutdown.append(end)  # while handlers still run: what is drained may be theirs
