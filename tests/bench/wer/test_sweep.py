"""Curves, front, knee, and how settled that is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.wer.sweep import GRIDS, choose, front, knee, stability, sweep
from rtc_stt.bench.words import word_errors
from rtc_stt.config import Routing
from rtc_stt.config_keys import check_bounds, keys
from tests.bench.wer.made import heard, piece

ROUTING = Routing(logprob_threshold=0.55, langprob_threshold=0.5, min_words=2)


def swept(*heards, routing=ROUTING):
    return sweep(
        heards,
        routing,
        words=np.array([word_errors(h.recording.text, "")[1] for h in heards], float),
        errors=lambda transcript, text: word_errors(transcript, text)[0],
        seconds=lambda cost: cost.wall_s,
    )


def wrong(confidence, **how):
    """Two of four words are wrong, and the accurate tier knows better."""
    return heard("a b c d", piece("a x y d", "a b c d", confidence, **how))


def right(confidence, **how):
    return heard("a b c d", piece("a b c d", "a b c d", confidence, **how))


def worse(confidence):
    return heard("a b c d", piece("a b c d", "x y z", confidence))


def test_each_grid_keeps_to_the_limits_of_its_key():
    for field, grid in GRIDS.items():
        spec = keys(Routing)[field]
        assert list(grid) == sorted(set(grid))
        assert (grid[0], spec.low) == (0, 0)
        for value in grid:
            check_bounds(spec, value, "grid")
            assert spec.kind(value) == value
    assert GRIDS["logprob_threshold"][-1] == keys(Routing)["logprob_threshold"].high == 1


def test_the_curve_of_confidence():
    told = swept(wrong(0.304), right(0.8), wrong(0.9)).curve("CONF_LOGPROB_THRESHOLD")
    assert [(p.low, p.high, p.value) for p in told] == [
        (0.0, 0.3, 0.15),
        (0.31, 0.8, 0.55),
        (0.81, 0.9, 0.85),
        (0.91, 1.0, 0.95),
    ]
    assert [p.wer_percent for p in told] == pytest.approx([100 / 3, 100 / 6, 100 / 6, 0])
    assert [p.redecoded_percent for p in told] == pytest.approx([0, 100 / 3, 200 / 3, 100])
    # An hour each: a second for the fast tier, ten for each one that is decoded again.
    assert [p.cost for p in told] == pytest.approx([1, 13 / 3, 23 / 3, 11])


def test_the_other_keys_move_while_the_rest_stays_as_configured():
    doubted_language = wrong(0.9, language_probability=0.62)
    few_words = heard("a b", piece("a x", "a b"))
    told = swept(doubted_language, few_words, wrong(0.2))
    language = told.curve("CONF_LANGPROB_THRESHOLD")
    assert [(p.low, p.high) for p in language] == [(0.0, 0.6), (0.65, 0.95), (1.0, 1.0)]
    words = told.curve("MIN_WORDS_FOR_CONF")
    assert [(p.low, p.high, p.value) for p in words] == [(0, 2, 1), (3, 4, 3), (5, 10, 7)]
    assert [p.redecoded_percent for p in words] == pytest.approx([100 / 3, 200 / 3, 100])


def test_pieces_of_one_recording_are_routed_one_by_one():
    two = heard("a b c d", piece("a x", "a b", 0.3), piece("c x", "c d", 0.6))
    told = swept(two).curve("CONF_LOGPROB_THRESHOLD")
    assert [p.wer_percent for p in told] == [50, 25, 0]
    assert [p.cost for p in told] == [2, 12, 22]


def test_what_is_no_text_is_decoded_again_at_any_threshold():
    told = swept(heard("a b", piece(None, "a b"))).curve("CONF_LOGPROB_THRESHOLD")
    assert [(p.low, p.high, p.wer_percent, p.redecoded_percent) for p in told] == [(0.0, 1.0, 0, 100)]


confidences = st.floats(0.01, 0.999)


@given(st.lists(st.tuples(confidences, st.booleans()), min_size=1, max_size=12), confidences)
def test_a_point_is_what_the_router_would_do(made, threshold):
    heards = [(wrong if bad else right)(confidence) for confidence, bad in made]
    for point in swept(*heards).curve("CONF_LOGPROB_THRESHOLD"):
        for value in (point.low, point.value, point.high):
            routing = replace(ROUTING, logprob_threshold=value)
            texts = [(h.recording.text, h.routed(routing)) for h in heards]
            errors = sum(word_errors(*pair)[0] for pair in texts)
            again = sum(piece.routed(routing).is_redecoded for h in heards for piece in h.pieces)
            assert point.wer_percent == pytest.approx(100 * errors / (4 * len(heards)))
            assert point.redecoded_percent == pytest.approx(100 * again / len(heards))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_the_front_is_what_nothing_beats(points):
    costs, errors = (np.array(column, float) for column in zip(*points, strict=True))
    found = front(costs, errors)
    kept = {points[i] for i in found}
    beaten = {
        (c, e) for c, e in points if any(oc <= c and oe <= e and (oc, oe) != (c, e) for oc, oe in points)
    }
    assert kept == set(points) - beaten
    assert len(found) == len(kept)
    assert list(costs[found]) == sorted(costs[found])


def test_the_knee_is_farthest_below_the_chord():
    costs, errors = np.array([10.0, 12, 15, 30, 110]), np.array([9.0, 4, 2, 1.5, 1])
    assert knee(costs, errors) == 2
    # Scale and place of the axes have no say in it.
    assert knee(1_000 * costs + 5, errors / 7 + 3) == 2


def test_a_straight_or_bulging_front_has_no_knee():
    assert knee(np.array([1.0]), np.array([1.0])) is None
    assert knee(np.array([1.0, 2]), np.array([2.0, 1])) is None
    assert knee(np.array([0.0, 1, 2]), np.array([2.0, 1, 0])) is None
    assert knee(np.array([0.0, 1, 2]), np.array([2.0, 1.9, 0])) is None


def bent(count):
    """Two of ten recordings are wrong and unsure, one is wrong and sure, seven are right, some unsure."""
    ten = [wrong(0.2), wrong(0.25), wrong(0.93), *(right(0.5 + n / 16) for n in range(7))]
    return ten * count


def test_the_knee_of_recordings_is_recommended():
    told = swept(*bent(10))
    choice = choose(told)
    assert choice.has_bend
    assert choice.point.key == "CONF_LOGPROB_THRESHOLD"
    assert (choice.point.low, choice.point.high) == (0.26, 0.5)
    assert choice.point.wer_percent == 5.0
    settled = stability(told, choice, 100)
    assert settled.draws == 100
    assert settled.same_key_percent == 100
    assert settled.value_95 == (0.38, 0.38)
    assert settled.unseen_wer_percent == pytest.approx(5, abs=1)


def test_without_a_bend_the_better_end_is_taken_where_it_is_surely_better():
    told = swept(*[wrong(0.9)] * 30)
    choice = choose(told)
    assert not choice.has_bend
    assert (choice.point.low, choice.point.wer_percent) == (0.91, 0)
    assert stability(told, choice, 20).value_95 == (0.95, 0.95)


def test_without_a_bend_the_cheap_end_is_taken_where_that_may_be_chance():
    told = swept(wrong(0.9), *[right(0.9)] * 30)
    choice = choose(told)
    assert not choice.has_bend
    assert choice.point.low == 0.0
    assert choice.point.redecoded_percent == 0


def test_where_decoding_again_only_harms_it_is_not_recommended():
    told = swept(*[worse(0.5)] * 20)
    choice = choose(told)
    assert choice.point.redecoded_percent == 0
    assert len(choice.front) == 1
    assert stability(told, choice, 20).unseen_wer_percent == 0.0


def test_one_recording_has_none_that_had_no_part_in_the_choice():
    told = swept(right(0.9))
    assert stability(told, choose(told), 20).unseen_wer_percent is None
