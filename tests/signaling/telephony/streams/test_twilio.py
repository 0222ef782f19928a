"""Twilio and its relatives, by golden conversations."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.audio_format import AudioFormat
from signaling.telephony.streams.chunk_order import WINDOW
from signaling.telephony.streams.stream_dialect import (
    Bad,
    Begin,
    Digit,
    HangUp,
    Hear,
    Leave,
    Packets,
    Warn,
)
from tests.signaling.telephony.streams.golden import b64, open_dialect, replay, say

MULAW, ALAW = AudioFormat("mulaw", 8_000, 1), AudioFormat("alaw", 8_000, 1)
PCM = AudioFormat("pcm_s16le", 8_000, 1)
A, B, C = b"\x11" * 160, b"\x22" * 160, b"\x33" * 160


def twilio_start(**fields):
    return {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": "MZ1",
        "start": {
            "streamSid": "MZ1",
            "callSid": "CA1",
            "accountSid": "AC1",
            "tracks": ["inbound"],
            "customParameters": {},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        | fields,
    }


def twilio_media(chunk, timestamp, payload, track="inbound"):
    media = {"track": track, "chunk": str(chunk), "timestamp": str(timestamp), "payload": b64(payload)}
    return {"event": "media", "sequenceNumber": str(chunk + 1), "streamSid": "MZ1", "media": media}


def test_twilio():
    parameters = {"token": "st_secret", "language": "en-US", "from": "+15550100", "order": "17"}
    replay(
        open_dialect("twilio"),
        [
            ({"event": "connected", "protocol": "Call", "version": "1.0.0"}, []),
            (
                twilio_start(tracks=["inbound", "outbound"], customParameters=parameters),
                [
                    Begin(
                        ("caller", "agent"),
                        external_id="CA1",
                        caller="+15550100",
                        parameters={"order": "17"},
                        options={"language": "en"},
                        token="st_secret",
                    )
                ],
            ),
            (twilio_media(1, 5, A), [Hear("caller", MULAW, A, 5)]),
            (twilio_media(1, 6, C, "outbound"), [Hear("agent", MULAW, C, 6)]),
            (twilio_media(2, 25, B), [Hear("caller", MULAW, B, 25)]),
            (
                {"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": "5"}},
                [Digit("caller", "5")],
            ),
            ({"event": "mark", "streamSid": "MZ1", "mark": {"name": "greeting"}}, []),
            ({"event": "stop", "streamSid": "MZ1", "stop": {"callSid": "CA1"}}, [HangUp()]),
        ],
    )


def test_signalwire_says_what_twilio_says():
    replay(
        open_dialect("signalwire"),
        [
            (
                twilio_start(mediaFormat={"encoding": "audio/x-L16;rate=16000", "channels": 1}),
                [Begin(("caller",), external_id="CA1")],
            ),
            (
                twilio_media(1, 0, A),
                [Hear("caller", AudioFormat("pcm_s16le", 16_000, 1), A, 0)],
            ),
        ],
    )


def telnyx_start(encoding, rate=8000):
    return {
        "event": "start",
        "sequence_number": "1",
        "stream_id": "32de",
        "start": {
            "user_id": "3e6f",
            "call_control_id": "v2:T02",
            "call_session_id": "ff55",
            "from": "+13122010094",
            "to": "+13122123456",
            "custom_parameters": {"customer": "c1"},
            "media_format": {"encoding": encoding, "sample_rate": rate, "channels": 1},
        },
    }


def telnyx_media(chunk, timestamp, payload, track="inbound"):
    media = {"track": track, "chunk": str(chunk), "timestamp": str(timestamp), "payload": b64(payload)}
    return {"event": "media", "sequence_number": "9", "stream_id": "32de", "media": media}


def test_telnyx_promises_no_order():
    begin = Begin(
        ("caller",),
        external_id="v2:T02",
        caller="+13122010094",
        callee="+13122123456",
        parameters={"customer": "c1"},
    )
    replay(
        open_dialect("telnyx"),
        [
            ({"event": "connected", "version": "1.0.0"}, []),
            (telnyx_start("PCMA"), [begin]),
            (telnyx_media(1, 0, A), [Hear("caller", ALAW, A, 0)]),
            (telnyx_media(3, 40, C), []),
            (telnyx_media(1, 0, A, "outbound"), [Hear("agent", ALAW, A, 0)]),
            (telnyx_media(2, 20, B), [Hear("caller", ALAW, B, 20), Hear("caller", ALAW, C, 40)]),
            ({"event": "dtmf", "stream_id": "32de", "dtmf": {"digit": "#"}}, [Digit("caller", "#")]),
            (
                {"event": "error", "payload": {"code": 100003, "title": "internal"}},
                [Warn("carrier_error", "the carrier says that its stream has failed")],
            ),
            ({"event": "stop", "stream_id": "32de", "stop": {"user_id": "3e6f"}}, [HangUp()]),
        ],
    )


@pytest.mark.parametrize(
    ("encoding", "form"),
    [
        ("PCMU", MULAW),
        ("PCMA", ALAW),
        ("G722", Packets("G722")),
        ("OPUS", Packets("opus")),
        ("L16", AudioFormat("pcm_s16le", 16_000, 1)),
    ],
)
def test_every_format_of_telnyx_is_obeyed(encoding, form):
    dialect = open_dialect("telnyx")
    say(dialect, telnyx_start(encoding, 16_000 if encoding in ("OPUS", "L16") else 8_000))
    assert say(dialect, telnyx_media(1, 0, A)) == [Hear("caller", form, A, 0)]


def test_plivo_says_neither_hello_nor_good_bye_and_tells_the_time_of_day():
    def media(chunk, stamp, payload):
        media = {"track": "inbound", "timestamp": stamp, "chunk": chunk, "payload": b64(payload)}
        return {"event": "media", "sequenceNumber": chunk + 1, "streamId": "87", "media": media}

    replay(
        open_dialect("plivo"),
        [
            (
                {
                    "event": "start",
                    "sequenceNumber": 1,
                    "start": {
                        "callId": "12",
                        "streamId": "87",
                        "accountId": "MA",
                        "tracks": ["inbound"],
                        "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 8000},
                    },
                    "extra_headers": "userId=12345;language=de",
                },
                [Begin(("caller",), "12", parameters={"userId": "12345"}, options={"language": "de"})],
            ),
            (media(1, "1705312200000", A), [Hear("caller", PCM, A, 0)]),
            (media(2, "1705312200020", B), [Hear("caller", PCM, B, 20)]),
            (
                {"event": "dtmf", "streamId": "87", "dtmf": {"track": "inbound", "digit": "1"}},
                [Digit("caller", "1")],
            ),
        ],
    )


def test_exotel_writes_its_rate_as_a_text():
    replay(
        open_dialect("exotel"),
        [
            ({"event": "connected"}, []),
            (
                {
                    "event": "start",
                    "sequence_number": "1",
                    "stream_sid": "MZx",
                    "start": {
                        "stream_sid": "MZx",
                        "call_sid": "CAx",
                        "from": "+919876543210",
                        "to": "+918047491899",
                        "custom_parameters": {"key1": "value1"},
                        "media_format": {"encoding": "base64", "sample_rate": "16000", "bit_rate": "256"},
                    },
                },
                [
                    Begin(
                        ("caller",),
                        "CAx",
                        caller="+919876543210",
                        callee="+918047491899",
                        parameters={"key1": "value1"},
                    )
                ],
            ),
            (
                {"event": "media", "media": {"chunk": "1", "timestamp": "100", "payload": b64(A * 20)}},
                [Hear("caller", AudioFormat("pcm_s16le", 16_000, 1), A * 20, 100)],
            ),
            (
                {"event": "dtmf", "dtmf": {"digit": "d", "duration": "100"}},
                [Digit("caller", "D", duration_ms=100)],
            ),
            ({"event": "stop", "stop": {"call_sid": "CAx", "reason": "callended"}}, [HangUp()]),
        ],
    )


def test_a_start_without_a_format_means_the_carriers_usual_one():
    for name, form in (("twilio", MULAW), ("plivo", PCM), ("exotel", PCM)):
        dialect = open_dialect(name)
        assert isinstance(say(dialect, {"event": "start", "start": {}})[0], Begin)
        assert say(dialect, {"event": "media", "media": {"payload": b64(A)}}) == [Hear("caller", form, A)]


def test_a_format_that_is_not_decoded_here_is_refused_and_not_taken_for_another():
    dialect = open_dialect("twilio")
    (leave,) = say(dialect, twilio_start(mediaFormat={"encoding": "AMR-WB", "sampleRate": 16000}))
    assert isinstance(leave, Leave)
    assert leave.code == 1003
    (bad,) = say(dialect, twilio_media(1, 0, A))
    assert isinstance(bad, Bad)


def test_the_query_may_say_what_the_start_does_not():
    dialect = open_dialect("telnyx", language="de-AT", legs="customer,clerk")
    (begin,) = say(dialect, telnyx_start("PCMU"))
    assert begin.options == {"language": "de"}
    assert begin.legs == ("customer",)
    (hear,) = say(dialect, telnyx_media(1, 0, A, "outbound"))
    assert hear.leg == "clerk"


def test_parameters_may_be_a_list():
    start = telnyx_start("PCMU")
    start["start"]["custom_parameters"] = [
        {"name": "token", "value": "st_x"},
        {"name": "order", "value": 17},
        "x",
    ]
    (begin,) = say(open_dialect("telnyx"), start)
    assert (begin.token, begin.parameters) == ("st_x", {"order": "17"})


def test_what_waits_is_played_out_at_the_end():
    dialect = open_dialect("twilio")
    assert dialect.play_out() == ()
    say(dialect, twilio_start())
    say(dialect, twilio_media(1, 0, A))
    assert say(dialect, twilio_media(4, 60, C)) == []
    assert say(dialect, twilio_media(3, 40, B)) == []
    assert dialect.play_out() == [Hear("caller", MULAW, B, 40, lost=True), Hear("caller", MULAW, C, 60)]
    assert dialect.play_out() == []


@given(st.integers())
def test_shuffled_chunks_of_two_tracks_come_out_in_order(seed):
    draw = random.Random(seed)
    dialect = open_dialect("telnyx")
    say(dialect, telnyx_start("PCMU"))
    chunks = [(track, n) for n in range(1, 30) for track in ("inbound", "outbound")]
    chunks.sort(key=lambda chunk: chunk[1] + draw.uniform(0, WINDOW - 1))
    acts = [
        act for track, n in chunks for act in say(dialect, telnyx_media(n, n * 20, bytes([n]) * 160, track))
    ]
    acts += dialect.play_out()
    for leg in ("caller", "agent"):
        heard = [act for act in acts if isinstance(act, Hear) and act.leg == leg]
        assert [act.data[0] for act in heard] == list(range(1, 30))
        assert not any(act.lost for act in heard)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("hello", "json"),
        (b"\x00\x01", "json"),
        ({"media": {}}, "field"),
        ({"event": 5}, "field"),
        ({"event": "media", "media": {"payload": "a"}}, "payload"),
        ({"event": "media", "media": {"payload": "%%%%"}}, "payload"),
        ({"event": "media", "media": "AAAA"}, "payload"),
        ({"event": "media"}, "payload"),
        (twilio_start(), "order"),
    ],
)
def test_what_cannot_be_understood_is_said_to_be_so(message, reason):
    dialect = open_dialect("twilio")
    say(dialect, twilio_start())
    (bad,) = say(dialect, message)
    assert isinstance(bad, Bad)
    assert bad.reason == reason
    assert len(bad.words) <= 123


def test_nothing_is_heard_before_the_start():
    for message in (twilio_media(1, 0, A), {"event": "dtmf", "dtmf": {"digit": "1"}}):
        (bad,) = say(open_dialect("twilio"), message)
        assert isinstance(bad, Bad)


def test_a_socket_is_closed_with_the_code_of_the_reason():
    dialect = open_dialect("twilio")
    assert dialect.farewell("stopped") == (1000, "stopped")
    assert dialect.farewell("drained") == (1001, "drained")
    assert dialect.end("drained") == ()
