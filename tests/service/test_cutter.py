"""Where recordings are cut: by example, and as properties of any weather."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE, WINDOW, ms_to_samples, samples_to_ms
from rtc_stt.config import Endpointing
from rtc_stt.service.cutter import JOIN_MS, TAIL_MS, Cutter, Stretch
from tests.strategies import PROBABILITY, endpointings

LOUD, SOFT = 0.1, 0.001
OPTIONS = Endpointing()
Weather = list[tuple[int, float, float]]
"""Runs of windows: how many, their probability, their loudness."""


def speech(ms: int, probability: float = 0.95) -> tuple[int, float, float]:
    return round(ms_to_samples(ms) / WINDOW), probability, LOUD


def silence(ms: int, probability: float = 0.02) -> tuple[int, float, float]:
    return round(ms_to_samples(ms) / WINDOW), probability, SOFT


def cut(
    weather: Iterable[tuple[int, float, float]], segment_s: float = 10.0, options: Endpointing = OPTIONS
) -> list[Stretch]:
    cutter, stretches = Cutter(options, segment_s), list[Stretch]()
    for count, probability, rms in weather:
        for _ in range(count):
            stretches += cutter.receive(WINDOW, probability, rms)
    return stretches + cutter.finish()


def length(weather: Iterable[tuple[int, float, float]]) -> int:
    return WINDOW * sum(count for count, _, _ in weather)


def ms(stretch: Stretch) -> tuple[int, int]:
    return samples_to_ms(stretch.start), samples_to_ms(stretch.end)


# ── By example ──


def test_silence_is_no_stretch():
    assert cut([silence(60_000)]) == []


def test_a_clip_is_one_stretch_with_its_edges():
    (only,) = cut([silence(960), speech(1_920), silence(960)])
    assert (samples_to_ms(only.speech_start), samples_to_ms(only.speech_end)) == (960, 2_880)
    assert ms(only) == (960 - OPTIONS.preroll_ms, 2_880 + TAIL_MS)
    assert only.evidence.speech_ms == 1_920
    assert only.evidence.mean_probability == pytest.approx(0.95)


def test_a_clip_that_is_all_speech_and_just_short_enough_is_one_stretch():
    (only,) = cut([speech(9_984)])
    assert ms(only) == (0, 9_984)


def test_edges_are_only_as_long_as_there_is_silence():
    (only,) = cut([silence(96), speech(960), silence(96)])
    assert ms(only) == (0, 96 + 960 + 96)


def test_speech_behind_a_short_pause_belongs_to_it_and_behind_a_long_one_does_not():
    assert len(cut([speech(960), silence(JOIN_MS - 64), speech(960)])) == 1
    first, second = cut([speech(960), silence(JOIN_MS + 96), speech(960)])
    assert first.end < second.start, "what lies between is skipped"
    assert second.start == second.speech_start - ms_to_samples(OPTIONS.preroll_ms)


def test_an_hour_of_silence_between_two_words_costs_nothing():
    first, second = cut([speech(960), silence(3_600_000), speech(960)])
    assert first.end - first.start + second.end - second.start < 4 * SAMPLE_RATE


def test_a_long_stretch_is_cut_in_its_longest_pause():
    first, second = cut([speech(5_600), silence(320), speech(1_600), silence(640), speech(3_200)])
    assert samples_to_ms(first.speech_end) == 5_600 + 320 + 1_600
    assert samples_to_ms(second.speech_start) == 5_600 + 320 + 1_600 + 640
    assert first.end == second.start, "a pause shorter than both edges is divided between them"


def test_of_two_pauses_alike_it_is_cut_in_the_quieter_one():
    loud = (10, 0.02, LOUD / 2)
    first, _ = cut([speech(5_600), silence(320), speech(960), loud, speech(4_800)])
    assert samples_to_ms(first.speech_end) == 5_600


def test_a_pause_in_the_later_half_comes_first():
    early = [speech(960), silence(800), speech(5_600), silence(160), speech(4_800)]
    first, _ = cut(early)
    assert samples_to_ms(first.speech_end) == 960 + 800 + 5_600


def test_where_there_is_none_an_early_one_serves():
    first, _ = cut([speech(960), silence(800), speech(9_600)])
    assert samples_to_ms(first.speech_end) == 960


def test_without_a_pause_it_is_cut_where_it_sounds_least_like_speech():
    soft = [(3, 0.5, LOUD / 20)]
    first, second = cut([speech(7_008), *soft, speech(4_800)])
    assert 7_008 <= samples_to_ms(first.end) <= 7_008 + 96
    assert first.end == second.start


def test_a_click_is_no_speech():
    assert cut([silence(960), (1, 0.99, LOUD), silence(2_000)]) == []


def test_once_someone_speaks_less_is_enough_to_go_on():
    between = (OPTIONS.start_threshold + OPTIONS.stay_threshold) / 2
    assert cut([silence(320), speech(960, between)]) == []
    (only,) = cut([silence(320), speech(320), speech(640, between)])
    assert only.evidence.speech_ms == 960


def test_the_last_window_may_be_short():
    cutter = Cutter(OPTIONS, 10.0)
    for _ in range(20):
        assert cutter.receive(WINDOW, 0.95, LOUD) == []
    assert cutter.receive(100, 0.95, LOUD) == []
    (only,) = cutter.finish()
    assert only.end == 20 * WINDOW + 100
    assert cutter.finish() == []


# ── In any weather ──

WEATHER = st.lists(
    st.tuples(
        st.integers(1, 40) | st.integers(1, 200), PROBABILITY, st.sampled_from([0.0, 0.001, 0.02, 0.1])
    ),
    max_size=30,
)
BOUND = st.sampled_from([3.0, 4.5, 5.017, 25.0])


@given(WEATHER, BOUND, endpointings())
def test_stretches_are_in_order_apart_and_no_longer_than_the_bound(weather, segment_s, options):
    stretches = cut(weather, segment_s, options)
    for stretch in stretches:
        assert 0 <= stretch.start <= stretch.speech_start < stretch.speech_end <= stretch.end
        assert stretch.end <= length(weather)
        assert stretch.end - stretch.start <= ms_to_samples(segment_s * 1000)
        assert stretch.evidence.speech_ms > 0
        assert 0 < stretch.evidence.mean_probability <= 1
    for one, other in pairwise(stretches):
        assert one.end <= other.start


@given(WEATHER, BOUND, endpointings())
def test_no_clear_speech_is_lost(weather, segment_s, options):
    stretches, at = cut(weather, segment_s, options), 0
    for count, probability, _ in weather:
        start, at = at, at + count * WINDOW
        if probability >= options.start_threshold and at - start >= ms_to_samples(options.onset_ms):
            covered = sum(max(0, min(at, s.end) - max(start, s.start)) for s in stretches)
            assert covered == at - start


@given(WEATHER, BOUND, endpointings())
def test_what_is_speech_does_not_depend_on_where_it_is_cut(weather, segment_s, options):
    whole, pieces = cut(weather, 100_000, options), cut(weather, segment_s, options)
    assert sum(s.evidence.speech_ms for s in pieces) == sum(s.evidence.speech_ms for s in whole)


@given(WEATHER, BOUND, endpointings())
def test_what_is_over_does_not_depend_on_what_comes(weather, segment_s, options):
    so_far = cut(weather[: len(weather) // 2], segment_s, options)[:-1]
    assert cut(weather, segment_s, options)[: len(so_far)] == so_far


@given(WEATHER, BOUND, endpointings())
def test_audio_is_kept_only_as_long_as_it_may_be_wanted(weather, segment_s, options):
    cutter, at, kept = Cutter(options, segment_s), 0, 0
    for count, probability, rms in weather:
        for _ in range(count):
            at += WINDOW
            for stretch in cutter.receive(WINDOW, probability, rms):
                assert stretch.start >= kept, "it was let go too early"
            kept = cutter.needs_from
            assert at - kept <= ms_to_samples(segment_s * 1000 + JOIN_MS) + 2 * WINDOW
    for stretch in cutter.finish():
        assert stretch.start >= kept
