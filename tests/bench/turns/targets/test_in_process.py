"""A session in this process, on scripted models."""

from __future__ import annotations

import asyncio

import pytest

from rtc_stt.bench.turns.conditions import CLEAN, apply
from rtc_stt.bench.turns.player import Ear, Player
from rtc_stt.bench.turns.scene import Scene, Turn
from rtc_stt.bench.turns.settling import is_over
from rtc_stt.bench.turns.targets.in_process import InProcess
from rtc_stt.bench.turns.told import Endpoint, Final, Partial
from rtc_stt.decode_pool import DecodePool
from rtc_stt.errors import TargetFailed
from rtc_stt.hypothesis import Tier
from rtc_stt.session import Speech
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, render
from rtc_stt.vad import VadBatcher

SCRIPT = [Said(200, 500, "hello"), Said(500, 800, "there")]


def scripted_speech(instrument, changes):
    pool = DecodePool({Tier.FAST: ScriptedEngine(SCRIPT)}, concurrency=1, instrument=instrument)
    return Speech(vad=VadBatcher(ScriptedVad(SCRIPT)), pool=pool, instrument=instrument)


async def test_a_turn_is_heard_with_its_endpoint_and_its_final():
    target = InProcess(scripted_speech, hangover_ms=200)
    await target.start()
    ear = Ear()
    line = await target.connect(ear, None)
    try:
        spoken = Scene("a", "single", "a.flac", (Turn("1", "hello there", "en", 200, 800),))
        seen = await Player(line, ear, settle_s=0.1).play(spoken, apply(CLEAN, render(SCRIPT, 900), 1))
    finally:
        await line.close()
        await target.close()
    told = [item.told for item in seen.heard]
    assert Final("hello there", "1") in told
    assert told.index(Endpoint("1")) < told.index(Final("hello there", "1"))
    assert any(isinstance(item, Partial) and item.audio_end_ms for item in told)
    assert is_over(seen.heard, seen.wall(800), seen.ended, settle_s=0.1)
    endpoint = next(item.at for item in seen.heard if isinstance(item.told, Endpoint))
    assert endpoint >= seen.wall(800 + 200 - 40), "the hangover was that of the benchmark"
    heard = len(ear.heard)
    await asyncio.sleep(0.05)
    assert len(ear.heard) == heard, "who has hung up hears nothing more"
    assert target.facts["models"]["fast"]


async def test_it_must_be_started():
    with pytest.raises(TargetFailed):
        await InProcess(scripted_speech).connect(lambda told: None, None)
