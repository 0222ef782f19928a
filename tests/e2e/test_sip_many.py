"""Two hundred SIP calls at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtc_stt.bench.words import normalise
from tests.e2e.phones.server import phone_server
from tests.e2e.phones.words import Words
from tests.e2e.support import Clip
from tools.ingest.watch import metric
from tools.telephony.sipp import run_sipp

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.asyncio]

MANY = 200
MAY_STALL = 5
"""Two hundred callers in one process, on the cores of the server, stop in mid-word now and then."""


async def test_two_hundred_calls_at_once(sipp: str, digits: list[Clip], tmp_path: Path) -> None:
    """Nobody is refused, every call is whole, and who says it without a stall is understood."""
    words = Words.of(digits[0])
    async with phone_server(tmp_path) as server:
        run = await run_sipp(
            "call", server.sip_port, caller="many", media={"speech.pcap": words.packets()},
            values={"speech_ms": words.ms + 4_000}, calls=MANY, rate=50,
        )  # fmt: skip
        assert run.code == 0, run.log
        calls = [await server.ear.ended(f"many-{number}", 20) for number in range(1, MANY + 1)]
        assert all(call.is_whole for call in calls)
        assert all(len(call.of("transcript.final")) >= 1 for call in calls)
        wrong = [call.text() for call in calls if normalise(call.text()) != normalise(words.clip.text)]
        assert len(wrong) <= MAY_STALL, wrong
        going_on = await metric(server.url, "rtc_stt_calls")
        assert not any(going_on.values())
