"""Frames leave by deadline, what is told is stamped, and the line stays open until all is over."""

from __future__ import annotations

import asyncio

import pytest

from rtc_stt.bench.pacing import FRAME
from rtc_stt.bench.turns.player import Ear, Player
from rtc_stt.bench.turns.targets.scripted import Cue, ScriptedTarget
from rtc_stt.bench.turns.told import Failed, Final, Partial
from tests.bench.turns.virtual import BEGIN, scene, sound, turn, virtually

ONE = scene(turn("one two", 500, 1_500))


def after(ms: float, told):
    """Tell it so long after the end of the last turn."""
    return lambda turns: [Cue(turns[-1].end_ms + ms, told)]


async def play(target, *scenes, **options):
    """The observations of scenes on one line."""
    ear = Ear()
    line = await target.connect(ear, None)
    player = Player(line, ear, **options)
    try:
        return [await player.play(each, sound(each)) for each in scenes]
    finally:
        await line.close()


def test_what_is_told_is_stamped_to_the_millisecond():
    target = ScriptedTarget(lambda turns: [Cue(700, Partial("one")), Cue(1_637, Final("one two"))])
    (seen,) = virtually(play(target, ONE))
    assert seen.begun == BEGIN
    assert [(round((h.at - seen.begun) * 1000, 3), h.told) for h in seen.heard] == [
        (700.0, Partial("one")),
        (1637.0, Final("one two")),
    ]
    assert seen.heard == tuple(target.lines[0].told)
    assert max(seen.send_lag_ms) < 1e-6


def test_the_tail_goes_on_until_it_has_settled():
    target = ScriptedTarget(after(2_000, Final("one two")))
    (seen,) = virtually(play(target, ONE))
    assert seen.wall(1_500 + 2_000 + 1_000) <= seen.ended <= seen.wall(1_500 + 2_000 + 1_000 + 25)
    assert target.lines[0].frames == len(seen.send_lag_ms) == round((seen.ended - seen.begun) / 0.02)


def test_scenes_of_a_line_are_on_one_timeline():
    target = ScriptedTarget(after(137, Final("one two")))
    first, second = virtually(play(target, ONE, ONE))
    assert second.begun == first.wall(len(first.send_lag_ms) * 20)
    assert second.line_ms == len(first.send_lag_ms) * 20
    assert [round((s.heard[-1].at - s.wall(1_500)) * 1000, 3) for s in (first, second)] == [137.0, 137.0]


def test_who_waits_for_the_end_of_the_stream_is_not_heard():
    target = ScriptedTarget(lambda turns: [], at_close=[Final("one two")])
    (seen,) = virtually(play(target, ONE, patience_s=4.0))
    assert seen.heard == ()
    assert seen.wall(1_500 + 4_000) <= seen.ended <= seen.wall(1_500 + 4_000 + 25)
    assert target.lines[0].told, "it spoke when the line was closed"


def test_a_line_that_fails_is_not_spoken_to():
    target = ScriptedTarget(lambda turns: [Cue(700, Failed("gone"))])
    (seen,) = virtually(play(target, ONE))
    assert [h.told for h in seen.heard] == [Failed("gone")]
    assert seen.ended <= seen.wall(725)


def test_a_frame_that_is_late_does_not_make_the_next_ones_late():
    class Busy(ScriptedTarget):
        async def connect(self, hear, language):
            line = await super().connect(hear, language)
            send, loop = line.send, asyncio.get_running_loop()

            def slow(frame):
                send(frame)
                if line.frames == 10:
                    loop.now += 0.05  # somebody holds the loop

            line.send = slow
            return line

    (seen,) = virtually(play(Busy(after(100, Final("one two"))), ONE))
    assert [round(lag) for lag in seen.send_lag_ms[9:14]] == [0, 30, 10, 0, 0]
    assert seen.send_lag_ms[-1] < 1e-6


@pytest.mark.parametrize("length_ms", [20, 990, 1_003])
def test_every_frame_is_whole(length_ms):
    target = ScriptedTarget(after(0, Final("a")))
    (seen,) = virtually(play(target, scene(turn("a", 0, length_ms))))
    assert len(seen.send_lag_ms) == target.lines[0].frames
    assert FRAME == 320
