"""Who plays what, in which order, and what becomes of a run that does not end well."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from rtc_stt.bench.turns.conditions import Condition
from rtc_stt.bench.turns.result import Result
from rtc_stt.bench.turns.run import Plan, run, steps
from rtc_stt.bench.turns.targets import KINDS, make
from rtc_stt.bench.turns.targets.scripted import Cue, ScriptedTarget
from rtc_stt.bench.turns.told import Final
from rtc_stt.errors import ConfigError, TargetFailed
from tests.bench.turns.virtual import audio, scene, turn, virtually

SCENES = tuple(scene(turn("one two", 500, 1_500, id=name), id=name) for name in "abcdef")


def prompt(turns):
    return [Cue(turns[-1].end_ms + 100, Final("one two"))]


def plan(**options: object) -> Plan:
    return Plan(**{"scenes": SCENES, "read": audio, **options})


class Ticks:
    """Counts; and breaks the run off, as Ctrl-C does, at one of them."""

    def __init__(self, break_off_at: int = 0) -> None:
        self.count, self._at = 0, break_off_at

    def __call__(self) -> None:
        self.count += 1
        if self.count == self._at:
            (main,) = (t for t in asyncio.all_tasks() if t.get_name() == "main")
            main.cancel()


async def go(target, plan, ticks) -> Result:
    asyncio.current_task().set_name("main")
    return await run(target, plan, ticks)


def test_every_speaker_plays_every_scene_once_a_round_in_an_order_of_its_own():
    ticks = Ticks()
    target, many = ScriptedTarget(prompt), plan(speakers=3, rounds=2)
    result = virtually(go(target, many, ticks))
    assert ticks.count == steps(many) == 1 + 3 * 2 * 6
    orders = {
        (speaker, number): [r.scene for r in result.rows if (r.speaker, r.round) == (speaker, number)]
        for speaker in range(3)
        for number in range(2)
    }
    assert all(sorted(order) == list("abcdef") for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) > 1
    assert all(row.ttfs_ms == pytest.approx(100, abs=1e-6) for row in result.rows)
    assert len(target.lines) == 4, "one to warm it, and one for each speaker"


def test_speakers_do_not_speak_in_step():
    target = ScriptedTarget(prompt)
    virtually(go(target, plan(speakers=4), Ticks()))
    begun = sorted(line.begun for line in target.lines[1:])
    assert 0 < begun[-1] - begun[0] < 1
    assert len(set(begun)) == 4


def test_the_same_seed_gives_the_same_order():
    def order(seed):
        result = virtually(go(ScriptedTarget(prompt), plan(seed=seed), Ticks()))
        return [row.scene for row in result.rows]

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_what_was_measured_before_ctrl_c_stays():
    target = ScriptedTarget(prompt)
    result = virtually(go(target, plan(), Ticks(break_off_at=4)))
    assert result.interrupted
    assert len(result.rows) == 3, "the first warmed it, and the one that was playing had not settled"
    assert result.summary["all"]["turns"] == 3
    assert all(line.is_closed for line in target.lines)
    assert target.is_closed
    assert Result.from_json(result.to_json()).interrupted


def test_ctrl_c_while_it_starts_leaves_a_result_with_nothing_in_it():
    target = ScriptedTarget(prompt, start_s=60)

    async def impatient() -> Result:
        task = asyncio.create_task(run(target, plan(), lambda: None))
        await asyncio.sleep(1)
        task.cancel()
        return await task

    result = virtually(impatient())
    assert (result.interrupted, result.rows, target.is_closed) == (True, [], True)


def test_a_line_that_is_refused_is_tried_again_for_the_next_scene():
    result = virtually(go(ScriptedTarget(prompt, refuses=[1, 2]), plan(), Ticks()))
    assert [row.is_timed_out for row in result.rows] == [True, True, False, False, False, False]
    assert (result.failures, result.interrupted) == (2, False)


def test_a_target_that_refuses_everybody_ends_the_run():
    result = virtually(go(ScriptedTarget(prompt, refuses=range(1, 9)), plan(), Ticks()))
    assert (result.failures, result.interrupted) == (2, True)


def test_a_target_that_takes_not_even_the_first_line_is_none():
    target = ScriptedTarget(prompt, refuses=[0])
    with pytest.raises(TargetFailed, match="refuses"):
        virtually(go(target, plan(), Ticks()))
    assert target.is_closed


def test_the_condition_is_what_the_target_hears():
    heard: list[np.ndarray] = []

    class Listener(ScriptedTarget):
        async def connect(self, hear, language):
            line = await super().connect(hear, language)
            send = line.send
            line.send = lambda frame: (heard.append(frame), send(frame))
            return line

    voice = 0.2 * np.sin(np.arange(32_000) / 5).astype(np.float32)
    noisy = Plan(SCENES[:1], read=lambda _: voice, condition=Condition("white noise", 10))
    result = virtually(go(Listener(prompt), noisy, Ticks()))
    assert result.condition["name"] == "white-noise:10"
    levels = [float(np.sqrt(np.mean(frame**2))) for frame in heard]
    tail = [level for level in levels if level < 0.1]
    assert min(levels) > 0.03, "the noise goes on after the scene"
    assert len(tail) > 10


def test_the_result_names_target_data_and_settings():
    result = virtually(go(ScriptedTarget(prompt), plan(data={"sha256": "abc"}, hangover_ms=300), Ticks()))
    told = result.to_json()
    assert told["target"] == {
        "name": "scripted",
        "kind": "scripted",
        "transport": "none",
        "hangover": "nominal",
    }
    assert (told["hangover_ms"], told["data"], told["speakers"]) == (300, {"sha256": "abc"}, 1)
    assert [line["scene"] for line in told["timelines"]][:1] == [result.rows[0].scene]


def test_targets_are_made_by_name():
    own = {"url": "ws://127.0.0.1:1", "settings": {}}
    options = {
        "in-process": {"make_speech": lambda instrument, changes: None},
        "openai": own,
        "deepgram": own,
        "files": {"settings": {"command": "cat {file}"}},
        "bridge": {"settings": {"command": "python 'my script.py'", "threads": "2"}},
    }
    for kind in KINDS:
        made = make(kind, **options.get(kind, {}))
        assert made.name
        assert made.facts["kind"]
    target = make("websocket", url="http://127.0.0.1:1", hangover_ms=300)
    assert target.facts["server"] == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("telepathy", {}, "there are webrtc"),
        ("in-process", {}, "make_speech"),
        ("in-process", {"make_speech": lambda i, c: None, "url": "http://a"}, "--url"),
        ("websocket", {"network": object()}, "--target webrtc"),
        ("websocket", {"settings": {"model": "a"}}, "it knows none"),
        ("openai", {}, "needs --url, such as wss://"),
        ("openai", {"url": "wss://a", "settings": {"form": "c"}}, "none of ga, beta"),
        ("deepgram", {"url": "wss://a", "settings": {"fnals": "turn"}}, "it knows model, finals"),
        ("files", {}, "either --url"),
        ("files", {"url": "http://a", "settings": {"command": "cat"}}, "either --url"),
        ("bridge", {}, "needs a script"),
        ("bridge", {"settings": {"command": "python a.py", "threads": "two"}}, "no number of threads"),
        ("bridge", {"url": "http://a"}, "has no URL"),
    ],
)
def test_a_target_that_cannot_be_says_why(kind, options, said):
    with pytest.raises(ConfigError, match=said):
        make(kind, **options)


async def test_nobody_at_the_url_is_told_with_what_to_do():
    target = make("websocket", url="http://127.0.0.1:9")
    with pytest.raises(TargetFailed, match="leave out --url"):
        await target.start()
    await target.close()
