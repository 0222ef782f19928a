"""Vonage, FreeSWITCH and jambonz, by golden conversations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.audio_format import AudioFormat
from signaling.telephony.streams.stream_dialect import Bad, Begin, Digit, HangUp, Hear, Leave, Note
from tests.signaling.telephony.streams.golden import open_dialect, replay, say

NARROW, WIDE = AudioFormat("pcm_s16le", 8_000, 1), AudioFormat("pcm_s16le", 16_000, 1)
A, B = b"\x11\x01" * 320, b"\x22\x02" * 320


def test_vonage():
    replay(
        open_dialect("vonage"),
        [
            (
                {
                    "event": "websocket:connected",
                    "content-type": "audio/l16;rate=16000",
                    "uuid": "63f6",
                    "from": "447700900000",
                    "token": "st_secret",
                    "language": "en-GB",
                    "app": "audiosocket",
                },
                [
                    Begin(
                        ("caller",),
                        "63f6",
                        caller="447700900000",
                        parameters={
                            "event": "websocket:connected",
                            "content-type": "audio/l16;rate=16000",
                            "uuid": "63f6",
                            "app": "audiosocket",
                        },
                        options={"language": "en"},
                        token="st_secret",
                    )
                ],
            ),
            (A, [Hear("caller", WIDE, A)]),
            (
                {"event": "websocket:dtmf", "digit": "5", "duration": 260},
                [Digit("caller", "5", duration_ms=260)],
            ),
            ({"event": "websocket:cleared"}, []),
            (B, [Hear("caller", WIDE, B)]),
            ({"event": "websocket:disconnected"}, [HangUp()]),
        ],
    )


def test_vonage_at_8_khz_is_not_taken_for_16():
    dialect = open_dialect("vonage")
    say(dialect, {"event": "websocket:connected", "content-type": "audio/l16;rate=8000"})
    assert say(dialect, A) == [Hear("caller", NARROW, A)]


def test_vonage_has_to_say_that_it_is_connected():
    (bad,) = say(open_dialect("vonage"), {"event": "websocket:dtmf", "digit": "1"})
    assert isinstance(bad, Bad)


def test_freeswitch_needs_to_say_nothing():
    replay(
        open_dialect("freeswitch", rate="16000"),
        [(A, [Begin(("caller",)), Hear("caller", WIDE, A)]), (B, [Hear("caller", WIDE, B)])],
    )


def test_freeswitch_with_metadata():
    replay(
        open_dialect("freeswitch", rate="8k", language="en"),
        [
            (
                {"uuid": "u1", "caller": "1000", "callee": "2000", "queue": "sales"},
                [
                    Begin(
                        ("caller",),
                        "u1",
                        "1000",
                        "2000",
                        parameters={"uuid": "u1", "queue": "sales"},
                        options={"language": "en"},
                    )
                ],
            ),
            (A, [Hear("caller", NARROW, A)]),
            ({"queue": "support"}, [Note({"queue": "support"})]),
            ({"type": "heartbeat"}, []),
            ("no JSON", [Bad("json", "texts are JSON objects")]),
        ],
    )


def test_metadata_of_freeswitch_may_be_any_text():
    (begin,) = say(open_dialect("freeswitch"), "queue sales")
    assert begin == Begin(("caller",), parameters={"metadata": "queue sales"})


def test_a_party_for_each_channel():
    frames = np.array([[1, 101], [2, 102], [3, 103]], "<i2")
    caller, agent = frames[:, 0].tobytes(), frames[:, 1].tobytes()
    replay(
        open_dialect("freeswitch", rate="16000", channels="2"),
        [
            (
                frames.tobytes(),
                [Begin(("caller", "agent")), Hear("caller", WIDE, caller), Hear("agent", WIDE, agent)],
            )
        ],
    )


@given(st.lists(st.integers(1, 12), max_size=20), st.integers(0, 40))
def test_channels_never_change_places_however_the_bytes_are_cut(cuts, count):
    frames = np.stack([np.arange(count), np.arange(count) + 1_000], axis=1).astype("<i2")
    data, dialect, start = frames.tobytes(), open_dialect("freeswitch", channels="2"), 0
    heard = {"caller": b"", "agent": b""}
    for size in [*cuts, len(data)]:
        for act in say(dialect, data[start : start + size]):
            if isinstance(act, Hear):
                heard[act.leg] += act.data
        start += size
    assert heard == {"caller": frames[:, 0].tobytes(), "agent": frames[:, 1].tobytes()}


def test_jambonz_listen():
    replay(
        open_dialect("jambonz"),
        [
            (
                {
                    "callSid": "9fb3",
                    "direction": "inbound",
                    "from": "1617",
                    "to": "1508",
                    "sampleRate": 16000,
                    "mixType": "stereo",
                },
                [
                    Begin(
                        ("caller", "agent"),
                        "9fb3",
                        "1617",
                        "1508",
                        parameters={
                            "callSid": "9fb3",
                            "direction": "inbound",
                            "sampleRate": "16000",
                            "mixType": "stereo",
                        },
                    )
                ],
            ),
            (b"\x01\x00\x02\x00", [Hear("caller", WIDE, b"\x01\x00"), Hear("agent", WIDE, b"\x02\x00")]),
            ({"event": "dtmf", "dtmf": "2", "duration": "1600"}, [Digit("caller", "2", duration_ms=1600)]),
        ],
    )


def test_jambonz_has_to_send_its_metadata():
    for message in (A, "no JSON"):
        (bad,) = say(open_dialect("jambonz"), message)
        assert isinstance(bad, Bad)


@pytest.mark.parametrize(
    "query", [{"rate": "64000"}, {"rate": "x"}, {"rate": "7999"}, {"channels": "3"}, {"channels": "0"}]
)
def test_what_is_not_decoded_here_is_refused(query):
    (leave,) = say(open_dialect("freeswitch", **query), A)
    assert isinstance(leave, Leave)
    assert leave.code == 1003


def test_jambonz_at_64_khz_is_refused():
    (leave,) = say(open_dialect("jambonz"), {"callSid": "1", "sampleRate": 64000, "mixType": "mono"})
    assert isinstance(leave, Leave)


def test_nothing_is_said_back():
    dialect = open_dialect("freeswitch")
    assert (dialect.end("drained"), dialect.play_out()) == ((), ())
    assert dialect.farewell("closed") == (1000, "closed")
