"""Conversations with Asterisk's chan_websocket, as its source and its documentation write them."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.audio_format import AudioFormat
from signaling.telephony import media_socket
from signaling.telephony.call_routes import CALLS
from signaling.telephony.settings import Phones
from signaling.telephony.streams.chan_websocket import FORMATS, ChanWebsocket
from signaling.telephony.streams.dialects import KINDS
from signaling.telephony.streams.stream_dialect import (
    Act,
    Bad,
    Begin,
    Digit,
    Hear,
    Leave,
    Opening,
    Packets,
    Say,
)
from tests.signaling.streams import a_gateway

ULAW = AudioFormat("mulaw", 8_000, 1)

OLD = (
    "MEDIA_START connection_id:rtc-stt channel:WebSocket/rtc-stt/0x7f80b400 format:ulaw "
    "optimal_frame_size:160"
)
PLAIN = (
    "MEDIA_START connection_id:rtc-stt channel:WebSocket/rtc-stt/0x7f80b400 channel_id:1761245643.1 "
    "format:ulaw optimal_frame_size:160 ptime:20"
)
JSON = json.dumps(
    {
        "event": "MEDIA_START",
        "connection_id": "rtc-stt",
        "channel": "WebSocket/rtc-stt/0x5140001a0040",
        "channel_id": "1761245643.1",
        "format": "ulaw",
        "optimal_frame_size": 160,
        "ptime": 20,
        "channel_variables": {
            "DIALEDPEERNUMBER": "rtc-stt/c(ulaw)",
            "MEDIA_WEBSOCKET_CONNECTION_ID": "rtc-stt",
            "MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE": "160",
        },
    }
)


def begin(message: str, **query: str) -> tuple[ChanWebsocket, Begin]:
    dialect = ChanWebsocket(Opening(query))
    (act,) = dialect.receive(message)
    assert isinstance(act, Begin)
    return dialect, act


@pytest.mark.parametrize("start", [PLAIN, JSON])
def test_a_call_is_named_by_its_channel_and_not_by_its_connection(start: str) -> None:
    _, act = begin(start)
    assert act.external_id == "1761245643.1"
    assert act.legs == ("caller",)
    assert act.parameters["connection_id"] == "rtc-stt"
    assert act.parameters["format"] == "ulaw"


def test_versions_without_an_id_name_it_by_the_channel() -> None:
    assert begin(OLD)[1].external_id == "WebSocket/rtc-stt/0x7f80b400"


def test_channel_variables_are_parameters() -> None:
    assert begin(JSON)[1].parameters["DIALEDPEERNUMBER"] == "rtc-stt/c(ulaw)"


def test_a_conversation_in_plain_text() -> None:
    dialect, _ = begin(PLAIN)
    told: list[Act] = []
    for message in (
        b"\xff" * 160,
        "MEDIA_XON",
        "DTMF_END digit:# channel_id:1761245643.1",
        b"",
        b"\x7f" * 160,
        "STATUS channel_id:1761245643.1 queue_length:43 xon_level:800 xoff_level:900 queue_full:false",
    ):
        told += dialect.receive(message)
    assert told == [
        Hear("caller", ULAW, b"\xff" * 160),
        Digit("caller", "#"),
        Hear("caller", ULAW, b"\x7f" * 160),
    ]
    assert list(dialect.end("deleted")) == [Say("HANGUP")]
    assert dialect.farewell("drained") == (1001, "drained")


def test_a_conversation_in_json() -> None:
    dialect, _ = begin(JSON)
    assert dialect.receive('{"event":"DTMF_END","channel_id":"1761245643.1","digit":"5"}') == (
        Digit("caller", "5"),
    )
    assert list(dialect.end("deleted")) == [Say('{"command":"HANGUP"}')]


@pytest.mark.parametrize(("name", "form"), FORMATS.items())
def test_audio_is_what_the_start_says(name: str, form: AudioFormat | Packets) -> None:
    dialect, _ = begin(PLAIN.replace("ulaw", name))
    assert dialect.receive(b"abcd") == (Hear("caller", form, b"abcd"),)


@pytest.mark.parametrize("name", ["gsm", "slin192", "ULAW", ""])
def test_what_is_not_understood_is_refused_and_never_guessed(name: str) -> None:
    dialect = ChanWebsocket(Opening())
    (act,) = dialect.receive(PLAIN.replace("ulaw", name))
    assert isinstance(act, Leave)
    assert len(act.words.encode()) <= 123
    assert not dialect.end("bad_request")


def test_audio_before_the_start_is_bad() -> None:
    (act,) = ChanWebsocket(Opening()).receive(bytes(160))
    assert isinstance(act, Bad)


def test_a_second_start_begins_nothing() -> None:
    dialect, _ = begin(PLAIN)
    assert dialect.receive(PLAIN.replace("ulaw", "alaw")) == ()
    assert dialect.receive(b"ab") == (Hear("caller", ULAW, b"ab"),)


def test_the_address_may_say_who_speaks_and_how_to_listen() -> None:
    dialect, act = begin(
        PLAIN, legs="agent", caller="+49301234", callee="100", language="de", prompt="Namen", ticket="7"
    )
    assert (act.legs, act.caller, act.callee) == (("agent",), "+49301234", "100")
    assert act.options == {"language": "de", "prompt": "Namen"}
    assert act.parameters["ticket"] == "7"
    assert "caller" not in act.parameters
    assert dialect.receive(b"ab") == (Hear("agent", ULAW, b"ab"),)


def test_its_subprotocol_is_media() -> None:
    assert KINDS["asterisk"].protocols == ("media",)
    assert isinstance(KINDS["asterisk"].make(Opening()), ChanWebsocket)


messages = (
    st.text(max_size=60)
    | st.binary(max_size=400)
    | st.sampled_from([PLAIN, JSON, OLD, "DTMF_END digit:", "DTMF_END", "{", "[]", "{}", "null", " "])
    | st.sampled_from([JSON.replace('"ulaw"', value) for value in ("null", "{}", "[1]", "1e999")])
    | st.just("[" * 20_000)
    | st.just("{" + '"a":[' * 9_000)
    | st.just("x" * 40_000)
)


@given(st.lists(messages, max_size=12))
def test_nothing_raises_and_nothing_is_heard_before_a_call(sent: list[str | bytes]) -> None:
    dialect = ChanWebsocket(Opening())
    has_begun = False
    for message in sent:
        for act in dialect.receive(message):
            assert has_begun or isinstance(act, Begin | Bad | Leave)
            has_begun |= isinstance(act, Begin)
            if isinstance(act, Bad):
                assert len(act.words.encode()) <= 123
    dialect.play_out()
    dialect.end("closed")


async def test_a_pbx_that_sends_nothing_sends_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_socket, "IDLE_S", 0.1)
    monkeypatch.setattr(media_socket, "FILL_S", 0.05)
    async with a_gateway(path="/v1/media/asterisk", phones=Phones()) as gateway:
        async with gateway.connect(protocols=["media"]) as ws:
            await ws.send_str(PLAIN)
            await ws.send_bytes(b"\xff" * 160)
            await asyncio.sleep(0.8)
            (call,) = gateway.app[CALLS].calls
            assert call.at_ms - 300 <= call.legs["caller"].clock.at_ms <= call.at_ms + 50
        await call.ended
