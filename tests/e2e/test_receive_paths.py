"""One short trial of each receive path: two processes, real sockets, DTLS and SRTP."""

from __future__ import annotations

import asyncio

import pytest

from tools.ingest.receive import trial

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


@pytest.mark.parametrize("path", ["stock", "own"])
def test_a_trial(path: str) -> None:
    told = asyncio.run(trial(path, 2, 1.5, {"loss": 0.1}))
    assert told["delay_ms"]["n"] > 50
    media = told["media_time_percent"]
    if path == "own":
        assert media["in_all"] > 95  # what is lost at the very end is not known of
        assert told["delay_ms"]["p50"] < 40
    else:
        assert media["in_all"] < 90
