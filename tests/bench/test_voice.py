"""A speaker in this process: real time, true times, and nothing lost unseen."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from rtc_stt.bench.clips import Clip
from rtc_stt.bench.live import on_cores
from rtc_stt.bench.voice import Heard, Voice, latencies, loop_lag, on_time, silence
from rtc_stt.decode_pool import DecodePool
from rtc_stt.events import DropReason, SessionError, SpeechStarted, UtteranceDropped
from rtc_stt.hypothesis import Tier
from rtc_stt.session import Speech
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, render
from rtc_stt.vad import VadBatcher

SCRIPT = [Said(300, 600, "hello"), Said(600, 900, "world")]
CLIP = Clip("hello", "hello.flac", "clean", "Hello world.", "en", 200, 800)


@pytest.fixture
async def speech():
    engines = {Tier.FAST: ScriptedEngine(SCRIPT)}
    made = Speech(VadBatcher(ScriptedVad(SCRIPT)), DecodePool(engines, concurrency=1))
    yield made
    await made.aclose()


@pytest.mark.slow
async def test_a_turn_is_spoken_in_real_time_and_measured_against_its_true_times(speech):
    begun = time.monotonic()
    voice = Voice(speech)
    await voice.say(silence(0.1))
    await voice.say_clip(CLIP, render([Said(200, 800, "")], 1_000))
    await voice.say(silence(0.6))
    taken = time.monotonic() - begun
    await voice.leave()
    assert 1.68 <= taken < 3.0
    [turn] = voice.turns
    assert turn.t_on == pytest.approx(voice.pacer.wall(300))
    assert turn.t_off == pytest.approx(voice.pacer.wall(900))
    [(at, final)] = voice.finals_of(turn)
    assert final.text == "hello world"
    assert voice.silent_since is not None
    told = latencies([voice])
    assert (told["turns"], told["turns_without_final"], told["utterances"], told["lost"]) == (1, 0, 1, 0)
    assert told["ttfs_ms"]["p50"] == pytest.approx((at - turn.t_off) * 1000, abs=0.1)
    assert told["ttfs_ms"]["p50"] >= 500  # the hangover
    assert told["ttfp_ms"]["n"] == 1
    assert told["send_lag_ms"]["n"] == 85


async def test_an_utterance_without_an_end_is_lost_and_so_is_one_that_was_cancelled(speech):
    voice = Voice(speech)
    voice.session.abort("cancelled")
    voice.heard = [
        *(Heard(0.0, SpeechStarted(at_ms=1, utterance_id=n, audio_start_ms=0)) for n in (1, 2, 3)),
        Heard(1.0, UtteranceDropped(at_ms=2, utterance_id=1, reason=DropReason.NO_SPEECH)),
        Heard(1.0, UtteranceDropped(at_ms=2, utterance_id=2, reason=DropReason.CANCELLED)),
        Heard(1.0, SessionError(at_ms=3, code="overloaded", message="", fatal=True)),
    ]
    assert (voice.started, voice.lost, voice.errors) == (3, 2, 1)


async def test_the_lag_of_the_loop_is_seen():
    async with loop_lag() as lags:
        await asyncio.sleep(0.03)
        time.sleep(0.06)  # noqa: ASYNC251 - the loop is held up on purpose
        await asyncio.sleep(0.03)
    assert max(lags) > 30


async def test_ticks_that_are_left_come_at_the_end():
    ticks = []
    async with on_time(range(5), lambda: ticks.append(1)):
        await asyncio.sleep(0.01)
    assert len(ticks) == 4  # the fifth was under way


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system keeps nobody to a core")
def test_cores_are_kept_to_and_given_back():
    before = os.sched_getaffinity(0)
    with on_cores(1) as cores:
        assert cores == len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
    with on_cores(1_000) as cores:
        assert cores == len(before)
