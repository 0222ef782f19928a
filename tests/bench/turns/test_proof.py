"""The benchmark proves itself: what a scripted target does it reports, exactly, and who cheats is found out.

On a clock that jumps every figure must be exact; on the real one it must be within 2 ms of what the target
noted itself when it told something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.bench.turns.measure import measure
from rtc_stt.bench.turns.player import Ear, Player
from rtc_stt.bench.turns.result import Result
from rtc_stt.bench.turns.rows import TurnRow
from rtc_stt.bench.turns.run import Plan, run
from rtc_stt.bench.turns.scene import Pause, Scene, Turn
from rtc_stt.bench.turns.targets.scripted import Cue, ScriptedTarget
from rtc_stt.bench.turns.told import Dropped, Endpoint, Failed, Final, Partial
from tests.bench.turns.virtual import audio, scene, sound, turn, virtually

T_ON, T_OFF = 500, 2_000
SAID = "one two three"
"""Its words end at 1000, 1500 and 2000 ms."""
ONE = scene(turn(SAID, T_ON, T_OFF))
EXACT = 1e-6
"""Of a millisecond."""


def plan(*scenes: Scene, **options: object) -> Plan:
    return Plan(scenes or (ONE,), read=audio, **options)


def measured(*cues: Cue, of: Scene = ONE, **options: object) -> Result:
    """The result of one scene in which these are told."""
    return virtually(run(ScriptedTarget(lambda turns: cues), plan(of, **options), lambda: None))


def only(result: Result) -> TurnRow:
    (row,) = result.rows
    return row


def near(value: float) -> object:
    return pytest.approx(value, abs=EXACT)


# ── Delays ────────────────────────────────────────────────────────────


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9_000), st.integers(0, 500))
def test_a_final_is_as_late_as_it_was(final_ms, before_ms):
    endpoint = max(T_OFF, T_OFF + final_ms - before_ms)
    row = only(measured(Cue(endpoint, Endpoint()), Cue(T_OFF + final_ms, Final(SAID))))
    assert row.ttfs_ms == near(final_ms)
    assert row.eou_ms == near(endpoint - T_OFF)
    assert row.endpoint_to_final_ms == near(T_OFF + final_ms - endpoint)
    assert (row.is_timed_out, row.is_cut_off, row.word_errors, row.words) == (False, False, 0, 3)


def test_137_ms_are_137_ms_and_37_without_the_hangover():
    result = measured(Cue(T_OFF + 137, Final(SAID)), hangover_ms=100)
    assert result.summary["all"]["ttfs_ms"] == {"p50": 137.0, "p95": 137.0, "p99": 137.0, "n": 1}
    assert result.summary["all"]["ttfs_less_hangover_ms"]["p50"] == 37.0
    assert not result.void
    assert not result.interrupted


def test_the_first_right_partial_and_the_lag_of_each():
    row = only(
        measured(
            Cue(T_ON + 210, Partial("")),
            Cue(T_ON + 300, Partial("won", audio_end_ms=700)),
            Cue(T_ON + 455, Partial("one", audio_end_ms=850)),
            Cue(T_ON + 900, Partial("one two", audio_end_ms=1_390)),
            Cue(T_OFF + 137, Final(SAID)),
        )
    )
    assert row.ttfp_ms == near(455)
    # The scene was played before, to warm the target: on another line, whose audio does not count.
    assert row.partial_lag_ms == (near(100), near(105), near(10))


def test_when_each_word_came_to_stay():
    row = only(
        measured(
            Cue(1_050, Partial("one")),
            Cue(1_600, Partial("one too")),
            Cue(1_700, Partial("one two")),
            Cue(T_OFF + 137, Final(SAID)),
        )
    )
    assert row.wel_ms == (near(50), near(200), near(137))


def test_a_cold_start_is_told_apart():
    target = ScriptedTarget(lambda turns: [Cue(T_OFF + 137, Final(SAID))], start_s=3.0, connect_s=0.25)
    result = virtually(run(target, plan(), lambda: None))
    assert result.cold["start_ms"] == 3_000
    assert result.cold["connect_ms"] == {"p50": 250.0, "p95": 250.0, "p99": 250.0, "n": 2}
    assert result.cold["first_turn_ttfs_ms"] == near(137)
    assert only(result).ttfs_ms == near(137)


# ── Errors ────────────────────────────────────────────────────────────


def test_words_that_were_taken_back():
    result = measured(
        Cue(1_000, Partial("one")),
        Cue(1_200, Partial("one tree three")),
        Cue(1_400, Partial("one two three")),
        Cue(T_OFF + 137, Final(SAID)),
    )
    row = only(result)
    assert (row.erased_words, row.shown_words, row.revised_words) == (2, 3, 1)
    assert result.summary["all"]["normalized_erasure"] == round(2 / 3, 4)
    assert result.summary["all"]["unstable_word_ratio"] == round(1 / 3, 4)
    assert result.summary["all"]["unstable_turn_ratio"] == 1.0
    assert row.retractions == 0


def test_stable_text_that_was_taken_back():
    row = only(
        measured(
            Cue(1_000, Partial("one two", stable_chars=7)),
            Cue(1_200, Partial("one tree", stable_chars=3)),
            Cue(T_OFF + 137, Final(SAID)),
        )
    )
    assert row.retractions == 1


def test_a_final_that_nobody_said():
    result = measured(Cue(T_OFF + 137, Final(SAID, "1")), Cue(T_OFF + 700, Final("Thanks for watching", "2")))
    assert result.summary["all"]["extra_finals"] == 1
    assert only(result).ttfs_ms == near(137)
    assert only(result).word_errors == 0


@pytest.mark.parametrize(
    "cues", [[], [Cue(T_OFF + 300, Dropped("no_speech"))], [Cue(T_OFF + 300, Final(" "))]]
)
def test_a_final_that_is_missing(cues):
    result = measured(*cues)
    row = only(result)
    assert row.is_timed_out
    assert row.ttfs_ms == 10_000
    assert (row.word_errors, row.words, row.finals) == (3, 3, 0)
    assert result.summary["all"]["timed_out"] == 1


def test_a_final_that_is_later_than_anyone_waits():
    row = only(measured(Cue(T_OFF + 4_500, Final(SAID)), patience_s=4.0))
    assert (row.is_timed_out, row.ttfs_ms) == (True, 4_000)


@pytest.mark.parametrize("length_ms", [300, 600])
def test_a_turn_that_was_cut_off_in_its_pause(length_ms):
    pause = Pause(1_000, 1_000 + length_ms)
    of = scene(turn(SAID, T_ON, T_OFF, pause=pause), set=f"pauses-{length_ms}")
    result = measured(
        Cue(pause.start_ms + 290, Endpoint("1")),
        Cue(pause.start_ms + 295, Final("one", "1")),
        Cue(T_OFF + 137, Final("two three", "2")),
        of=of,
    )
    row = only(result)
    assert row.is_cut_off
    assert (row.finals, row.heard, row.word_errors) == (2, SAID, 0)
    assert row.ttfs_ms == near(137)
    cut_offs = result.summary["sets"][f"pauses-{length_ms}"]["false_cut_offs"]
    assert cut_offs[str(length_ms)] == {"turns": 1, "cut_off": 1, "percent": 100.0}
    assert cut_offs["0"]["turns"] == 0


def test_each_final_goes_to_its_turn():
    two = scene(turn("one two", 500, 1_500, id="1"), turn("three four", 2_100, 3_000, id="2"), id="two")
    result = measured(
        Cue(2_400, Final("one two", "1")),  # while the second is spoken
        Cue(3_000 + 222, Final("three for", "2", degraded=True)),
        of=two,
    )
    first, second = sorted(result.rows, key=lambda row: row.turn)
    assert (first.ttfs_ms, first.word_errors) == (near(900), 0)
    assert (second.ttfs_ms, second.word_errors, second.degraded_finals) == (near(222), 1, 1)
    assert result.summary["all"]["word_error_rate_percent"] == 25.0


# ── What is not valid ────────────────────────────────────────────────────────────


def test_who_waits_for_the_end_of_the_stream_times_out():
    target = ScriptedTarget(lambda turns: [], at_close=[Final(SAID)])
    result = virtually(run(target, plan(), lambda: None))
    assert [line.told[-1].told for line in target.lines] == [Final(SAID)] * 2, "it had the text all the time"
    assert only(result).is_timed_out
    assert result.cold["first_turn_ttfs_ms"] is None


class Holder(ScriptedTarget):
    """Holds the loop for so long each time a tenth frame comes: the sender is late, and it is not."""

    hold_ms = 0.0

    async def connect(self, hear, language):
        line = await super().connect(hear, language)
        send, loop = line.send, asyncio.get_running_loop()

        def slow(frame: np.ndarray) -> None:
            send(frame)
            if line.frames % 10 == 0:
                loop.now += self.hold_ms / 1000

        line.send = slow
        return line


@pytest.mark.parametrize(("hold_ms", "is_void"), [(29.0, False), (31.0, True)])
def test_a_run_whose_frames_left_late_is_void(hold_ms, is_void):
    target = Holder(lambda turns: [Cue(T_OFF + 137, Final(SAID))])
    target.hold_ms = hold_ms  # the next frame is due 20 ms after the one that held
    result = virtually(run(target, plan(), lambda: None))
    assert result.send_lag_ms["p99"] == pytest.approx(hold_ms - 20, abs=1e-3)
    assert result.void is is_void


def test_a_line_that_fails_costs_its_turns_and_no_others():
    scenes = [scene(turn(SAID, T_ON, T_OFF), id=name) for name in "abc"]
    played: list[int] = []

    def script(turns: Sequence[Turn]) -> Sequence[Cue]:
        played.append(len(played))
        failing = len(played) == 3  # the first warms it
        return [Cue(800, Failed("gone"))] if failing else [Cue(T_OFF + 137, Final(SAID))]

    target = ScriptedTarget(script)
    result = virtually(run(target, plan(*scenes), lambda: None))
    assert [row.is_timed_out for row in result.rows] == [False, True, False]
    assert [row.ttfs_ms for row in result.rows] == [near(137), 10_000, near(137)]
    assert result.failures == 1
    assert len(target.lines) == 3
    assert all(line.is_closed for line in target.lines)


# ── The real clock ────────────────────────────────────────────────────────────


async def test_in_real_time_it_is_within_2_ms_of_what_the_target_noted():
    short = scene(turn("one two", 100, 600))
    script = [
        Cue(350, Partial("one")),
        Cue(600 + 60, Endpoint()),
        Cue(600 + 137, Final("one two")),
    ]
    target, ear = ScriptedTarget(lambda turns: script), Ear()
    line = await target.connect(ear, None)
    seen = await Player(line, ear, settle_s=0.1).play(short, sound(short))
    (row,) = measure(seen, patience_s=10.0).rows
    partial, endpoint, final = ((told.at - seen.begun) * 1000 for told in line.told)
    assert row.ttfp_ms == pytest.approx(partial - 100, abs=2)
    assert row.eou_ms == pytest.approx(endpoint - 600, abs=2)
    assert row.ttfs_ms == pytest.approx(final - 600, abs=2)
    assert row.ttfs_ms > 136, "told at its time, or later where the machine is busy, and never before"
