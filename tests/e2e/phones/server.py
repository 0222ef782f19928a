"""The server that telephones call: the demo with a SIP port, and somebody who hears all of its calls."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import support
from tools.ports import free_port
from tools.telephony.ear import CallEar

__all__ = ["PhoneServer", "phone_server"]


@dataclass
class PhoneServer:
    """One that runs."""

    process: support.Process
    url: str
    sip_port: int
    ear: CallEar

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.process.pid


@contextlib.asynccontextmanager
async def phone_server(folder: Path, **environment: str) -> AsyncIterator[PhoneServer]:
    """Started as a user starts it; it must end as it should, with nothing alarming in its log."""
    port = free_port()
    settings = {
        "SIP_PORT": str(port),
        "SIP_ALLOW": "127.0.0.1/32",
        "MAX_SESSIONS": "500",
        "MAX_CALLS": "250",
        **environment,
    }
    process = support.Process(folder / "server.log", "demo", "--port", "0", "--log-level", "info", **settings)
    try:
        url = process.url()
        async with CallEar(url) as ear:
            yield PhoneServer(process, url, port, ear)
        process.stop()
    finally:
        process.kill()
