"""No dialect raises, whatever comes; and what it asks for is within bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.telephony.streams.dialects import KINDS
from signaling.telephony.streams.stream_dialect import Bad, Begin, Digit, Hear, Leave, Opening

NAMES = [
    *("event", "type", "start", "media", "dtmf", "stop", "connected", "error", "websocket:connected"),
    *("websocket:dtmf", "payload", "chunk", "timestamp", "track", "inbound", "outbound", "digit", "duration"),
    *("mediaFormat", "media_format", "encoding", "sampleRate", "sample_rate", "channels", "audio/x-mulaw"),
    *("content-type", "audio/l16;rate=16000", "customParameters", "custom_parameters", "tracks", "token"),
    *(
        "sampleRateHz",
        "interimResults",
        "LINEAR16",
        "raw",
        "mixType",
        "stereo",
        "PCMA",
        "OPUS",
        "legs",
        "AAAA",
    ),
    *("MEDIA_START", "DTMF_END", "channel_id", "format", "ulaw", "optimal_frame_size", "connection_id"),
]
words = st.sampled_from(NAMES) | st.text(max_size=8)
scalars = words | st.integers() | st.floats() | st.booleans() | st.none()
bodies = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5),
    max_leaves=12,
)
STARTS = [
    {"event": "start", "start": {"tracks": ["inbound", "outbound"], "mediaFormat": {"encoding": "PCMA"}}},
    {"event": "websocket:connected", "content-type": "audio/l16;rate=8000"},
    {"type": "start", "encoding": "LINEAR16", "sampleRateHz": 8000},
    {"callSid": "1", "sampleRate": 8000, "mixType": "stereo"},
]
messages = st.one_of(
    st.text(),
    st.binary(max_size=64),
    bodies.map(json.dumps),
    st.dictionaries(st.sampled_from(["event", "type", "media", "dtmf", "start"]), bodies).map(json.dumps),
    st.sampled_from(STARTS).map(json.dumps),
)


@pytest.mark.parametrize("name", sorted(KINDS))
@given(
    query=st.dictionaries(
        st.sampled_from(["rate", "channels", "legs", "language", "x"]), st.text(max_size=9)
    ),
    heard=st.lists(messages, max_size=12),
)
def test_whatever_comes_nothing_is_raised(name, query, heard):
    dialect = KINDS[name].make(Opening(query))
    begun = 0
    for message in heard:
        for act in dialect.receive(message):
            if isinstance(act, Bad | Leave):
                assert len(act.words.encode()) <= 123
            if isinstance(act, Begin):
                begun += 1
                assert 1 <= len(act.legs) <= 2
            if isinstance(act, Hear | Digit):
                assert begun == 1
    dialect.play_out()
    dialect.end("closed")
    code, reason = dialect.farewell("closed")
    assert 1000 <= code < 5000
    assert len(reason.encode()) <= 123
    assert begun <= 1
