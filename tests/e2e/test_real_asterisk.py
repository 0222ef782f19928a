"""A real Asterisk calls a started server, in all its ways at a time."""

from __future__ import annotations

import asyncio
import re
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
from tools.ports import free_port

pytestmark = pytest.mark.e2e

KEY = "a-key-of-a-phone-system"
STRANGER = "11111111-2222-4333-8444-555555555555"
GUIDE = (support.ROOT / "docs/guides/asterisk.md").read_text(encoding="utf-8")
SECONDS = 60.0
"""For all calls."""

DIALPLAN = """
[stt]
exten => play,1,Answer()
 same => n,Wait(0.5)
 same => n,Playback({clip})
 same => n,SendDTMF(5#,250)
 same => n,Wait(2.5)
 same => n,Hangup()

exten => other,1,Answer()
 same => n,Wait(4)
 same => n,Playback({other})
 same => n,Wait(1.5)
 same => n,Hangup()

exten => evil,1,Set(CALLERID(num)=+49"\\; touch {home}/evil\\; echo ")
 same => n,Goto(stt-audiosocket,200,1)

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

SIP = """
exten => {name},1,Answer()
 same => n,Dial(PJSIP/{name})
"""

TRANSPORT = """
[transport]
type = transport
protocol = udp
bind = 127.0.0.1:{port}
"""

ENCRYPTIONS = {"sip": "no", "srtp": "sdes"}

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

TAPPED = ("tapped-1", "tapped-2")
"""Parties of one conversation, as the guide has it."""

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
        calls = [*named.values(), *OPTIONS, *ENCRYPTIONS, "evil", *TAPPED]
        for extension in (*calls[: -len(TAPPED)], "stranger"):
            await asyncio.to_thread(pbx.originate, "play@stt", f"{extension}@stt")
        await asyncio.to_thread(pbx.originate, "play@stt", "100@from-phones")
        async with asyncio.timeout(SECONDS):
            while sum(bool(of(one, "call.ended")) for one in told.values()) < len(calls):
                event = await ws.receive_json()
                if event["call_id"] not in named:
                    name = event["callee"] or event["parameters"].get("connection_id", "evil")
                    is_tap = name == "rtc-stt"
                    named[event["call_id"]] = next(n for n in TAPPED if n not in told) if is_tap else name
                told.setdefault(named[event["call_id"]], []).append(event)
    return told


def from_guide(name: str) -> str:
    """A block of the guide, as it is written."""
    found = re.search(rf"<!-- test: {name} -->\n```\w*\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


class Exchange:
    """Both sides, and what was told of all calls between them."""

    def __init__(self, home: Path, clips: list[support.Clip]) -> None:
        self.text, self.other = (normalise(clip.text) for clip in clips)
        self.home = home
        self._port, self._sip_port = free_port(), free_port()
        for name, clip in zip(("clip", "other"), clips, strict=True):
            audio = np.concatenate([support.silence(0.3), clip.audio, support.silence(0.3)])
            support.write_wav(home / f"{name}.wav", audio, 8_000)
        self.server = support.Process(
            home / "server.log",
            "demo",
            "--port",
            "0",
            API_KEYS=KEY,
            AUDIOSOCKET_PORT=str(self._port),
            SIP_PORT=str(self._sip_port),
            SIP_USERS="asterisk:a-long-password",
        )
        self.pbx: Asterisk | None = None
        self.told: dict[str, Told] = {}

    def run(self) -> None:
        """Make all calls."""
        url = self.server.url()
        extensions = DIALPLAN.format(
            clip=self.home / "clip",
            other=self.home / "other",
            home=self.home,
            port=self._port,
            stranger=STRANGER,
        )
        extensions += "".join(DIAL.format(codec=codec, port=self._port) for codec in CODECS)
        for name, options in OPTIONS.items():
            extensions += WEBSOCKET.format(name=name, options=options)
        pjsip = TRANSPORT.format(port=free_port())
        for name, encryption in ENCRYPTIONS.items():
            extensions += SIP.format(name=name)
            pjsip += (
                from_guide("pjsip")
                .replace("rtc-stt", name)
                .replace("sip:stt@10.0.0.20:5060", f"sip:{name}@127.0.0.1:{self._sip_port}")
                .replace("media_encryption = no", f"media_encryption = {encryption}")
            )
        extensions += from_guide("tap").replace("PJSIP/${EXTEN}", "Local/other@stt/n")
        announce = self.home / "stt-announce"
        (self.home / "stt.key").write_text(KEY)
        announce.write_text(
            from_guide("announce")
            .replace("/etc/asterisk/stt.key", str(self.home / "stt.key"))
            .replace("http://stt.example:8080", url)
        )
        announce.chmod(0o755)
        extensions += (
            from_guide("audiosocket")
            .replace("/usr/local/bin/stt-announce", str(announce))
            .replace("10.0.0.20:9092", f"127.0.0.1:{self._port}")
        )
        port = url.rpartition(":")[2]
        clients = [CLIENT.format(name=name, port=port, key=KEY) for name in (*OPTIONS, "rtc-stt")]
        self.pbx = Asterisk(
            self.home / "asterisk", extensions=extensions, pjsip=pjsip, websocket_client="".join(clients)
        )
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
    found = Exchange(tmp_path_factory.mktemp("asterisk"), sentences[:2])
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
    assert ended["duration_ms"] - 1_900 <= heard_ms <= ended["duration_ms"] + 300


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


def test_two_parties_are_tapped_as_the_guide_says(exchange: Exchange) -> None:
    said, conversations = {}, set()
    for name in TAPPED:
        started, *rest = exchange.told[name]
        legs = {event["leg"] for event in of(rest, "transcript.final")}
        said[legs.pop()] = exchange.said(name)
        assert not legs
        conversations.add(started["parameters"]["conversation"])
    assert said == {"caller": exchange.text, "agent": exchange.other}
    assert len(conversations) == 1


def test_the_dial_plan_of_the_guide_announces_its_call_and_runs_no_shell_for_strangers(
    exchange: Exchange,
) -> None:
    assert exchange.said("evil") == exchange.text
    assert re.fullmatch(r"\+49\d*", exchange.told["evil"][0]["caller"])
    assert not (exchange.home / "evil").exists()


@pytest.mark.parametrize("name", ENCRYPTIONS)
def test_sip_with_a_password_brings_speech_and_keys(exchange: Exchange, name: str) -> None:
    assert exchange.said(name) == exchange.text
    assert exchange.pressed(name) == ["5", "#"]
    assert exchange.told[name][-1]["reason"] == "hangup"
    (ended,) = of(exchange.told[name], "leg.ended")
    assert ended["stats"]["codec"] == "G722"
    assert ended["stats"]["packets_refused"] == 0
