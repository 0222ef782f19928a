"""Frames and buffers: samples are neither lost, doubled nor moved."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import WINDOW, AudioBuffer, AudioFrame, Origin, Windower, ms_to_samples, samples_to_ms


def ramp(n: int, start: int = 0) -> np.ndarray:
    return np.arange(start, start + n, dtype=np.float32)


@given(st.lists(st.integers(0, 2_000), max_size=20))
def test_frames_hold_the_samples_of_the_chunks_in_order_and_do_not_depend_on_the_chunks(sizes):
    audio, windower, frames, at = ramp(sum(sizes)), Windower(), [], 0
    for size in sizes:
        frames += windower.push(audio[at : at + size])
        at += size
        assert windower.received == at
    assert all(len(f.samples) == WINDOW for f in frames)
    if tail := windower.flush():
        frames.append(tail)
    assert [f.start for f in frames] == list(range(0, len(audio), WINDOW))
    np.testing.assert_array_equal(np.concatenate([f.samples for f in frames] or [ramp(0)]), audio)


@given(st.lists(st.tuples(st.integers(0, 1_500), st.sampled_from(Origin)), max_size=20))
def test_frames_know_how_many_of_their_samples_are_of_which_origin(pieces):
    windower, frames = Windower(), []
    for size, origin in pieces:
        frames += windower.push(ramp(size), origin)
    if tail := windower.flush():
        frames.append(tail)
    of = [origin for size, origin in pieces for _ in range(size)]
    for frame in frames:
        inside = of[frame.start : frame.end]
        assert frame.concealed == inside.count(Origin.CONCEALED)
        assert frame.lost == inside.count(Origin.LOST)
        assert frame.is_lost == (set(inside) == {Origin.LOST})


def test_windows_that_nobody_heard_are_skipped_between_two_that_were():
    windower = Windower()
    [first] = windower.push(ramp(WINDOW))
    assert windower.skip(3) == WINDOW
    [second] = windower.push(ramp(WINDOW))
    assert (first.start, second.start) == (0, 4 * WINDOW)
    assert windower.received == 5 * WINDOW


def test_a_flushed_windower_has_nothing_left():
    windower = Windower()
    assert windower.flush() is None
    list(windower.push(ramp(10)))
    tail = windower.flush()
    assert tail is not None
    assert (tail.start, tail.end) == (0, 10)
    assert windower.flush() is None


def test_what_waits_for_its_window_does_not_change_with_the_callers_array():
    windower, chunk = Windower(), ramp(100)
    list(windower.push(chunk))
    chunk[:] = -1
    tail = windower.flush()
    assert tail is not None
    np.testing.assert_array_equal(tail.samples, ramp(100))


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(1, 400), st.booleans(), st.floats(0, 1.2)), max_size=40),
    st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)),
)
def test_a_buffer_gives_back_what_it_holds_wherever_it_was_trimmed(steps, cut):
    buffer, end, start = AudioBuffer(), 0, 0
    for windows, trims, where in steps:
        size = windows * WINDOW
        buffer.append(AudioFrame(end, ramp(size, end)))
        end += size
        if trims:
            position = round(start + (end - start) * where)
            buffer.trim(position)
            start = max(start, min(position, end))
        assert (buffer.start, buffer.end) == (start, end)
    first, last = (round(start + (end - start) * c) for c in cut)
    expected = ramp(end)[max(first, start) : max(last, start, 0)]
    np.testing.assert_array_equal(buffer.slice(first, last), expected)


def test_a_slice_is_a_copy():
    buffer = AudioBuffer()
    buffer.append(AudioFrame(0, ramp(WINDOW)))
    buffer.slice(0, WINDOW)[:] = -1
    np.testing.assert_array_equal(buffer.slice(0, WINDOW), ramp(WINDOW))


def test_a_gap_between_frames_is_a_mistake_of_the_caller():
    buffer = AudioBuffer()
    with pytest.raises(AssertionError):
        buffer.append(AudioFrame(WINDOW, ramp(WINDOW)))


@given(st.integers(0, 10**7))
def test_ms_and_samples_convert_back_and_forth(ms):
    assert samples_to_ms(ms_to_samples(ms)) == ms


def test_a_stream_that_is_over_holds_no_audio_and_keeps_its_time():
    buffer = AudioBuffer()
    for n in range(10):
        buffer.append(AudioFrame(n * WINDOW, np.ones(WINDOW, np.float32)))
    memory = weakref.ref(buffer._data)
    buffer.release()
    assert memory() is None
    assert (buffer.start, buffer.end) == (10 * WINDOW, 10 * WINDOW)
    assert len(buffer.slice(0, 10 * WINDOW)) == 0
    buffer.append(AudioFrame(10 * WINDOW, np.ones(WINDOW, np.float32)))
    assert len(buffer.slice(0, 11 * WINDOW)) == WINDOW
