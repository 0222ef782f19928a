"""Somebody honest who calls while others attack: they must not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.words import normalise
from tools.telephony.ear import CallEar
from tools.telephony.packets import speak
from tools.telephony.sipp import run_sipp

__all__ = ["Honest"]

T = TypeVar("T")


class Honest:
    """Calls of sipp that say the same clip, one after the other.

    Args:
        ear: hears the server's calls.
        port: of SIP.
        audio: of the clip: 16 kHz mono.
        text: of the clip.
        name: who calls; the number of the call is put behind it.
    """

    def __init__(self, ear: CallEar, port: int, audio: Samples, text: str, *, name: str = "honest") -> None:
        self.calls = 0
        """Begun so far."""
        self.wrong: list[str] = []
        """What was not as it should be."""
        self._ear, self._port, self._name = ear, port, name
        quiet = np.zeros(SAMPLE_RATE, np.float32)
        self._audio = np.concatenate([quiet[: SAMPLE_RATE // 3], audio, quiet])
        self._text = normalise(text)

    async def call(self, scenario: str = "call", **values: object) -> None:
        """One call; what is wrong with it goes to :attr:`wrong`."""
        self.calls += 1
        name = f"{self._name}-{self.calls}"
        run = await run_sipp(
            scenario, self._port, caller=name, media={"speech.pcap": speak(self._audio)},
            values={"speech_ms": len(self._audio) * 1000 // SAMPLE_RATE, **values},
        )  # fmt: skip
        if run.code:
            self.wrong.append(run.log)
            return
        call = await self._ear.ended(f"{name}-1")
        if normalise(call.text()) != self._text or not call.is_whole:
            self.wrong.append(f"{name}: understood {call.text()!r}, told {[e['type'] for e in call.events]}")

    async def during(self, attack: Coroutine[Any, Any, T]) -> T:
        """Call until the attack is over, once at least; gives its result."""
        attacking = asyncio.ensure_future(attack)
        try:
            await self.call()
            while not attacking.done():
                await self.call()
            return await attacking
        finally:
            attacking.cancel()
