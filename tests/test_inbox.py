"""Audio and commands in one order, and silence for the time in which there was no connection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import SAMPLE_RATE, WINDOW, AudioFrame, Origin
from rtc_stt.commands import Finalize
from rtc_stt.inbox import MAX_GAP_S, EndOfAudio, Inbox

TWENTY_MS = np.ones(320, np.float32)


def drain(inbox: Inbox, limit: int = 7) -> list[AudioFrame]:
    """All frames that are next."""
    taken: list[AudioFrame] = []
    while frames := inbox.take_frames(limit):
        assert len(frames) <= limit
        inbox.settle(frames)
        taken += frames
    return taken


def test_commands_stay_where_they_are_among_the_audio():
    inbox = Inbox()
    inbox.put_audio(np.ones(2 * WINDOW, np.float32), Origin.RECEIVED, 0.0)
    inbox.put(Finalize("a"))
    inbox.put_audio(np.ones(WINDOW + 5, np.float32), Origin.RECEIVED, 0.1)
    inbox.end()
    assert [f.start for f in drain(inbox)] == [0, WINDOW]
    assert inbox.take_frames(5) == []
    assert inbox.take() == Finalize("a")
    assert [len(f.samples) for f in drain(inbox)] == [WINDOW, 5]
    assert isinstance(inbox.take(), EndOfAudio)
    assert len(inbox) == 0


def test_the_backlog_is_what_is_put_in_and_not_settled():
    inbox = Inbox()
    inbox.put_audio(np.ones(3 * WINDOW, np.float32), Origin.RECEIVED, 0.0)
    taken = inbox.take_frames(2)
    assert inbox.backlog_s == 3 * WINDOW / SAMPLE_RATE
    inbox.settle(taken)
    assert inbox.backlog_s == WINDOW / SAMPLE_RATE


def test_without_a_new_connection_a_pause_leaves_no_gap():
    inbox = Inbox()
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 0.0)
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 9.0)
    assert inbox.received == 640


def test_before_the_first_audio_there_is_no_gap():
    inbox = Inbox()
    assert inbox.resume(5.0) == 0.0
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 9.0)
    assert inbox.received == 320


@given(st.integers(0, 5_000), st.floats(0, 200), st.floats(0, 5))
def test_media_time_goes_on_by_the_clock_between_two_connections(before, away, until_audio):
    inbox = Inbox()
    inbox.put_audio(np.ones(before, np.float32), Origin.RECEIVED, 100.0)
    assert inbox.resume(100.0 + away) == pytest.approx(away)
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 100.0 + away + until_audio)
    inbox.end()
    missing = round(max(0.0, away + until_audio - 0.02) * SAMPLE_RATE)
    assert inbox.received == pytest.approx(before + missing + 320, abs=1)
    frames = drain(inbox)
    assert [f.start for f in frames] == [i * WINDOW for i in range(len(frames))]
    assert all(len(f.samples) == WINDOW for f in frames[:-1])
    assert sum(f.lost for f in frames) == pytest.approx(missing, abs=1)
    assert sum(float(f.samples.sum()) for f in frames) == before + 320
    assert inbox.backlog_s == 0


def test_an_endless_absence_leaves_an_hour_that_takes_no_room():
    inbox = Inbox()
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 0.0)
    inbox.resume(1e9)
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 1e9)
    assert inbox.received == pytest.approx(MAX_GAP_S * SAMPLE_RATE, abs=1_000)
    assert len(inbox) < 5
    assert inbox.backlog_s < 0.1


def test_a_clock_that_stands_still_leaves_no_gap():
    inbox = Inbox()
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 1.0)
    assert inbox.resume(1.0) == 0.0
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 1.0)
    assert inbox.received == 640


def test_a_gap_is_left_once():
    inbox = Inbox()
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 0.0)
    inbox.resume(1.0)
    inbox.resume(2.0)
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 3.0)
    assert inbox.received == 3 * SAMPLE_RATE + 320
    inbox.put_audio(TWENTY_MS, Origin.RECEIVED, 9.0)
    assert inbox.received == 3 * SAMPLE_RATE + 640
