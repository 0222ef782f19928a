"""Which final belongs to which turn."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.bench.turns.attribution import attribute, attribute_by_time
from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.words import word_errors


def turns_of(*texts, length=1_000, gap=500):
    """One after the other, from 0 ms on: the n-th begins at n · (length + gap)."""
    starts = [number * (length + gap) for number in range(len(texts))]
    return [
        Turn(f"t{n}", text, "en", start, start + length)
        for n, (text, start) in enumerate(zip(texts, starts, strict=True))
    ]


@pytest.mark.parametrize(
    ("texts", "finals", "expected"),
    [
        pytest.param(["book a table"], [(1_600, "book a table")], (0,), id="one turn, one final"),
        pytest.param(["book a table"], [(900, "book"), (1_600, "a table")], (0, 0), id="in two parts"),
        pytest.param(["yes"], [(1_600, "yeah")], (0,), id="a wrong word stands for a word"),
        pytest.param(
            ["book a table", "for two"], [(2_000, "book a table"), (3_000, "for two")], (0, 1), id="two turns"
        ),
        pytest.param(
            ["book a table", "for two"],
            [(2_900, "book a table"), (3_000, "for two")],
            (0, 1),
            id="the first came when the second was over",
        ),
        pytest.param(["book a table", "for two"], [(3_000, "for two")], (1,), id="the first was missed"),
        pytest.param(
            ["book a table", "for two"], [(3_000, "book a table")], (0,), id="the second was missed"
        ),
        pytest.param(
            ["book a table", "for two"], [(3_000, "book a table for two")], (0,), id="one final for both"
        ),
        pytest.param(["yes", "yes"], [(1_200, "yes")], (0,), id="the second had not begun"),
        pytest.param(["yes", "yes"], [(1_600, "yes")], (1,), id="a tie goes to the latest begun"),
        pytest.param(["yes", "yes"], [(1_600, "yes"), (1_700, "yes")], (0, 1), id="but none is wasted"),
        pytest.param(
            ["turn on the light", "thanks"],
            [(1_400, "turn on the light"), (1_450, "you"), (3_000, "thanks")],
            (0, None, 1),
            id="an extra one between",
        ),
        pytest.param(["yes"], [(1_200, "yes"), (4_000, "thank you")], (0, None), id="an extra one after"),
        pytest.param(["yes"], [(1_200, "yes"), (4_000, " … ")], (0, 0), id="without a word it is not extra"),
        pytest.param([], [(100, "you")], (None,), id="no turn at all"),
        pytest.param(["a", "b"], [], (), id="no final at all"),
    ],
)
def test_the_turn_of_each_final(texts, finals, expected):
    assert attribute(turns_of(*texts), finals) == expected


def test_what_came_before_anybody_spoke_is_extra():
    turn = Turn("t", "you", "en", 1_000, 2_000)
    assert attribute([turn], [(999, "you"), (2_000, "you")]) == (None, 0)


TEXTS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4), min_size=1, max_size=3)


@given(st.data(), TEXTS)
def test_the_true_texts_in_any_cut_give_the_true_turns(data, texts):
    finals, true = [], []
    turns = turns_of(*(" ".join(words) for words in texts))
    for number, words in enumerate(texts):
        cuts = sorted(data.draw(st.sets(st.integers(1, len(words)), max_size=3)) | {0, len(words)})
        finals += [" ".join(words[start:end]) for start, end in pairwise(cuts)]
        true += [number] * (len(cuts) - 1)
    delays = sorted(data.draw(st.lists(st.integers(0, 9_000), min_size=len(true), max_size=len(true))))
    at = [turns[-1].start_ms + delay for delay in delays]
    assert attribute(turns, list(zip(at, finals, strict=True))) == tuple(true)


@given(
    TEXTS,
    st.lists(
        st.tuples(st.integers(0, 5_000), st.lists(st.sampled_from("abcd"), min_size=1, max_size=3)),
        max_size=4,
    ),
)
def test_no_other_way_has_fewer_errors_and_no_final_is_before_its_turn(texts, heard):
    turns = turns_of(*(" ".join(words) for words in texts))
    finals = [(at, " ".join(words)) for at, words in sorted(heard)]
    found = attribute(turns, finals)
    assert all(n is None or turns[n].start_ms <= at for n, (at, _) in zip(found, finals, strict=True))

    def errors(way):
        """Of finals that belong to no turn, each word is one."""
        texts = [
            " ".join(text for n, (_, text) in zip(way, finals, strict=True) if n == turn)
            for turn in range(len(turns))
        ]
        extra = sum(len(text.split()) for n, (_, text) in zip(way, finals, strict=True) if n is None)
        return extra + sum(word_errors(turn.text, text)[0] for turn, text in zip(turns, texts, strict=True))

    known = [n for n in found if n is not None]
    assert known == sorted(known)
    ways = (
        way
        for way in product(range(len(turns)), repeat=len(finals))
        if list(way) == sorted(way)
        and all(turns[n].start_ms <= at for n, (at, _) in zip(way, finals, strict=True))
    )
    assert errors(found) == min(map(errors, ways))


def test_long_scenes_take_no_time():
    said = [" ".join(f"w{turn}x{n}" for n in range(40)) for turn in range(10)]
    turns = turns_of(*said)
    finals = [(20_000 + n, half) for n, text in enumerate(said) for half in (text[:100], text[100:])]
    assert attribute(turns, finals) == tuple(n // 2 for n in range(20))


@pytest.mark.parametrize(
    ("receipts", "expected"),
    [
        ([1_300, 2_900], (0, 1)),
        ([1_700, 2_900], (0, 1)),  # the first came late
        ([500, 1_300, 2_900], (0, 0, 1)),  # one before its turn was over
        ([2_600, 2_700, 2_800], (0, 1, 1)),
        ([2_900], (0,)),
    ],
)
def test_where_texts_mean_nothing_finals_go_by_time(receipts, expected):
    assert attribute_by_time(turns_of("a", "b"), receipts) == expected


def test_by_time_nothing_belongs_to_what_has_not_begun():
    assert attribute_by_time([Turn("t", "a", "en", 1_000, 2_000)], [999.9, 1_000]) == (None, 0)
