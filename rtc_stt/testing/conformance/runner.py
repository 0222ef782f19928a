"""Holds a conversation with a way, over a network that fails when the conversation says so; judges it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Iterator

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.testing.conformance.checks import Case, complaints, scrub
from rtc_stt.testing.conformance.conversations import Conversation, Fault, Flush, Play
from rtc_stt.testing.conformance.told import Asked, Entry, Failed, Finished, Record, Told
from rtc_stt.testing.conformance.way import Line, Trait, Way, WayFailed
from rtc_stt.testing.tcp_proxy import Direction, TcpProxy

__all__ = ["Violation", "check", "converse", "report"]

OPEN_TIMEOUT_S = 20.0

PATIENCE_S = 40.0
"""From the last audio to the last word: a client that has to find out that its connection is dead, and finds
another way, needs a quarter of a minute."""

SETTLE_S = 0.2
"""After the end nothing is told for so long, at least."""

AHEAD_S = 0.01
"""Shorter waits than this are saved up."""


class Violation(AssertionError):
    """A way does not do what it has to. ``str()`` tells what is wrong, and all that was told."""


async def check(
    way: Way,
    conversation: Conversation,
    *,
    max_wer: float = 0.0,
    pace: float = 1.0,
    patience_s: float = PATIENCE_S,
) -> Record:
    """Hold a conversation and judge it.

    Args:
        max_wer: word errors that are let pass, as a share of the words said: recognition is not what is
            tested, so choose recordings that the models understand, and a bound that fits them.
        pace: how fast audio is given; 1 is as it is spoken. Who is ``LIVE`` gets it at 1 whatever is said.
        patience_s: for all that follows the last audio.

    Returns:
        What was told.

    Raises:
        Violation: something is wrong.
        ValueError: the way lacks what the conversation needs (:meth:`Conversation.suits`).
    """
    if not conversation.suits(way.traits):
        raise ValueError(f"{way.name} cannot hold the conversation {conversation.name!r}")
    record = await converse(way, conversation, pace=pace, patience_s=patience_s)
    case = Case(
        record,
        way.traits,
        conversation.said,
        conversation.turns,
        max_wer,
        way.secrets,
        conversation.cuts,
    )
    if found := complaints(case):
        raise Violation(report(way, conversation, record, found))
    return record


async def converse(
    way: Way, conversation: Conversation, *, pace: float = 1.0, patience_s: float = PATIENCE_S
) -> Record:
    """Hold a conversation; gives all that happened, be it good or bad."""
    log = _Log()
    async with contextlib.AsyncExitStack() as stack:
        proxy = None
        if conversation.breaks:
            proxy = await stack.enter_async_context(TcpProxy(way.url))
            way = way.at(proxy.url)
        line = None
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                line = await way.open(log.hear)
            await _speak(line, conversation, proxy, log, 1.0 if Trait.LIVE in way.traits else pace)
            async with asyncio.timeout(patience_s):
                await line.finish()
            log.note(Finished())
            await asyncio.sleep(SETTLE_S)
        except TimeoutError:
            log.hear(Failed("it takes too long"))
        except WayFailed as error:
            log.hear(Failed(str(error)))
        except Exception as error:  # whatever is wrong with an adapter is no reason to stop the others
            log.hear(Failed(f"the adapter raised {error!r}"))
        finally:
            if line:
                await line.close()
    return Record(tuple(log.entries))


async def _speak(
    line: Line, conversation: Conversation, proxy: TcpProxy | None, log: _Log, pace: float
) -> None:
    sizes = itertools.cycle(conversation.chunks)
    loop = asyncio.get_running_loop()
    due = loop.time()
    for step in conversation.steps:
        if isinstance(step, Play):
            for chunk in _chunks(step.audio, sizes):
                await line.push(chunk)
                due += len(chunk) / 2 / SAMPLE_RATE / pace
                if due - loop.time() > AHEAD_S:
                    await asyncio.sleep(due - loop.time())
        elif isinstance(step, Flush):
            log.note(Asked())
            await line.flush()
        else:
            assert proxy, "a conversation that breaks has a proxy"
            await _break(proxy, step)


async def _break(proxy: TcpProxy, fault: Fault) -> None:
    if fault is Fault.DEAFEN:
        proxy.half_open(Direction.TO_SERVER)
        return
    done: Awaitable[None] | None = getattr(proxy, fault.value)()
    if done is not None:
        await done


def _chunks(audio: Samples, sizes: Iterator[int]) -> Iterator[bytes]:
    pcm = np.clip(np.round(audio * 32767), -32768, 32767).astype("<i2").tobytes()
    start = 0
    while start < len(pcm):
        size = next(sizes)
        yield pcm[start : start + size]
        start += size


class _Log:
    """What happens, and when."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._clock = asyncio.get_running_loop()
        self._begun = self._clock.time()

    def hear(self, told: Told) -> None:
        """The way told this."""
        self.note(told)

    def note(self, what: Told | Asked | Finished) -> None:
        """This happened."""
        self.entries.append(Entry(self._clock.time() - self._begun, what))


def report(way: Way, conversation: Conversation, record: Record, found: list[str]) -> str:
    """What is wrong, and everything that was told; without the way's secrets."""
    lines = [f"{way.name}, {conversation.name}: {len(found)} complaints"]
    lines += [f"  - {words}" for words in found]
    lines += ["  what was told:", *(f"    {entry.at:7.3f} s  {entry.what!r}" for entry in record.entries)]
    return scrub("\n".join(lines), way.secrets)
