"""The wrong order on purpose: ``tools.operations startup``, with what is missing not away for long."""

from __future__ import annotations

import pytest

from tools.operations.startup import marks, tell

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


@pytest.mark.parametrize("story", ["primary, then its fallback", "nginx, then a client, then the gateway"])
async def test_it_heals_by_itself(story: str) -> None:
    told = {story: await tell(story, away_s=0.5)}
    assert [name for name, mark in marks(told).items() if not mark["met"]] == [], told
