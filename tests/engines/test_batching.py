"""Which rows share a call: pure planning."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.config import ContextPolicy
from rtc_stt.engines.batching import FULL_FRAMES, LIKE_LENGTH, SLACK_FRAMES, Row, context_frames, plan

ROWS = st.lists(
    st.builds(
        Row,
        index=st.integers(),
        frames=st.integers(1, FULL_FRAMES),
        beam=st.sampled_from([1, 5]),
        prompt_tokens=st.sampled_from([4, 12, 20]),
    ),
    max_size=24,
    unique_by=lambda row: row.index,
)


@given(ROWS)
def test_every_row_is_in_one_batch_with_rows_that_may_share_its_call(rows):
    by_index = {row.index: row for row in rows}
    batches = plan(rows)
    assert sorted(index for batch in batches for index in batch.indices) == sorted(by_index)
    for batch in batches:
        members = [by_index[index] for index in batch.indices]
        assert len({(row.beam, row.prompt_tokens) for row in members}) == 1
        assert batch.frames == max(row.frames for row in members)
        shortest = min(row.frames for row in members)
        assert batch.frames <= max(shortest * LIKE_LENGTH, shortest + SLACK_FRAMES)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = random.sample(rows, len(rows))
    assert {batch.indices for batch in plan(shuffled)} == {batch.indices for batch in plan(rows)}


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=16), st.sampled_from(ContextPolicy))
def test_no_batch_has_the_length_that_is_taken_for_a_spectrogram(lengths, policy):
    rows = [Row(i, context_frames(frames, policy, 80), 1, 4) for i, frames in enumerate(lengths)]
    assert all((batch.frames + 1) // 2 != 80 for batch in plan(rows))


def test_rows_of_like_length_share_and_others_do_not():
    rows = [Row(i, frames, 1, 4) for i, frames in enumerate([300, 310, 440, 900, 100, 140])]
    assert {batch.indices for batch in plan(rows)} == {(0, 1, 2), (3,), (4, 5)}


def test_full_context_makes_all_rows_alike():
    rows = [Row(i, context_frames(f, ContextPolicy.FULL, 80), 1, 4) for i, f in enumerate([50, 900, 2_900])]
    assert [batch.indices for batch in plan(rows)] == [(0, 1, 2)]
