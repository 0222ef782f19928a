"""Clients that reach the server by TURN alone, with the credentials that it gives them; coturn relays."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy
from playwright.async_api import async_playwright

from tests.e2e import support
from tests.e2e.support import Clip, silence
from tools.ingest import opus
from tools.ingest.relay import local_address
from tools.ingest.speaker import Speaker

pytestmark = pytest.mark.e2e

TURN_SECRET = "a secret for tests only"


@pytest.fixture(scope="module")
def turn(turnserver: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The ``turn:`` URL of a coturn of our own, and nothing else reaches it."""
    folder, host = tmp_path_factory.mktemp("turn"), local_address()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    with (folder / "turn.log").open("wb") as log:
        process = subprocess.Popen(
            [
                turnserver, "-n", "--no-cli", "--no-tls", "--no-dtls", "--simple-log", "--log-file=stdout",
                "--use-auth-secret", f"--static-auth-secret={TURN_SECRET}", "--realm=localhost", "--verbose",
                f"--listening-ip={host}", f"--relay-ip={host}", f"--listening-port={port}",
                "--allow-loopback-peers", f"--pidfile={folder}/turn.pid", f"--userdb={folder}/turn.db",
            ],
            stdout=log, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 10
        while not _answers(host, port) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, (folder / "turn.log").read_text()
        yield f"turn:{host}:{port}?transport=udp"
    finally:
        process.kill()
        process.wait(10)


def _answers(host: str, port: int) -> bool:
    """Whether a STUN server answers a binding request there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(0.2)
        try:
            asker.sendto(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), (host, port))
            return bool(asker.recv(1500))
        except OSError:
            return False


@pytest.fixture
def with_turn(turn: str, start_server: Callable[..., support.Process]) -> str:
    """The URL of a server that tells its clients of the TURN server."""
    return start_server("demo", "--port", "0", TURN_URL=turn, TURN_SECRET=TURN_SECRET).url()


async def ice_servers(url: str) -> list[dict[str, Any]]:
    """What the server tells a client."""
    async with aiohttp.ClientSession(url) as http, http.get("/v1/ice-servers") as response:
        assert response.status == 200
        servers: list[dict[str, Any]] = (await response.json())["iceServers"]
    assert all(server["username"] and server["credential"] for server in servers)
    assert TURN_SECRET not in json.dumps(servers)
    return servers


async def test_aiortc_by_turn_alone(with_turn: str, sentences: list[Clip]) -> None:
    clip = sentences[2]
    servers = [RTCIceServer(**server) for server in await ice_servers(with_turn)]
    configuration = RTCConfiguration(servers, iceTransportPolicy=RTCIceTransportPolicy.RELAY)
    async with Speaker(with_turn, configuration=configuration) as speaker:
        assert " typ relay" in speaker.connection.localDescription.sdp
        assert " typ host" not in speaker.connection.localDescription.sdp
        speaker.say(opus.encode(np.concatenate([silence(0.3), clip.audio])))
        await speaker.ear.wait_for("transcript.final", timeout=20)
        assert speaker.ear.text == clip.text


CALL = """async (servers) => {
  const rtc = new RTCPeerConnection({ iceServers: servers, iceTransportPolicy: 'relay' });
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  rtc.addTrack(stream.getTracks()[0], stream);
  window.told = [];
  rtc.createDataChannel('rtc-stt').onmessage = (message) => window.told.push(JSON.parse(message.data));
  const gathered = new Promise((done) => {
    rtc.onicegatheringstatechange = () => rtc.iceGatheringState === 'complete' && done();
  });
  await rtc.setLocalDescription();
  await gathered;
  const headers = { 'Content-Type': 'application/sdp' };
  const response = await fetch('/whip', { method: 'POST', headers, body: rtc.localDescription.sdp });
  await rtc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  return rtc.localDescription.sdp;
}"""


async def test_chromium_by_turn_alone(
    with_turn: str, chromium: str, sentences: list[Clip], tmp_path: Path
) -> None:
    clip = sentences[3]
    file = support.write_wav(tmp_path / "voice.wav", np.concatenate([silence(3.0), clip.audio, silence(1.5)]))
    flags = [
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--disable-gpu",
        f"--use-file-for-fake-audio-capture={file}",
    ]  # fmt: skip
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, headless=True, args=flags)
        try:
            page = await browser.new_page()
            await page.goto(with_turn)
            offer = await page.evaluate(CALL, await ice_servers(with_turn))
            assert " typ relay" in offer
            assert " typ host" not in offer
            # The microphone says it again and again: the first one heard from its start to its end counts.
            whole = "() => told.find(e => e.type === 'transcript.final' && e.audio_start_ms > 500)"
            await page.wait_for_function(whole, timeout=30_000)
            assert (await page.evaluate(whole))["text"] == clip.text
        finally:
            await browser.close()
