"""A hub with real sessions behind it, and a source that does as it is told.

Engine and detector judge what they are given, so that audio of one leg that got into another would be heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.decode_pool import DecodePool
from rtc_stt.events import Event
from rtc_stt.hypothesis import DecodeRequest, Tier
from rtc_stt.instrument import Instrument
from rtc_stt.session import Speech
from rtc_stt.testing import ScriptedEngine, ScriptedVad
from rtc_stt.vad import DetectorState, VadBatcher
from signaling.auth import OPEN, Authority
from signaling.door import Door
from signaling.key_file import ApiKey
from signaling.registry import Registry
from signaling.settings import Access, Server, WebRtc
from signaling.telephony.call import Call
from signaling.telephony.call_events import CallEvent
from signaling.telephony.call_source import CallDetails
from signaling.telephony.hub import CallHub
from signaling.telephony.settings import Telephony

LOW, HIGH = 220, 880
"""Hertz of two voices."""

NAMES = {LOW: "low", HIGH: "high"}


def tone(hertz: int, seconds: float) -> Samples:
    t = np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.full(round(seconds * SAMPLE_RATE), 1e-4, np.float32)


def utterance(hertz: int) -> Samples:
    """A word and the silence that ends it."""
    return np.concatenate([silence(0.3), tone(hertz, 0.8), silence(1.0)])


class LoudVad(ScriptedVad):
    """Speech is what is loud."""

    def __init__(self) -> None:
        super().__init__([])

    def detect(self, states: Sequence[DetectorState], windows: npt.NDArray[np.float32]) -> list[float]:
        return [0.95 if np.abs(window).max() > 0.05 else 0.02 for window in windows]


class ToneEngine(ScriptedEngine):
    """Hears whose voice it is: ``low``, ``high``, or both."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__([], delay_s=delay_s)

    def text(self, request: DecodeRequest) -> str:
        heard = set()
        for start in range(0, len(request.audio) - 800, 800):  # 50 ms
            piece = request.audio[start : start + 800]
            if np.abs(piece).max() > 0.25 and np.abs(piece[:80]).max() > 0.25:
                crossings = np.count_nonzero(np.diff(np.signbit(piece)))
                heard.add(min(NAMES, key=lambda hertz: abs(hertz - crossings * 10)))
        return " ".join(NAMES[hertz] for hertz in sorted(heard))


class FakeSource:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Event]] = []
        self.reasons: list[str] = []
        self.played_out = 0
        self.fails = False

    def tell(self, leg: str, event: Event) -> None:
        self.told.append((leg, event))
        self._fail()

    def play_out(self) -> None:
        self.played_out += 1
        self._fail()

    def hang_up(self, reason: str) -> None:
        self.reasons.append(reason)
        self._fail()

    def _fail(self) -> None:
        if self.fails:
            raise ZeroDivisionError


class Notes(Instrument):
    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def call_began(self, source: str) -> None:
        self.told.append(("began", source))

    def call_ended(self, source: str, reason: str, seconds: float) -> None:
        self.told.append(("ended", source, reason))

    def phone_refused(self, reason: str) -> None:
        self.told.append(("refused", reason))

    def webhook_settled(self, result: str) -> None:
        self.told.append(("webhook", str(result)))

    def dead_letter_lost(self) -> None:
        self.told.append(("lost",))


class House:
    """The hub, all that is behind it, and what was told."""

    def __init__(
        self,
        *,
        access: dict[str, Any],
        server: dict[str, Any],
        keys: Sequence[ApiKey],
        max_call_s: float,
        delay_s: float,
        **telephony: Any,
    ) -> None:
        self.notes = Notes()
        self.engine = ToneEngine(delay_s)
        self.speech = Speech(
            VadBatcher(LoudVad()),
            DecodePool({Tier.FAST: self.engine}, concurrency=1, instrument=self.notes),
            instrument=self.notes,
        )
        settings = Server(**server)
        self.registry = Registry(self.speech, settings, WebRtc())
        self.door = Door(settings, Access(**access), self.notes)
        self.registry.watch = self.door.watch
        self.authority = Authority(keys, b"s" * 32, token_seconds=60)
        self.hub = CallHub(
            self.registry,
            self.door,
            Telephony(**telephony),
            authority=self.authority,
            instrument=self.notes,
            max_call_s=max_call_s,
        )
        self.heard: list[tuple[str, CallEvent]] = []
        self.hub.subscribe(lambda call, event: self.heard.append((call.id, event)))

    def begin(self, **details: Any) -> tuple[Call, FakeSource]:
        source = FakeSource()
        return self.hub.begin(CallDetails(**{"source": "sip", "owner": OPEN} | details), source), source

    def told(self, call: Call) -> list[dict[str, Any]]:
        """What was published of a call."""
        return [json.loads(event.text) for call_id, event in self.heard if call_id == call.id]


@contextlib.asynccontextmanager
async def a_house(
    *,
    access: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    keys: Sequence[ApiKey] = (),
    max_call_s: float = 0.0,
    delay_s: float = 0.0,
    **telephony: Any,
) -> AsyncIterator[House]:
    """One that leaves nothing behind."""
    house = House(
        access=access or {},
        server=server or {},
        keys=keys,
        max_call_s=max_call_s,
        delay_s=delay_s,
        **telephony,
    )
    try:
        yield house
    finally:
        await house.registry.drain(1.0)
        await house.hub.drain(1.0)
        house.hub.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not house.registry._tasks
        assert len(house.registry) == 0
        assert len(house.hub) == 0
        assert house.door.sessions == 0
        await house.speech.aclose()


async def ended(call: Call, seconds: float = 5.0) -> str:
    """Why it ended; with time for what follows from it."""
    async with asyncio.timeout(seconds):
        reason = await asyncio.shield(call.ended)
    for _ in range(3):
        await asyncio.sleep(0)
    return reason
