"""Clients come and go, and the server process holds no more than before."""

from __future__ import annotations

import pytest

from tools.ingest.cycles import cycle_many, look, watched

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.asyncio]

POOLED = 4
"""Threads that pools of fixed size may still begin, however many clients there are."""


async def test_forty_clients_come_and_go_and_nothing_of_them_stays() -> None:
    """The memory is measured over 400 cycles: ``python -m tools.ingest cycles``."""
    with watched() as server:
        url = server.url()
        await cycle_many(url, 8)
        before = await look(server, url, 0)
        await cycle_many(url, 40)
        after = await look(server, url, 40)
        assert after.descriptors <= before.descriptors
        assert after.threads <= before.threads + POOLED
        assert after.tasks <= before.tasks
        assert after.rss_kb < before.rss_kb + 8_192
        assert server.stop() == 0
        assert "Traceback" not in server.log
