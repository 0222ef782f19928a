"""A real Asterisk calls a started server, in all its ways at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.bench.words import normalise
from tests.e2e import asterisk, support
from tests.e2e.asterisk import Asterisk
from tests.e2e.conftest import required

pytestmark = pytest.mark.e2e

KEY = "a-key-of-a-phone-system"
STRANGER = "11111111-2222-4333-8444-555555555555"
SECONDS = 40.0
"""For all calls."""

DIALPLAN = """
[stt]
exten => play,1,Answer()
 same => n,Wait(0.5)
 same => n,Playback({clip})
 same => n,SendDTMF(5#,250)
 same => n,Wait(2.5)
 same => n,Hangup()

exten => app,1,Answer()
 same => n,AudioSocket(${{app}},127.0.0.1:{port})

exten => stranger,1,Answer()
 same => n,AudioSocket({stranger},127.0.0.1:{port})
 same => n,Set(GLOBAL(AFTERWARDS)=yes)
 same => n,Hangup()
"""

CODECS = ("slin", "slin16", "ulaw", "alaw")

DIAL = """
exten => {codec},1,Answer()
 same => n,Dial(AudioSocket/127.0.0.1:{port}/${{{codec}}}/c({codec}))
"""

OPTIONS = {"media1": "c(ulaw)", "media2": "c(slin16)f(json)v(legs=agent)", "media3": "c(g722)"}

WEBSOCKET = """
exten => {name},1,Answer()
 same => n,Dial(WebSocket/{name}/{options})
"""

CLIENT = """
[{name}]
type = websocket_client
uri = ws://127.0.0.1:{port}/v1/media/asterisk
protocols = media
username = asterisk
password = {key}
connection_type = per_call_config
connection_timeout = 2000
"""

Told = list[dict[str, Any]]


def of(told: Told, kind: str) -> Told:
    return [event for event in told if event["type"] == kind]


async def call_all(url: str, pbx: Asterisk) -> dict[str, Told]:
    """What was told of each call, by its extension."""
    headers = {"Authorization": f"Bearer {KEY}"}
    named, told = dict[str, str](), dict[str, Told]()
    async with aiohttp.ClientSession(url, headers=headers) as http, http.ws_connect("/v1/calls/events") as ws:
        for extension in ("app", *CODECS):
            async with http.post(
                "/v1/calls", json={"source": "audiosocket"}, raise_for_status=True
            ) as answer:
                expected = await answer.json()
            named[expected["call_id"]] = extension
            await asyncio.to_thread(pbx.cli, f"dialplan set global {extension} {expected['uuid']}")
        calls = [*named.values(), *OPTIONS]
        for extension in (*calls, "stranger"):
            await asyncio.to_thread(pbx.originate, "play@stt", f"{extension}@stt")
        async with asyncio.timeout(SECONDS):
            while sum(bool(of(one, "call.ended")) for one in told.values()) < len(calls):
                event = await ws.receive_json()
                if event["type"] == "call.started" and event["source"] == "asterisk":
                    named[event["call_id"]] = event["parameters"]["connection_id"]
                told.setdefault(named[event["call_id"]], []).append(event)
    return told


class Exchange:
    """Both sides, and what was told of all calls between them."""

    def __init__(self, home: Path, clip: support.Clip) -> None:
        self.text = normalise(clip.text)
        self._home = home
        self._port = support.free_port()
        audio = np.concatenate([support.silence(0.3), clip.audio, support.silence(0.3)])
        support.write_wav(home / "clip.wav", audio, 8_000)
        self.server = support.Process(
            home / "server.log", "demo", "--port", "0", API_KEYS=KEY, AUDIOSOCKET_PORT=str(self._port)
        )
        self.pbx: Asterisk | None = None
        self.told: dict[str, Told] = {}

    def run(self) -> None:
        """Make all calls."""
        url = self.server.url()
        extensions = DIALPLAN.format(clip=self._home / "clip", port=self._port, stranger=STRANGER)
        extensions += "".join(DIAL.format(codec=codec, port=self._port) for codec in CODECS)
        extensions += "".join(
            WEBSOCKET.format(name=name, options=options) for name, options in OPTIONS.items()
        )
        clients = [CLIENT.format(name=name, port=url.rpartition(":")[2], key=KEY) for name in OPTIONS]
        self.pbx = Asterisk(self._home / "asterisk", extensions=extensions, websocket_client="".join(clients))
        self.pbx.ready()
        self.told = asyncio.run(call_all(url, self.pbx))

    def end(self) -> None:
        if self.pbx:
            self.pbx.stop()
        self.server.kill()

    def said(self, extension: str) -> list[str]:
        return normalise(" ".join(event["text"] for event in of(self.told[extension], "transcript.final")))

    def pressed(self, extension: str) -> list[str]:
        return [event["digit"] for event in of(self.told[extension], "dtmf")]

    def warnings(self, extension: str) -> list[str]:
        return [event["code"] for event in of(self.told[extension], "warning")]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory, sentences: list[support.Clip]) -> Iterator[Exchange]:
    required("Asterisk (tools/ensure_asterisk.sh)", "yes" if asterisk.is_there() else None)
    found = Exchange(tmp_path_factory.mktemp("asterisk"), sentences[0])
    try:
        found.run()
        yield found
        found.server.stop()
    finally:
        found.end()


def assert_on_the_clock(told: Told) -> None:
    """Channels that wait send nothing: that is silence, and no time is cut out."""
    ended = told[-1]
    (heard_ms,) = ended["legs"].values()
    assert ended["duration_ms"] - 1_700 <= heard_ms <= ended["duration_ms"] + 300


def test_audiosocket_brings_speech_and_keys(exchange: Exchange) -> None:
    assert exchange.said("app") == exchange.text
    assert exchange.pressed("app") == ["5", "#"]
    assert exchange.told["app"][-1]["reason"] == "hangup"
    assert_on_the_clock(exchange.told["app"])
    assert not exchange.warnings("app")


@pytest.mark.parametrize("codec", CODECS)
def test_whatever_the_channel_driver_sends_is_understood(exchange: Exchange, codec: str) -> None:
    assert exchange.said(codec) == exchange.text
    assert exchange.warnings(codec) == ["audio_mislabelled"] * (codec in ("ulaw", "alaw"))


@pytest.mark.parametrize("connection", OPTIONS)
def test_chan_websocket_brings_speech_and_keys(exchange: Exchange, connection: str) -> None:
    told = exchange.told[connection]
    assert exchange.said(connection) == exchange.text
    assert exchange.pressed(connection) == ["5", "#"]
    leg = "agent" if "agent" in OPTIONS[connection] else "caller"
    assert {event["leg"] for event in of(told, "transcript.final")} == {leg}
    assert_on_the_clock(told)
    assert told[0]["external_id"].replace(".", "").isdigit(), "the id of the channel"


def test_a_caller_who_is_not_expected_is_not_cut_off(exchange: Exchange) -> None:
    assert exchange.pbx
    assert "AFTERWARDS=yes" in exchange.pbx.cli("dialplan show globals")
