"""Fixtures of the unit tests, and Hypothesis profiles.

The default profile is repeatable; ``HYPOTHESIS_PROFILE=thorough`` searches long and at random.
"""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.calls import Call

COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.generate, Phase.shrink],
}
settings.register_profile("fast", max_examples=100, derandomize=True, **COMMON)
settings.register_profile("thorough", max_examples=1_500, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@pytest.fixture
async def calls() -> AsyncIterator[Callable[..., Call]]:
    """Makes sessions that end with the test: ``calls(script)``."""
    made: list[Call] = []

    def make(*arguments: object, **how: object) -> Call:
        made.append(Call(*arguments, **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for call in made:
        call.vad.gate.set()
        call.session.abort("test")
        await call.speech.aclose()


@pytest.fixture
async def call(calls: Callable[..., Call]) -> Call:
    """A session that has started."""
    made = calls()
    made.session.start()
    return made


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """For tests of how long something takes: thousands of tests leave much to look through, and no server has
    so much."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
