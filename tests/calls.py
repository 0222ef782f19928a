"""A session of a script with real threads beneath: what tests of the pump share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import Origin, ms_to_samples
from rtc_stt.config import Routing
from rtc_stt.decode_pool import DecodePool
from rtc_stt.events import Event
from rtc_stt.hypothesis import Tier
from rtc_stt.instrument import Instrument
from rtc_stt.session import Session, Speech
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, render
from rtc_stt.vad import DetectorState, VadBatcher
from tests.harness import only, said, timed

TIMEOUT_S = 5.0
WORDS = "please turn on the lights now"  # 500 to 2300 ms
SCRIPT = said(WORDS)


class GatedVad(ScriptedVad):
    """Judges only while the gate is open; may be told to fail.

    Args:
        by_ear: judge by loudness: then windows may be left out. The script is judged by position.
    """

    def __init__(self, script: Sequence[Said], *, by_ear: bool = False) -> None:
        super().__init__(script)
        self.by_ear = by_ear
        self.judged = 0
        self.gate = threading.Event()
        self.gate.set()
        self.broken = False

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        assert self.gate.wait(TIMEOUT_S)
        if self.broken:
            raise RuntimeError("broken")
        self.judged += len(windows)
        if self.by_ear:
            return [0.95 if np.abs(window).max() > 0.1 else 0.02 for window in windows]
        return super().detect(states, windows)


class Call:
    """A session, what it told, and the audio of its script.

    Args:
        by_ear: see :class:`GatedVad`.
        session: more for the constructor of :class:`Session`.
    """

    def __init__(
        self,
        script: Sequence[Said] = SCRIPT,
        instrument: Instrument | None = None,
        *,
        by_ear: bool = False,
        **session: Any,
    ) -> None:
        self.vad = GatedVad(script, by_ear=by_ear)
        self.engine = ScriptedEngine(script, answer=timed(script))
        instrument = instrument or Instrument()
        self.speech = Speech(
            VadBatcher(self.vad),
            DecodePool({Tier.FAST: self.engine}, concurrency=2, instrument=instrument),
            routing=Routing(min_words=0),
            instrument=instrument,
        )
        self.told: list[Event] = []
        self.audio = render(script, max([s.end_ms for s in script], default=0) + 2_000)
        self.session = Session(
            self.speech, self.told.append, transport="test", limits={"seats": 1}, **session
        )
        self._at = 0

    def say(self, until_ms: int, chunk_ms: int = 20, origin: Origin = Origin.RECEIVED) -> None:
        end = min(ms_to_samples(until_ms), len(self.audio))
        while self._at < end:
            upto = min(end, self._at + ms_to_samples(chunk_ms))
            self.session.receive_audio(self.audio[self._at : upto], origin)
            self._at = upto

    async def until(self, kind: type[Event], count: int = 1, told: list[Event] | None = None) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while len(only(self.told if told is None else told, kind)) < count:
                await asyncio.sleep(0.001)

    async def settled(self) -> None:
        """Everything that was sent has been heard."""
        async with asyncio.timeout(TIMEOUT_S):
            while self.session._inbox or self.session._judging:
                await asyncio.sleep(0.001)

    async def end(self) -> str:
        return await asyncio.wait_for(asyncio.shield(self.session.ended), TIMEOUT_S)
