"""The wrong order on purpose: ``tools.operations startup``, with what is missing not away for long."""

from __future__ import annotations

import pytest

from tools.operations.startup import marks, tell

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

STORY = "primary, then its fallback"
"""The others take longer: each waits for somebody to have said something."""


async def test_a_primary_without_its_fallback_says_so_and_is_whole_when_it_comes() -> None:
    told = {STORY: await tell(STORY, away_s=0.5)}
    assert [name for name, mark in marks(told).items() if not mark["met"]] == [], told
