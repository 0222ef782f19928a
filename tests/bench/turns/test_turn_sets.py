"""The committed turn sets: all of them load, and their times are those of their sound."""

from __future__ import annotations

import re
from collections import Counter

import av
import numpy as np
import pytest

from rtc_stt.bench import clips
from rtc_stt.bench.turns.manifest import TURNS, load, read_audio
from tools.demo_models.audio import rms, window_power
from tools.demo_models.grammar import all_held_out
from tools.turn_sets.checks import check, is_noisy
from tools.turn_sets.sound import BELOW_PEAK_DB

SCENES = load()
HUMAN = [scene for scene in SCENES if scene.set == "human"]
SYNTHETIC = [scene for scene in SCENES if scene.set != "human"]
CLEAN = [scene for scene in SYNTHETIC if scene.set != "barge-in"]


def named(scenes):
    return {"argvalues": scenes, "ids": [scene.id for scene in scenes]}


def of_set(name):
    return [scene for scene in SCENES if scene.set == name]


def test_the_sets_are_complete_and_small():
    assert Counter(scene.set for scene in SCENES) == {
        "single": 12,
        "pauses-300": 8,
        "pauses-600": 8,
        "back-to-back": 4,
        "barge-in": 4,
        "whisper": 4,
        "monologue": 2,
        "languages": 6,
        "human": 7,
    }
    files = [path for path in TURNS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6e6
    listed = {TURNS / scene.file for scene in SCENES}
    assert {path for path in files if path.suffix == ".flac"} == listed


@pytest.mark.parametrize("scene", **named(SCENES))
def test_its_times_fit_its_sound(scene):
    with av.open(str(TURNS / scene.file)) as container:
        stream = container.streams.audio[0]
        form = (stream.codec_context.name, stream.rate, stream.channels, stream.format.name)
    assert form == ("flac", 16_000, 1, "s16")
    assert list(check(scene, read_audio(scene))) == []


@pytest.mark.parametrize("scene", **named(CLEAN))
def test_a_turn_begins_and_ends_with_its_sound_to_the_window(scene):
    """Found anew from the loudness of the file, and none of it by a detector."""
    power = window_power(read_audio(scene))
    for turn in scene.turns:
        around = slice(turn.start_ms // 5 - 60, turn.end_ms // 5 + 40)
        loud = np.flatnonzero(power[around] > power[around].max() * 10 ** (-BELOW_PEAK_DB / 10))
        loud += around.start
        assert abs(loud[0] * 5 - turn.start_ms) <= 5
        assert abs((loud[-1] + 1) * 5 - turn.end_ms) <= 5
        for pause in turn.pauses:
            before = loud[loud * 5 < pause.start_ms + pause.length_ms // 2][-1]
            after = loud[loud * 5 >= pause.start_ms + pause.length_ms // 2][0]
            assert abs((before + 1) * 5 - pause.start_ms) <= 5
            assert abs(after * 5 - pause.end_ms) <= 5


@pytest.mark.parametrize("length_ms", [300, 600])
def test_pauses_are_of_one_length_and_between_words(length_ms):
    for scene in of_set(f"pauses-{length_ms}"):
        [turn] = scene.turns
        [pause] = turn.pauses
        assert pause.length_ms == length_ms
        assert pause.start_ms in {word.end_ms for word in turn.words[:-1]}
        assert pause.end_ms in {word.start_ms for word in turn.words[1:]}


def test_turns_follow_each_other_after_a_second_or_so():
    for scene in of_set("back-to-back") + of_set("languages"):
        assert len(scene.turns) >= 2
        for before, after in zip(scene.turns, scene.turns[1:], strict=False):
            assert 900 <= after.start_ms - before.end_ms <= 1500


def test_monologues_are_long_and_have_no_real_pause():
    for scene in of_set("monologue"):
        [turn] = scene.turns
        assert 30_000 <= turn.end_ms - turn.start_ms <= 40_000
        assert len(turn.pauses) >= 5
        assert all(120 <= pause.length_ms <= 250 for pause in turn.pauses)


@pytest.mark.parametrize(("number", "below_db"), list(enumerate((18, 18, 12, 12))))
def test_the_agent_is_as_far_under_the_user_as_it_is_said(number, below_db):
    scene = of_set("barge-in")[number]
    samples = read_audio(scene)
    [turn] = scene.turns
    alone = rms(samples[600 * 16 : (turn.start_ms - 50) * 16])
    user = rms(samples[turn.start_ms * 16 : turn.end_ms * 16])
    assert 20 * np.log10(user / alone) == pytest.approx(below_db, abs=3)
    assert is_noisy(scene, samples) == (below_db < 15)
    after = samples[(turn.end_ms + 100) * 16 : (turn.end_ms + 400) * 16]
    assert rms(after) > 10 * rms(samples[-150 * 16 :]), "the agent is still speaking"


def test_languages_alternate_and_all_four_are_there():
    spoken = [tuple(turn.language for turn in scene.turns) for scene in of_set("languages")]
    assert all(first != second for first, second in spoken)
    assert {language for pair in spoken for language in pair} == {"en", "es", "de", "fr"}


def test_every_synthetic_turn_has_words_and_so_have_digits():
    for scene in SYNTHETIC + HUMAN[3:]:
        assert all(turn.words for turn in scene.turns)
    assert not any(turn.words for scene in HUMAN[:3] for turn in scene.turns)
    assert [len(turn.words) for scene in HUMAN[3:] for turn in scene.turns] == [4, 4, 4, 4]


def test_pauses_of_people_are_found_by_loudness():
    [turn] = HUMAN[0].turns
    assert turn.text.startswith("And so, my fellow Americans,")
    lengths = [pause.length_ms for pause in turn.pauses]
    assert len([length for length in lengths if length > 500]) == 3


def test_no_sentence_is_of_the_training_or_of_the_clips():
    known = all_held_out()
    used = {clip.text for clip in clips.load()}
    for scene in SYNTHETIC:
        for turn in scene.turns:
            for sentence in re.findall(r"[^.?]+[.?]", turn.text):
                assert sentence.strip() in known
                assert sentence.strip() not in used


def test_licences_are_told():
    assert {scene.licence for scene in SYNTHETIC} == {"MIT"}
    assert [scene.licence[:13] for scene in HUMAN] == ["public domain"] * 3 + ["CC BY-SA 4.0 "] * 4
