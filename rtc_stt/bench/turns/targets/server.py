"""The server behind our own targets: the one at a URL, or ``rtc-stt demo`` as a child of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

from rtc_stt.bench.server import DemoServer
from rtc_stt.bench.turns.targets.ours import configuration
from rtc_stt.errors import TargetFailed

__all__ = ["Host"]

READY_TIMEOUT_S = 30.0
LOOK_S = 0.02


class Host:
    """See above. :meth:`start` first, :meth:`close` last.

    Args:
        url: of a server that runs; by default one is started.
        hangover_ms: that the child is configured with. Every session asks for it as well.
        configuration: other keys of the child's.
    """

    def __init__(
        self, url: str | None, *, hangover_ms: int, configuration: Mapping[str, str] | None = None
    ) -> None:
        self._given = url.rstrip("/") if url else None
        self._hangover_ms = hangover_ms
        self._configuration = dict(configuration or {})
        self._child: DemoServer | None = None
        self.url = self._given or ""
        """Where it is; empty before a child has started."""

    @property
    def facts(self) -> Mapping[str, object]:
        """Which server it is."""
        return {"server": self._given or "rtc-stt demo", "hangover": "configured"}

    async def start(self) -> None:
        """From nothing to a server that is ready for sessions.

        Raises:
            TargetFailed: it does not come up, or nobody answers at the URL.
        """
        if self._given is None:
            self._child = DemoServer(self._environment())
            self.url = await asyncio.to_thread(self._child.start)
        await self._until_ready()

    def _environment(self) -> dict[str, str]:
        options = configuration(self._hangover_ms, None)["endpointing"]
        assert isinstance(options, Mapping)
        return {name.upper(): str(value) for name, value in options.items()} | self._configuration

    async def _until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        deadline, said = loop.time() + READY_TIMEOUT_S, ""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            while loop.time() < deadline:
                try:
                    async with http.get(f"{self.url}/v1/ready") as response:
                        if response.status == 200:
                            return
                        said = f"it answers {response.status} at /v1/ready"
                        if response.status == 404:
                            break
                except aiohttp.InvalidURL as error:
                    raise TargetFailed(
                        f"{self.url} is no URL; say something like http://127.0.0.1:8080"
                    ) from error
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    said = type(error).__name__
                    if self._given:  # a server that is named is there, or the name is wrong
                        break
                await asyncio.sleep(LOOK_S)
        raise TargetFailed(
            f"no rtc-stt server is ready at {self.url} ({said}); start one, or leave out --url"
        )

    async def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child:
            await asyncio.to_thread(child.stop)
