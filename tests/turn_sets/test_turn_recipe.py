"""The recipe of the turn sets: exact times, the same samples each time, a check that finds what is wrong."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.bench.turns.manifest import TURNS, load, read_audio
from rtc_stt.bench.turns.scene import Pause, Scene, SpokenWord, Turn
from tools.demo_models.audio import rms, window_power
from tools.demo_models.voices import Speech, Word
from tools.turn_sets import __main__ as command
from tools.turn_sets.checks import check, is_noisy
from tools.turn_sets.making import recipes
from tools.turn_sets.sound import MARGIN_MS, lay, spoken


def espeak_version():
    try:
        library = ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        return "none"
    library.espeak_Info.restype = ctypes.c_char_p
    return library.espeak_Info(None).decode()


# ── Where sound is put ──


def tone(lead_ms, lasts_ms, tail_ms, level=0.5):
    """Silence, a tone, silence: lengths that are no whole windows."""
    sound = level * np.sin(np.arange(lasts_ms * 16) * 2 * np.pi * 440 / 16_000)
    return np.concatenate([np.zeros(lead_ms * 16), sound, np.zeros(tail_ms * 16)]).astype(np.float32)


def said(text, lead_ms, lasts_ms):
    words = text.split()
    edges = np.linspace(lead_ms, lead_ms + lasts_ms, len(words) + 1) / 1000
    heard = [Word(*each) for each in zip(words, edges, edges[1:], strict=False)]
    return Speech(tone(lead_ms, lasts_ms, 37), tuple(heard))


LENGTHS = st.tuples(st.integers(0, 80), st.integers(50, 300))
GAPS = st.integers(1, 200).map(lambda windows: windows * 5)


@settings(max_examples=25)
@given(st.lists(st.tuples(LENGTHS, GAPS), min_size=1, max_size=4), st.integers(60, 120), GAPS)
def test_gaps_are_exact_wherever_the_sound_lay(parts, lead_windows, tail_ms):
    speeches = [("to be", said("to be", *length)) for length, _ in parts]
    gaps = [gap for _, gap in parts[1:]]
    one = spoken(speeches, gaps)
    assert [pause.length_ms for pause in one.pauses] == gaps
    assert one.text == " ".join(["to be"] * len(parts))
    samples, [shift] = lay([one], lead_windows * 5, [], tail_ms + 50)
    turn = one.turn("a", "en", shift)
    power = window_power(samples)
    loud = np.flatnonzero(power > power.max() * 1e-4)
    assert (loud[0] * 5, (loud[-1] + 1) * 5) == (turn.start_ms, turn.end_ms)
    assert turn.start_ms == lead_windows * 5
    assert len(samples) == (turn.end_ms + tail_ms + 50) * 16
    for pause in turn.pauses:
        inner = power[(pause.start_ms + MARGIN_MS) // 5 : (pause.end_ms - MARGIN_MS) // 5]
        assert inner.max(initial=0) == 0
    assert (turn.words[0].start_ms, turn.words[-1].end_ms) == (turn.start_ms, turn.end_ms)


def test_turns_are_laid_with_exact_gaps_and_levels():
    one = spoken([("One.", said("One.", 13, 400))]).at_level(-26)
    two = spoken([("Two.", said("Two.", 0, 200))]).at_level(-36)
    samples, shifts = lay([one, two], 300, [900], 200)
    first, second = (turn.turn("x", "en", at) for turn, at in zip((one, two), shifts, strict=True))
    assert second.start_ms - first.end_ms == 900
    for turn, level in ((first, -26), (second, -36)):
        there = samples[turn.start_ms * 16 : turn.end_ms * 16]
        assert 20 * np.log10(rms(there)) == pytest.approx(level, abs=0.01)


# ── The check ──


@pytest.fixture
def talk():
    """A word, a pause and a word; the scene and its sound."""
    samples = np.concatenate([tone(400, 300, 300), tone(0, 300, 400)])
    words = (SpokenWord("to", 400, 700), SpokenWord("be", 1000, 1300))
    turn = Turn("t", "to be", "en", 400, 1300, words, (Pause(700, 1000),))
    return Scene("s", "own", "s.wav", (turn,)), samples


def moved(scene, **changed):
    return replace(scene, turns=(replace(scene.turns[0], **changed),))


def test_what_is_right_passes(talk):
    assert list(check(*talk)) == []
    assert not is_noisy(*talk)


WRONG = {
    "no lead": ({"start_ms": 200}, "only 200 ms before"),
    "no tail": ({"end_ms": 1600}, "only 100 ms after"),
    "a start that is early": ({"start_ms": 300, "words": ()}, "begins at 300 ms, but"),
    "a start that is late": ({"start_ms": 500, "words": ()}, "between 400 and 500 ms, before it begins"),
    "an end that is early": ({"end_ms": 1200, "words": ()}, "between 1200 and 1300 ms, after it has ended"),
    "an end that is late": ({"end_ms": 1400, "words": ()}, "ends at 1400 ms, but"),
    "a pause with sound": ({"pauses": (Pause(600, 1000),)}, "between 600 and 1000 ms, in a pause"),
    "a word of silence": ({"words": (SpokenWord("to", 750, 950),)}, "where a word is to be, 750 to 950"),
}


@pytest.mark.parametrize(("changed", "told"), WRONG.values(), ids=WRONG.keys())
def test_times_that_cannot_be_right_are_found(talk, changed, told):
    scene, samples = talk
    lines = list(check(moved(scene, **changed), samples))
    assert any(told in line for line in lines), lines


def test_silence_is_no_turn(talk):
    scene, samples = talk
    assert list(check(scene, samples * 0)) == ["t: there is no sound in it"]


def test_in_noise_only_the_words_are_checked(talk):
    scene, samples = talk
    noisy = samples + np.random.default_rng(1).standard_normal(len(samples)).astype(np.float32) * 0.1
    assert is_noisy(scene, noisy)
    assert list(check(moved(scene, pauses=(Pause(600, 1000),)), noisy)) == []


# ── The command ──


@pytest.mark.slow
@pytest.mark.skipif(
    not espeak_version().startswith("1.51"),
    reason=f"the sets are made with espeak-ng 1.51; here is {espeak_version()}",
)
def test_a_set_is_made_again_to_the_sample(tmp_path, capsys):
    assert command.main(["make", "--out", str(tmp_path), "--sets", "whisper"]) == 0
    assert "4 scenes" in capsys.readouterr().out
    committed = load(TURNS, ["whisper"])
    again = load(tmp_path)
    assert again == committed
    for one, other in zip(again, committed, strict=True):
        np.testing.assert_array_equal(read_audio(one), read_audio(other))
    assert command.main(["check", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["make", "--sets", "loud"], "there is no set 'loud', only single"),
        (["make", "--sets", "human"], "name their folder with --human"),
        (["check", "nowhere"], "no folder of turns"),
    ],
)
def test_what_cannot_be_done_is_told(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(arguments) == 1
    assert told in capsys.readouterr().err


def test_a_wrong_folder_fails_its_check(tmp_path, talk, capsys):
    from tools.demo_models.audio import write_wav
    from tools.turn_sets.making import manifest

    scene, samples = talk
    write_wav(tmp_path / "s.wav", samples)
    (tmp_path / "turns.json").write_text(manifest([moved(scene, start_ms=300, words=())]))
    assert command.main(["check", str(tmp_path)]) == 1
    assert "begins at 300 ms" in capsys.readouterr().out


def test_scenes_of_people_are_made_only_of_their_recordings(tmp_path):
    assert recipes(["human"], None) == []
    assert len(recipes(["human", "whisper"], tmp_path)) == 11
