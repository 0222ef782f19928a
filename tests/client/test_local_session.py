"""A session in this process, through the same face as one with a server."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from rtc_stt.client import LocalSession
from rtc_stt.errors import Unreachable
from rtc_stt.events import Event, SessionEnded, SpeechStarted, TranscriptFinal
from tests.calls import WORDS
from tests.harness import only, types


def pcm(call) -> bytes:
    return (call.audio * 32767).astype("<i2").tobytes()


async def events(live: LocalSession) -> list[Event]:
    return [event async for event in live]


async def test_audio_in_bytes_of_any_length_becomes_events(call):
    audio = pcm(call)
    async with LocalSession(call.speech) as live:
        for start in range(0, len(audio), 641):
            live.push(audio[start : start + 641])
        await live.stop()
        told = await events(live)
        assert await events(live) == [], "they are told once"
        live.push(audio)
    assert [final.text for final in only(told, TranscriptFinal)] == [WORDS]
    assert types(told)[0] == "session.started"
    assert types(told)[-1] == "session.ended"
    assert live.session_id == told[0].session_id


async def test_a_recording_is_given_as_fast_as_it_is_heard(call):
    async with LocalSession(call.speech) as live:
        await live.send(call.audio)
        await live.stop()
        told = await events(live)
    assert [final.text for final in only(told, TranscriptFinal)] == [WORDS]


async def test_commands_act_on_the_audio_before_them(call):
    async with LocalSession(call.speech) as live:
        await live.configure(word_timestamps=True)
        assert (await live.finalize()).utterance_id is None
        live.push(pcm(call)[: 32 * 1_500])
        assert (await live.finalize()).utterance_id == 1
        await live.mute(True)
        live.push(pcm(call)[32 * 1_500 :])
        await live.stop()
        told = await events(live)
    [final] = only(told, TranscriptFinal)
    assert final.text == "please turn on"
    assert len(final.words) == 3


async def test_what_is_configured_before_it_begins_holds_from_the_start(call):
    live = LocalSession(call.speech)
    await live.configure(word_timestamps=True)
    async with live:
        live.push(pcm(call))
        await live.stop()
        [final] = only(await events(live), TranscriptFinal)
    assert final.words


async def test_who_waits_is_told_that_it_is_over(call):
    call.vad.gate.clear()
    async with LocalSession(call.speech) as live:
        live.push(pcm(call)[:32_000])
        asking = asyncio.create_task(live.finalize())
        await asyncio.sleep(0)
    call.vad.gate.set()
    with pytest.raises(Unreachable):
        await asking
    with pytest.raises(Unreachable):
        await live.finalize()
    assert only(await events(live), SessionEnded)[0].reason == "closed"


async def test_two_share_an_engine(calls):
    call = calls(by_ear=True)
    async with LocalSession(call.speech) as one, LocalSession(call.speech) as other:
        one.push(pcm(call))
        other.push(np.zeros(16_000, "<i2").tobytes())
        await asyncio.gather(one.stop(), other.stop())
        assert only(await events(one), SpeechStarted)
        assert not only(await events(other), SpeechStarted)
