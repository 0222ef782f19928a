"""SIP calls come and go, and the server process holds no more than before."""

from __future__ import annotations

import pytest

from tools.telephony.sequence import answering, call_many

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.asyncio]

CALLS, AT_ONCE = 50, 10


async def test_fifty_calls_come_and_go_and_nothing_of_them_stays(sipp: str) -> None:
    """The memory is measured over 2,000 calls: ``python -m tools.telephony sequence``."""
    with answering() as answers:
        await call_many(answers, AT_ONCE, AT_ONCE)
        before = await answers.look(0)
        whole, code = await call_many(answers, CALLS, AT_ONCE)
        assert code == 0
        assert whole == CALLS
        after = await answers.look(CALLS)
        assert after.udp_ports <= before.udp_ports
        assert after.held.descriptors <= before.held.descriptors
        assert after.held.tasks <= before.held.tasks
        assert after.held.threads <= before.held.threads
        assert after.held.rss_kb < before.held.rss_kb + 8_192
        assert answers.server.stop() == 0
        assert "Traceback" not in answers.server.log
