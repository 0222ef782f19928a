"""The figures of one turn, one by one, against observations made by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.measure import measure
from rtc_stt.bench.turns.told import (
    Dropped,
    Eager,
    Endpoint,
    Failed,
    Final,
    Partial,
    Resumed,
)
from tests.bench.turns.observed import observation, row, turn

# The turn "book a table" is spoken from 0 to 750 ms, unless a test says otherwise.
EXACT = 1e-6


def near(value):
    return pytest.approx(value, abs=EXACT)


def test_all_figures_of_a_turn_that_went_well():
    told = row(
        (400, Partial("book", audio_end_ms=300)),
        (700, Partial("Book a", audio_end_ms=560)),
        (1_250, Endpoint()),
        (1_290.5, Final("Book a table.")),
    )
    assert told.heard == "Book a table."
    assert (told.finals, told.is_timed_out, told.is_cut_off) == (1, False, False)
    assert told.ttfs_ms == near(540.5)
    assert told.eou_ms == near(500)
    assert told.endpoint_to_final_ms == near(40.5)
    assert told.ttfp_ms == near(400)
    assert told.wel_ms == near((400 - 250, 700 - 500, 1_290.5 - 750))
    assert told.partial_lag_ms == near((100, 140))
    assert (told.erased_words, told.shown_words, told.revised_words, told.retractions) == (0, 3, 0, 0)
    assert (told.word_errors, told.words, told.char_errors, told.chars) == (0, 3, 0, 10)


# ── TTFS, time-outs ──


def test_ttfs_is_to_the_last_final_with_a_word_in_it():
    told = row((900, Final("book")), (1_100, Final("a table", degraded=True)), (3_000, Final(" . ")))
    assert (told.ttfs_ms, told.heard, told.finals) == (near(350), "book a table", 2)
    assert told.degraded_finals == 1


def test_without_a_final_a_turn_times_out():
    told = row((400, Partial("book")), (1_250, Endpoint()))
    assert told.is_timed_out
    assert (told.ttfs_ms, told.finals, told.heard) == (10_000, 0, "")
    assert told.endpoint_to_final_ms is None
    assert told.eou_ms == near(500)
    assert (told.word_errors, told.words) == (3, 3)


def test_a_final_before_the_true_end_alone_times_out():
    told = row((700, Final("book a")))
    assert (told.is_timed_out, told.ttfs_ms, told.finals, told.heard) == (True, 10_000, 1, "book a")
    assert told.is_cut_off


def test_a_final_after_patience_is_none_in_time():
    assert row((10_750, Final("book a table"))).is_timed_out is False
    assert row((10_751, Final("book a table"))).ttfs_ms == 10_000
    assert row((10_751, Final("book a table"))).is_timed_out


def test_a_line_that_failed_times_out_at_once_and_is_not_listened_to_any_more():
    seen = observation(
        (800, Final("yes")),
        (1_500, Failed("gone")),
        (2_500, Final("no")),
        turns=(turn("yes"), turn("no", 1_000, name="t1")),
        complete=False,
        ended=1_500,
    )
    measured = measure(seen, patience_s=5)
    assert [(told.is_timed_out, told.ttfs_ms) for told in measured.rows] == [
        (False, near(550)),
        (True, 5_000),
    ]
    assert (measured.failures, measured.extra_finals) == (1, 0)


def test_a_turn_that_was_broken_off_without_a_final_has_no_row():
    turns = (turn("yes"), turn("no", 1_000, name="t1"))
    told = ((800, Final("yes")), (1_100, Partial("no")))
    broken = measure(observation(*told, turns=turns, complete=False, ended=1_200), patience_s=10)
    assert [row.turn for row in broken.rows] == ["t0"]
    whole = measure(observation(*told, turns=turns, ended=12_000), patience_s=10)
    assert [row.turn for row in whole.rows] == ["t0", "t1"]
    waited = measure(observation(*told, turns=turns, complete=False, ended=12_000), patience_s=10)
    assert [row.turn for row in waited.rows] == ["t0", "t1"]


def test_a_row_says_what_was_played():
    seen = observation(turns=(turn("yes", pause=300, name="a"),), id="scene", set="pauses-300")
    told = measure(seen, patience_s=1, number=2).rows[0]
    assert (told.scene, told.set, told.turn, told.round, told.speaker) == ("scene", "pauses-300", "a", 2, 0)
    assert (told.language, told.said, told.pause_ms) == ("en", "yes", 300)
    assert (told.ttfs_ms, told.has_partials) == (1_000, False)


# ── Endpoints and cut-offs ──


def test_the_last_endpoint_counts():
    told = row((600, Endpoint()), (1_300, Endpoint()), (1_350, Final("book a table")))
    assert (told.eou_ms, told.endpoint_to_final_ms) == (near(550), near(50))
    assert told.is_cut_off


def test_an_endpoint_may_be_told_after_its_final():
    told = row((900, Final("book a table")), (950, Endpoint()))
    assert (told.eou_ms, told.endpoint_to_final_ms) == (near(200), near(-50))
    assert not told.is_cut_off


def test_where_no_endpoint_is_told_there_is_no_eou():
    told = row((900, Final("book a table")))
    assert (told.eou_ms, told.endpoint_to_final_ms) == (None, None)


@pytest.mark.parametrize(
    ("told", "cut_off"),
    [
        ([(900, Final("book a table"))], False),
        ([(740, Final("book a table"))], True),
        ([(740, Endpoint()), (900, Final("book a table"))], True),
        ([(760, Endpoint()), (900, Final("book a table"))], False),
        ([(900, Final("book")), (910, Final("a table"))], True),
        ([(900, Final("book a table")), (910, Final("."))], False),
        ([(400, Partial("b", utterance="1")), (600, Endpoint("1")), (900, Dropped(utterance="1"))], True),
        ([(900, Final("book a table")), (4_000, Endpoint("2")), (4_100, Final("you", "2"))], False),
    ],
)
def test_cut_off_is_an_end_before_the_end_or_several_finals(told, cut_off):
    assert row(*told).is_cut_off is cut_off


def test_the_endpoint_of_an_extra_final_is_none_of_the_turn():
    seen = observation(
        (1_250, Endpoint("1")),
        (1_300, Final("book a table", "1")),
        (4_000, Endpoint("2")),
        (4_100, Final("thank you", "2")),
        (5_000, Endpoint("3")),
        (5_100, Dropped("noise", "3")),
        turns=(turn("book a table"),),
    )
    measured = measure(seen, patience_s=10)
    assert measured.extra_finals == 1
    assert (measured.rows[0].eou_ms, measured.rows[0].ttfs_ms) == (near(500), near(550))
    assert measured.rows[0].heard == "book a table"


# ── TTFP, partial lag ──


@pytest.mark.parametrize(
    ("told", "ttfp"),
    [
        ([(300, Partial("")), (400, Partial("Book,"))], 400),
        ([(300, Partial("cook")), (500, Partial("book a"))], 500),
        ([(300, Partial("cook"))], None),
        ([(300, Eager("book")), (500, Partial("book"))], 300),
        ([(300, Eager("book")), (400, Resumed()), (500, Partial("book"))], 500),
        ([], None),
    ],
)
def test_ttfp_is_of_the_first_partial_with_the_right_first_word(told, ttfp):
    assert row(*told, (900, Final("book a table"))).ttfp_ms == (None if ttfp is None else near(ttfp))


def test_ttfp_counts_from_the_start_of_speech():
    seen = observation(
        (900, Partial("no")), (1_000, Partial("no")), (1_800, Final("no")), turns=(turn("no", 950),)
    )
    assert measure(seen, patience_s=10).rows[0].ttfp_ms == near(50)


def test_whether_there_were_partials():
    assert row((300, Partial("cook")), (900, Final("book"))).has_partials
    assert row((300, Eager("book")), (900, Final("book"))).has_partials
    assert not row((300, Partial(" ")), (900, Final("book"))).has_partials


def test_partial_lag_is_counted_from_the_start_of_the_line():
    seen = observation(
        (400, Partial("no", audio_end_ms=5_250)),
        (500, Partial("no")),
        (600, Final("no")),
        turns=(turn("no"),),
        line_ms=5_000,
    )
    assert measure(seen, patience_s=10).rows[0].partial_lag_ms == near((150,))


# ── Which turn partials belong to ──


def two_turns(*told):
    turns = (turn("book a table"), turn("for two", 1_000, name="t1"))
    return measure(observation(*told, turns=turns), patience_s=10).rows


def test_partials_belong_to_the_turn_of_the_final_of_their_utterance():
    first, second = two_turns(
        (400, Partial("book", utterance="1")),
        (1_100, Partial("book a table", utterance="1")),
        (1_200, Partial("for", utterance="2")),
        (1_300, Final("book a table", "1")),
        (1_900, Final("for two", "2")),
    )
    assert (first.ttfp_ms, second.ttfp_ms) == (near(400), near(200))
    assert (first.erased_words, second.erased_words) == (0, 0)
    assert second.wel_ms == near((1_200 - 1_250, 1_900 - 1_500))


def test_without_names_partials_belong_to_the_next_final():
    first, second = two_turns(
        (400, Partial("book")),
        (1_100, Partial("book a table")),  # the second turn has begun
        (1_200, Final("book a table")),
        (1_300, Partial("for")),
        (1_900, Final("for two")),
    )
    assert first.wel_ms == near((150, 600, 350))
    assert (first.ttfp_ms, second.ttfp_ms) == (near(400), near(300))


def test_a_partial_that_no_final_follows_belongs_to_the_latest_turn_begun():
    first, second = two_turns((800, Final("book a table")), (1_300, Partial("for")))
    assert (first.has_partials, second.has_partials) == (False, True)
    assert second.ttfp_ms == near(300)
    assert second.is_timed_out


def test_what_is_told_of_an_extra_final_changes_no_turn_but_for_retractions():
    told = row(
        (900, Final("book a table", "1")),
        (2_000, Partial("thank", utterance="2", stable_chars=5)),
        (2_100, Final("you", "2")),
    )
    assert (told.heard, told.erased_words, told.has_partials, told.ttfs_ms) == (
        "book a table", 0, False, near(150),
    )  # fmt: skip
    assert told.retractions == 1


# ── WEL ──


def test_a_word_counts_from_when_it_stands():
    told = row(
        (300, Partial("book")),
        (400, Partial("look")),  # taken back
        (500, Partial("book a")),
        (900, Final("book a table")),
    )
    assert told.wel_ms == near((500 - 250, 500 - 500, 900 - 750))


def test_wrong_words_and_words_without_times_have_no_latency():
    assert row((900, Final("book the table"))).wel_ms == near((650, 150))
    seen = observation((900, Final("no")), turns=(turn("no"),))
    (plain,) = seen.scene.turns
    untimed = type(plain)("t", "no", "en", 0, 250)
    seen = observation((900, Final("no")), turns=(untimed,))
    assert measure(seen, patience_s=10).rows[0].wel_ms == ()


def test_a_word_moves_with_what_is_put_before_it():
    told = row((400, Partial("table")), (600, Partial("a table")), (900, Final("book a table")))
    assert told.wel_ms == near((900 - 250, 600 - 500, 400 - 750))


def test_in_several_finals_each_word_counts_from_where_it_stood_first():
    told = row(
        (300, Partial("book")),
        (400, Final("book")),
        (600, Partial("a")),
        (900, Final("a table")),
    )
    assert told.wel_ms == near((50, 100, 150))


# ── Erasure, revisions ──


@pytest.mark.parametrize(
    ("texts", "erased", "revised"),
    [
        (["book", "book a", "book a table"], 0, 0),
        (["book", "Book,", "book a table."], 0, 0),  # case and punctuation are no words
        (["look", "book a table"], 1, 1),
        (["look at", "book a table"], 2, 2),
        (["book", "", "book a table"], 1, 0),
        (["book a table for", "book a table"], 1, 0),
        (["book", "look", "book a table"], 2, 1),  # right, wrong, right again
        (["a table", "book a table"], 2, 0),  # what is behind the first difference is drawn anew
    ],
)
def test_erased_and_revised_words(texts, erased, revised):
    partials = [(300 + 100 * n, Partial(text)) for n, text in enumerate(texts[:-1])]
    told = row(*partials, (900, Final(texts[-1])))
    assert (told.erased_words, told.revised_words, told.shown_words) == (erased, revised, 3)


def test_an_eager_text_is_on_show_unless_it_was_taken_back():
    stood = row((500, Eager("book a cable")), (900, Final("book a table")))
    assert (stood.erased_words, stood.revised_words) == (1, 1)
    void = row((500, Eager("book a cable")), (600, Resumed()), (900, Final("book a table")))
    assert (void.erased_words, void.revised_words, void.has_partials) == (0, 0, False)


def test_text_that_is_dropped_was_taken_back():
    told = row(
        (300, Partial("cook the", utterance="1")),
        (500, Dropped("noise", "1")),
        (900, Final("book a table", "2")),
    )
    assert (told.erased_words, told.revised_words) == (2, 0)


def test_what_stood_for_under_a_millisecond_was_not_on_show():
    told = row(
        (300, Partial("book a table")),
        (600, Final("book")),
        (600.5, Partial("a table")),
        (900, Final("a table")),
    )
    assert (told.erased_words, told.revised_words) == (0, 0)


# ── Retractions ──


@pytest.mark.parametrize(
    ("told", "retractions"),
    [
        ([Partial("book a", 4), Partial("book the", 4), Final("book a table")], 0),
        ([Partial("book a", 6), Partial("book the", 4), Final("book a table")], 1),
        ([Partial("book a", 6), Final("Book a table")], 1),  # exactly, to the letter
        ([Partial("book a", 4), Partial("book a", 0), Final("look")], 1),  # once stable, always stable
        ([Partial("book a", 6), Partial("look a", 6), Final("look a table")], 1),
        ([Partial("book a", 6), Partial("look a", 6), Final("book a table")], 2),
        ([Partial("book a", 6), Eager("look"), Final("book a table")], 0),  # an eager text is no promise
        ([Partial("book a", 6), Dropped()], 1),
        ([Partial("book a", 0), Dropped()], 0),
        ([Partial("book", 4), Final("book"), Partial("a", 1), Final("a table")], 0),
        ([Partial("book a table", 99), Final("book a table")], 0),
    ],
)
def test_retractions_are_changes_to_text_that_was_declared_stable(told, retractions):
    stamped = [(300 + 100 * n, what) for n, what in enumerate(told)]
    assert row(*stamped).retractions == retractions


# ── Models with random weights ──


def test_where_only_cost_is_measured_texts_mean_nothing():
    seen = observation(
        (400, Partial("zz", audio_end_ms=300)),
        (900, Endpoint()),
        (1_050, Final("zz zz")),
        (1_400, Partial("zz")),
        (2_100, Final("")),
        turns=(turn("book a table"), turn("for two", 1_000, name="t1")),
    )
    measured = measure(seen, patience_s=10, cost_only=True)
    first, second = measured.rows
    assert (first.ttfs_ms, second.ttfs_ms) == (near(300), near(600))
    assert (first.ttfp_ms, second.ttfp_ms) == (near(400), near(400))
    assert (first.eou_ms, first.partial_lag_ms) == (near(150), near((100,)))
    for told in measured.rows:
        assert (told.word_errors, told.words, told.char_errors, told.chars) == (0, 0, 0, 0)
        assert told.wel_ms == ()
    assert measured.extra_finals == 0


# ── What holds of any turn ──

SPOKEN = st.lists(st.sampled_from(["book", "a", "table", "for", "two"]), min_size=1, max_size=6)


@given(st.data(), SPOKEN)
def test_what_only_grows_erases_nothing_and_words_stand_one_after_the_other(data, said):
    lengths = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=6)))
    steps = data.draw(st.lists(st.integers(2, 800), min_size=len(lengths) + 1, max_size=len(lengths) + 1))
    at = [sum(steps[: n + 1]) for n in range(len(steps))]
    end = 250 * len(said)
    partials = [(ms, Partial(" ".join(said[:length]))) for ms, length in zip(at, lengths, strict=False)]
    told = row(*partials, (max(at[-1], end), Final(" ".join(said))), said=" ".join(said))
    assert (told.erased_words, told.revised_words, told.retractions) == (0, 0, 0)
    stands = [wel + 250 * (n + 1) for n, wel in enumerate(told.wel_ms)]
    assert len(stands) == len(said)
    assert all(after >= before - EXACT for before, after in pairwise(stands))
    expected = [
        next((ms for ms, length in zip(at, lengths, strict=False) if length > n), max(at[-1], end))
        for n in range(len(said))
    ]
    assert stands == near(expected)


@given(
    SPOKEN,
    st.floats(0, 9_999),
    st.floats(0, 5_000),
    st.floats(0, 249),
)
def test_what_was_scripted_is_what_is_told(said, ttfs, eou, ttfp):
    end = 250 * len(said)
    script = sorted(
        [
            (end + ttfs, Final(" ".join(said), "1")),
            (end + eou, Endpoint("1")),
            (ttfp, Partial(said[0], 0, "1")),
        ],
        key=lambda item: item[0],
    )
    told = row(*script, said=" ".join(said))
    assert (told.ttfs_ms, told.eou_ms) == (near(ttfs), near(eou))
    assert told.endpoint_to_final_ms == near(ttfs - eou)
    assert told.ttfp_ms == near(ttfp)
    assert not told.is_timed_out


TOLD = st.one_of(
    st.builds(
        Partial,
        st.text("ab ", max_size=6),
        st.integers(0, 8),
        st.sampled_from(["", "1", "2"]),
        st.none() | st.integers(0, 5_000),
    ),
    st.builds(Eager, st.text("ab ", max_size=6), st.sampled_from(["", "1"])),
    st.builds(Resumed, st.sampled_from(["", "1"])),
    st.builds(Endpoint, st.sampled_from(["", "1", "2"])),
    st.builds(Final, st.text("ab ", max_size=6), st.sampled_from(["", "1", "2"])),
    st.builds(Dropped, st.just("noise"), st.sampled_from(["", "1", "2"])),
    st.builds(Failed, st.just("gone")),
)


@given(st.lists(st.tuples(st.integers(0, 4_000), TOLD), max_size=25), st.booleans())
def test_whatever_is_told_figures_add_up(told, cost_only):
    told.sort(key=lambda item: item[0])
    turns = (turn("a b"), turn("b a b", 1_000, name="t1"))
    measured = measure(observation(*told, turns=turns), patience_s=10, cost_only=cost_only)
    assert [row.turn for row in measured.rows] == ["t0", "t1"]
    alive = next((n for n, (_, what) in enumerate(told) if isinstance(what, Failed)), len(told))
    finals = [
        what for _, what in told[:alive] if isinstance(what, Final) and (cost_only or what.text.strip())
    ]
    assert sum(one.finals for one in measured.rows) + measured.extra_finals == len(finals)
    for one in measured.rows:
        assert one.is_timed_out == (one.ttfs_ms == 10_000)
        assert 0 <= one.ttfs_ms <= 10_000
        assert one.revised_words <= one.shown_words == len(one.heard.split())
        assert len(one.wel_ms) <= min(one.shown_words, len(one.said.split()))
        assert one.is_cut_off or one.finals <= 1
        assert one.ttfp_ms is None or (one.has_partials and one.ttfp_ms >= 0)
        assert min(one.erased_words, one.retractions, one.word_errors, one.char_errors) >= 0
