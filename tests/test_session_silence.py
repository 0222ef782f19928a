"""Silence that a line tells of by its length: a muted track, a black hole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, Origin
from rtc_stt.commands import Mute
from rtc_stt.events import SessionWarning, TranscriptFinal
from rtc_stt.session import MAX_BACKLOG_S
from tests.calls import Call
from tests.harness import only


@pytest.fixture
async def call(calls: Callable[..., Call]) -> Call:
    made = calls(by_ear=True)
    made.session.start()
    return made


@pytest.mark.parametrize("origin", [Origin.RECEIVED, Origin.LOST])
async def test_an_hour_is_no_backlog_and_nothing_to_judge(call, origin):
    call.say(320)
    for _ in range(60):  # at once, as a receiver tells it
        call.session.receive_silence(60 * SAMPLE_RATE, origin)
        assert call.session.backlog_s < MAX_BACKLOG_S / 10
    call.say(640)
    await call.settled()
    assert not call.session.ended.done()
    assert call.vad.judged < 200, "windows at the borders may be judged"
    assert call.session._inbox.received == 3_600_640 * 16


async def test_a_sender_that_was_silent_has_lost_nothing(call):
    call.engine.text = lambda request: "word"
    call.say(1_100)
    call.session.receive_silence(20 * SAMPLE_RATE, Origin.RECEIVED)
    call.say(3_000)
    call.session.finish("done")
    await call.end()
    finals = only(call.told, TranscriptFinal)
    assert len(finals) >= 2
    assert [final.lost_ms for final in finals] == [0] * len(finals)
    assert not only(call.told, SessionWarning)


async def test_any_lengths_add_up(call):
    lengths = [1, 511, 512, 513, 16_000, 3, 0, 70_000]
    for length in lengths:
        call.session.receive_silence(length, Origin.RECEIVED)
        call.session.receive_audio(np.zeros(100, np.float32))
    assert call.session._inbox.received == sum(lengths) + 100 * len(lengths)
    await call.settled()
    assert call.session.backlog_s < 1


async def test_silence_that_was_sent_is_heard_and_what_was_lost_is_not(call):
    call.say(1_000)
    call.session.receive_silence(2 * SAMPLE_RATE, Origin.RECEIVED)
    call.session.receive_silence(4 * SAMPLE_RATE, Origin.LOST)
    call.say(1_500, origin=Origin.LOST)
    call.session.receive_command(Mute(True))
    call.say(2_000)
    call.say(2_200, origin=Origin.CONCEALED)
    assert call.session.heard_s == pytest.approx(1 + 2 + 0.5 + 0.2)
    call.session.finish("stopped")
    call.say(4_000)
    assert call.session.heard_s == pytest.approx(3.7)
