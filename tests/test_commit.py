"""Where a long utterance is committed, and which words lie before the point."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, WINDOW, AudioFrame, ms_to_samples, samples_to_ms
from rtc_stt.commit import Commit, Lengths, at_any_price, between_words
from rtc_stt.config import Endpointing
from rtc_stt.endpointer import Endpointer
from rtc_stt.hypothesis import Hypothesis, Word
from rtc_stt.testing import Said, hypothesis, render
from tests.harness import SPEECH, request, said

LENGTHS = Lengths.of(8.0)


def ear(script: list[Said], duration_ms: int) -> Endpointer:
    """An endpointer that heard a script, and took all of it for speech, as detectors do in short pauses."""
    audio = render(script, duration_ms)
    endpointer = Endpointer(Endpointing(max_utterance_s=60))
    for at in range(0, len(audio) - WINDOW + 1, WINDOW):
        endpointer.receive(AudioFrame(at, audio[at : at + WINDOW]), SPEECH)
    return endpointer


def heard(script: list[Said], duration_ms: int, *, timed: bool = True) -> Hypothesis:
    audio = np.zeros(duration_ms * SAMPLE_RATE // 1000, np.float32)
    words = tuple(Word(s.word, s.start_ms, s.end_ms, 0.9) for s in script) if timed else ()
    return hypothesis(request(audio=audio), " ".join(s.word for s in script), words=words)


def flow(*parts: tuple[int, int]) -> list[Said]:
    """Words of 300 ms without a gap: so many from so many ms on, each with a name of its own."""
    words: list[Said] = []
    for count, start in parts:
        words += [
            Said(start + i * 300, start + i * 300 + 300, f"w{len(words) + i}")
            for i in range(count)
        ]  # fmt: skip
    return words


def names(script: list[Said]) -> list[str]:
    return [" " + s.word for s in script]


def test_lengths_follow_from_the_option():
    assert Lengths.of(8.0) == Lengths(after=128_000, patient=256_000, bound=320_000, keep=32_000)
    assert Lengths.of(20.0).bound == Lengths.of(20.0).patient == 25 * SAMPLE_RATE
    assert Lengths.of(3.0).keep == SAMPLE_RATE


def test_nothing_is_committed_before_it_is_time():
    script = flow((10, 0), (12, 3_200))
    assert between_words(names(script), 20, heard(script, 8_000), ear(script, 8_000), LENGTHS) is None


def test_a_pause_between_stable_words_is_taken_with_the_words_before_it():
    script = flow((13, 0), (15, 4_150))
    commit = between_words(names(script), 26, heard(script, 8_650), ear(script, 8_650), LENGTHS)
    assert commit is not None
    assert commit.words == 13
    assert 3_900 <= samples_to_ms(commit.position) <= 4_150


def test_of_two_pauses_the_later_and_of_two_late_ones_the_wider_is_taken():
    script = flow((8, 0), (7, 2_550), (15, 4_800))
    commit = between_words(names(script), 28, heard(script, 9_300), ear(script, 9_300), LENGTHS)
    assert commit is not None
    assert commit.words == 15
    script = flow((13, 0), (4, 4_300), (11, 5_580))
    commit = between_words(names(script), 26, heard(script, 8_880), ear(script, 8_880), LENGTHS)
    assert commit is not None
    assert commit.words == 13


@pytest.mark.parametrize("stable", [0, 12])
def test_a_pause_behind_words_that_may_change_is_not_taken(stable):
    script = flow((13, 0), (15, 4_150))
    assert between_words(names(script), stable, heard(script, 8_650), ear(script, 8_650), LENGTHS) is None


def test_a_pause_is_not_taken_where_too_little_would_be_kept():
    script = flow((23, 0), (5, 7_100))
    assert between_words(names(script), 26, heard(script, 8_600), ear(script, 8_600), LENGTHS) is None


def test_without_a_pause_any_gap_between_words_is_taken_later():
    script = flow((55, 0))
    early, late = script[:52], script
    assert between_words(names(early), 50, heard(early, 15_600), ear(early, 15_600), LENGTHS) is None
    commit = between_words(names(late), 53, heard(late, 16_500), ear(late, 16_500), LENGTHS)
    assert commit is not None
    assert abs(samples_to_ms(commit.position) - commit.words * 300) <= 100 + 32
    assert commit.words >= 44, "the latest of those that are alike"


def test_a_lesser_dip_is_taken_as_time_goes_on():
    script = flow((20, 0), (21, 6_090))
    early = script[:28]
    assert between_words(names(early), 26, heard(early, 8_490), ear(early, 8_490), LENGTHS) is None
    commit = between_words(names(script), 39, heard(script, 12_390), ear(script, 12_390), LENGTHS)
    assert commit is not None
    assert commit.words == 20


def test_a_pause_is_found_where_the_times_are_a_little_wrong():
    script = flow((13, 0), (15, 4_100))
    late = [Said(s.start_ms + 150, s.end_ms + 150, s.word) for s in script]
    commit = between_words(names(script), 26, heard(late, 8_600), ear(script, 8_600), LENGTHS)
    assert commit is not None
    assert 3_900 <= samples_to_ms(commit.position) <= 4_100
    assert commit.words == pytest.approx(13, abs=1)


def test_words_that_share_a_moment_are_only_parted_by_a_pause():
    flat = flow((57, 0))
    heap = hypothesis(
        heard(flat, 17_100).request,
        " ".join(s.word for s in flat),
        words=tuple(
            Word(s.word, s.start_ms // 3_000 * 3_000, s.start_ms // 3_000 * 3_000, 0.9) for s in flat
        ),
    )
    assert between_words(names(flat), 55, heap, ear(flat, 17_100), LENGTHS) is None


def test_words_that_the_hypothesis_tells_otherwise_are_no_place_to_cut():
    script = flow((13, 0), (15, 4_150))
    shown = names(script)
    shown[12] = " else"  # stable, and told otherwise since
    assert between_words(shown, 26, heard(script, 8_650), ear(script, 8_650), LENGTHS) is None


def test_times_that_make_no_sense_do_no_harm():
    script = flow((30, 0))
    odd = hypothesis(
        heard(script, 9_000).request,
        " ".join(s.word for s in script),
        words=tuple(Word(s.word, 90_000 - s.start_ms, 50 - s.end_ms, 0.9) for s in script),
    )
    assert between_words(names(script), 28, odd, ear(script, 9_000), LENGTHS) is None


def test_without_times_the_quietest_place_is_taken_and_words_go_by_proportion():
    script = flow((16, 0), (12, 5_000))
    commit = between_words(names(script), 26, heard(script, 8_600, timed=False), ear(script, 8_600), LENGTHS)
    assert commit is not None
    assert 4_800 <= samples_to_ms(commit.position) <= 5_000
    assert commit.words == pytest.approx(16, abs=1)


def test_without_times_and_without_words_nothing_is_committed():
    script = flow((28, 0))
    silent = hypothesis(heard(script, 8_600).request, "")
    assert between_words(names(script), 26, silent, ear(script, 8_600), LENGTHS) is None


def test_characters_of_unspaced_scripts_share_the_time_of_their_word():
    characters = "我想订一张去上海的票谢谢你好吗"  # 15 of 600 ms, in words of one and two
    words = [Word("我想", 0, 1_200, 0.9), Word("订", 1_200, 1_800, 0.9)]
    words += [Word(c, 1_950 + i * 600, 2_550 + i * 600, 0.9) for i, c in enumerate(characters[3:])]
    script = [Said(w.start_ms, w.end_ms, w.word) for w in words]
    asked = heard(script, 9_000).request
    commit = between_words(
        list(characters), 12, hypothesis(asked, characters, words=tuple(words)), ear(script, 9_000),
        Lengths(after=ms_to_samples(6_000), patient=ms_to_samples(9_500), bound=0, keep=ms_to_samples(6_000)),
    )  # fmt: skip
    assert commit is not None
    assert commit.words == 3
    assert 1_800 <= samples_to_ms(commit.position) <= 1_950


# ── At any price ──


def test_the_quietest_place_of_the_second_half_is_taken_at_any_price():
    script = flow((20, 0), (18, 6_100), (26, 12_000))
    commit = at_any_price(
        names(script), heard(script, 19_800), ear(script, 19_800), LENGTHS, 0, ms_to_samples(20_000)
    )
    assert 11_500 <= samples_to_ms(commit.position) <= 12_000
    assert commit.words == 38


def test_what_is_cut_off_at_any_price_is_no_longer_than_the_bound():
    script = flow((90, 0))
    commit = at_any_price([], None, ear(script, 27_000), LENGTHS, 0, ms_to_samples(27_000))
    assert 0 < commit.position <= LENGTHS.bound


def test_where_nothing_new_was_heard_all_words_are_old():
    commit = at_any_price([" a", " b"], None, ear([], 20_000), LENGTHS, 0, ms_to_samples(20_000))
    assert commit.words == 2


def test_words_that_the_hypothesis_does_not_have_go_by_proportion():
    script = said("x y z", word_ms=4_000)
    words = [f" w{i}" for i in range(20)]
    commit = at_any_price(words, heard(script, 20_000), ear([], 20_000), LENGTHS, 0, ms_to_samples(20_000))
    assert commit.words == pytest.approx(20 * commit.position / ms_to_samples(20_000), abs=1)


def test_where_the_detector_has_no_windows_a_point_is_found_nevertheless():
    endpointer = Endpointer(Endpointing())
    commit = at_any_price([], None, endpointer, LENGTHS, 1_000, 1_000 + LENGTHS.bound)
    assert commit == Commit(1_000 + LENGTHS.bound - LENGTHS.keep, 0)
