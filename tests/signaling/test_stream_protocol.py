"""The first message, the pace of audio, and close codes: each rule of the reference."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.calls import Resume
from signaling.stream_protocol import (
    BURST_S,
    MESSAGE_BURST,
    MESSAGE_RATE,
    SPEED,
    AudioFormat,
    Flow,
    close_code,
    read_opening,
    received,
)

PCM = {"encoding": "pcm_s16le", "sample_rate": 16_000}


def opening(**more: Any) -> str:
    return json.dumps({"type": "configure", "audio": PCM} | more)


def test_what_a_first_message_says():
    told = read_opening(opening(language="en", replay=True, resume_token="t", resume_from=7))
    assert told.audio == AudioFormat("pcm_s16le", 16_000, 1)
    assert told.resume == Resume("t", 7)
    assert told.replay
    assert told.options == {"language": "en"}


def test_little_is_needed():
    told = read_opening(opening())
    assert (told.resume, told.replay, told.options) == (None, False, {})
    assert read_opening(opening(resume_token="t")).resume == Resume("t", 0)


def test_how_much_a_second_takes():
    assert AudioFormat("pcm_s16le", 48_000, 2).bytes_per_second == 192_000
    assert AudioFormat("alaw", 8_000, 1).bytes_per_second == 8_000


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\x01",
        "",
        "hello",
        "[" * 9_000,
        "[1]",
        "null",
        '{"type": "finalize", "id": "x"}',
        '{"type": "configure"}',
        opening(audio=None),
        opening(audio=[]),
        opening(audio={}),
        opening(audio=PCM | {"encoding": "opus"}),
        opening(audio=PCM | {"encoding": ["pcm_s16le"]}),
        *[opening(audio=PCM | {"sample_rate": rate}) for rate in (0, -1, 7_999, 48_001, 1e9, "16000", True)],
        *[opening(audio=PCM | {"channels": channels}) for channels in (0, 3, 32, -1, None, True, 1.0)],
        opening(audio=PCM | {"colour": "blue"}),
        opening(replay="yes"),
        opening(resume_token=5),
        opening(resume_token=""),
        opening(resume_token="ü"),
        opening(resume_token="x" * 257),
        opening(resume_token="t", resume_from=-1),
        opening(resume_token="t", resume_from="1e3"),
        opening(resume_token="t", resume_from=2**60),
        opening(prompt="x" * 20_000),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_a_reason(message):
    with pytest.raises(BadRequest, match=r".{10}"):
        read_opening(message)


@given(
    st.one_of(
        st.text(), st.binary(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)
    )
)
def test_whatever_comes_first_is_understood_or_refused(message):
    with pytest.raises(BadRequest):
        read_opening(message)


def test_received_is_a_message_and_no_event():
    assert json.loads(received(5)) == {"type": "received", "samples": 5}


# ── The pace ──


def test_live_audio_never_waits():
    flow = Flow()
    for number in range(3_000):
        assert flow.wait_s(0.02, number * 0.02, messages=1) == 0


def test_a_file_is_taken_at_its_speed_after_the_burst():
    flow, now = Flow(), 0.0
    for _ in range(1_000):
        now += flow.wait_s(0.25, now)
    assert now == pytest.approx((250 - BURST_S) / SPEED, rel=0.02)


def test_messages_without_audio_are_slowed_down_too():
    flow, now = Flow(), 0.0
    for _ in range(5_000):
        now += flow.wait_s(0.0, now, messages=1)
    assert now == pytest.approx((5_000 - MESSAGE_BURST) / MESSAGE_RATE, rel=0.02)


@given(st.lists(st.tuples(st.floats(0, 0.25), st.floats(0, 3)), max_size=80))
def test_never_more_than_the_burst_and_its_pace(steps):
    """Who waits as told gets no more than burst + speed · t in any span from the start."""
    flow, now, taken = Flow(), 0.0, 0.0
    for seconds, pause in steps:
        now += pause
        taken += seconds
        now += flow.wait_s(seconds, now)
        assert taken <= BURST_S + SPEED * now + 1e-6


# ── The end ──


@pytest.mark.parametrize(
    ("reason", "code"),
    [("stopped", 1000), ("drained", 1001), ("abuse", 1008), ("session_gone", 4404), ("vad_failed", 1011)],
)
def test_a_reason_has_a_code(reason, code):
    assert close_code(reason) == code
