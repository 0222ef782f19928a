"""What goes in front of SIP: a phone calls by TLS and SRTP through Kamailio and rtpengine, as the guide has
them."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rtc_stt.bench.words import normalise
from tests.e2e import support
from tests.e2e.conftest import required
from tests.e2e.phones.baresip import baresip
from tests.e2e.test_sip_baresip import write_microphone
from tools.ports import free_port

pytestmark = pytest.mark.e2e

FILES = support.ROOT / "build" / "border" / "files"
GUIDE = (support.ROOT / "docs/guides/kamailio.md").read_text(encoding="utf-8")
KEY = "a-key-of-a-phone-system"
NET = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}"
"""Addresses of this machine that nobody else uses, so that the ports of the guide are free."""
PUBLIC, PRIVATE, SERVER = f"{NET}.10", f"{NET}.11", f"{NET}.20"


def from_guide(start: str, home: Path, ng_port: int) -> str:
    """The block that begins like this, with addresses of ours."""
    (found,) = (text for text in re.findall(r"```\w*\n(.*?)```", GUIDE, re.DOTALL) if text.startswith(start))
    for there, here in {
        "/etc/kamailio/": f"{home}/",
        "203.0.113.10": PUBLIC,
        "10.0.0.10": PRIVATE,
        "10.0.0.20": SERVER,
        "127.0.0.1:2223": f"127.0.0.1:{ng_port}",
    }.items():
        found = found.replace(there, here)
    return str(found)


def start(home: Path) -> list[subprocess.Popen[bytes]]:
    """Kamailio and rtpengine."""
    ng_port = free_port()
    (home / "kamailio.cfg").write_text(from_guide("#!KAMAILIO", home, ng_port))
    (home / "tls.cfg").write_text(from_guide("[server:default]", home, ng_port))
    (home / "rtpengine.conf").write_text(from_guide("[rtpengine]", home, ng_port))
    (home / "trunks.list").write_text("1 127.0.0.1\n")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=border",
         "-keyout", home / "privkey.pem", "-out", home / "fullchain.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    places = ("lib/*-linux-gnu", "usr/lib/*-linux-gnu", "usr/lib/*-linux-gnu/kamailio")
    folders = [folder for place in places for folder in FILES.glob(place)]
    environment = os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, folders))}
    (modules,) = FILES.glob("usr/lib/*-linux-gnu/kamailio/modules")
    commands = (
        [FILES / "usr/bin/rtpengine", "--config-file", home / "rtpengine.conf", "-f", "-E"],
        [FILES / "usr/sbin/kamailio", "-DD", "-E", "-f", home / "kamailio.cfg", "-L", modules, "-Y", home,
         "-P", home / "kamailio.pid"],
    )  # fmt: skip
    started = []
    for command in commands:
        with (home / f"{command[0].name}.log").open("wb") as out:
            started.append(
                subprocess.Popen(
                    list(map(str, command)), env=environment, stdout=out, stderr=subprocess.STDOUT
                )
            )
    return started


@pytest.fixture(scope="module")
def border(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server behind it."""
    required("Kamailio (tools/ensure_border.sh)", "yes" if FILES.is_dir() else None)
    home = tmp_path_factory.mktemp("border")
    server = support.Process(
        home / "server.log", "demo", "--port", "0",
        API_KEYS=KEY, SIP_PORT="5060", SIP_HOST=SERVER, SIP_ALLOW=f"{PRIVATE}/32",
    )  # fmt: skip
    processes: list[subprocess.Popen[bytes]] = []
    try:
        url = server.url()
        processes = start(home)
        yield url
        assert [process.poll() for process in processes] == [None, None], "both still run"
        server.stop()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        server.kill()


async def connected(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_phone_calls_by_tls_and_srtp(
    border: str, baresip_program: str, sentences: list[support.Clip], tmp_path: Path
) -> None:
    clip = sentences[0]
    wav = write_microphone(tmp_path / "microphone.wav", clip, "PCMU")
    told: list[dict[str, Any]] = []

    async def hear(ws: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            told.append(await ws.receive_json())

    def of(kind: str) -> list[dict[str, Any]]:
        return [event for event in told if event["type"] == kind]

    async with asyncio.timeout(10):
        while not await connected(PUBLIC, 5061):
            await asyncio.sleep(0.1)
    headers = {"Authorization": f"Bearer {KEY}"}
    account = ";transport=tls;mediaenc=srtp-mand;audio_codecs=PCMU/8000/1"
    callee = f"sip:stt@{PUBLIC}:5061;transport=tls"
    async with (
        aiohttp.ClientSession(border, headers=headers) as http,
        http.ws_connect("/v1/calls/events") as ws,
        baresip(tmp_path / "phone", wav, callee, account=account, more="sip_verify_server no") as phone,
    ):
        hearing = asyncio.create_task(hear(ws))
        await phone.call()
        assert await support.until(lambda: of("transcript.final"), 20)
        await phone.press("7#")
        assert await support.until(lambda: len(of("dtmf")) == 2)
        await phone.hang_up()
        assert await support.until(lambda: of("call.ended"))
        hearing.cancel()
    assert normalise(of("transcript.final")[0]["text"]) == normalise(clip.text)
    assert [event["digit"] for event in of("dtmf")] == ["7", "#"]
    assert of("call.ended")[0]["reason"] == "hangup"
    assert of("leg.ended")[0]["stats"]["packets_refused"] == 0
