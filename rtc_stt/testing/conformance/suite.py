"""Every conversation with every way, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rtc_stt.testing.conformance.conversations import Conversation
from rtc_stt.testing.conformance.runner import PATIENCE_S, Violation, check
from rtc_stt.testing.conformance.way import Way

__all__ = ["Outcome", "hold_all"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one conversation with one way."""

    way: str
    conversation: str
    seconds: float
    """That it took."""
    violation: str | None = None
    """What is wrong, and all that was told; None where nothing is."""


async def hold_all(
    ways: Iterable[Way],
    conversations: Iterable[Conversation],
    *,
    at_once: int = 8,
    max_wer: float = 0.0,
    pace: float = 1.0,
    patience_s: float = PATIENCE_S,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Hold each conversation with each way that it suits. See :func:`~rtc_stt.testing.conformance.check`.

    Args:
        at_once: how many. Each is a speaker to the server: it has to be able to carry them.
        on_outcome: told each outcome when it is there.

    Returns:
        The outcomes, way by way.
    """
    places = asyncio.Semaphore(at_once)
    loop = asyncio.get_running_loop()

    async def hold(way: Way, conversation: Conversation) -> Outcome:
        async with places:
            begun, violation = loop.time(), None
            try:
                await check(way, conversation, max_wer=max_wer, pace=pace, patience_s=patience_s)
            except Violation as found:
                violation = str(found)
            outcome = Outcome(way.name, conversation.name, loop.time() - begun, violation)
        on_outcome(outcome)
        return outcome

    pairs = [(way, one) for way in ways for one in conversations if one.suits(way.traits)]
    # Those with a network that fails take long: they go first, so that nobody waits for them at the end.
    order = sorted(range(len(pairs)), key=lambda i: (not pairs[i][1].breaks, -pairs[i][1].seconds))
    outcomes = await asyncio.gather(*[hold(*pairs[i]) for i in order])
    return [outcome for _, outcome in sorted(zip(order, outcomes, strict=True), key=lambda one: one[0])]
