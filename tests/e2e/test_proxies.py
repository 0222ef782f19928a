"""nginx and Caddy as the examples set them up, in front of a started server: TLS, WebSockets, uploads."""

from __future__ import annotations

import asyncio
import io
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from tests.e2e import support
from tools.ports import free_port

pytestmark = pytest.mark.e2e

PROXY = Path(__file__).parents[2] / "deploy" / "proxy"
KEY = "a key of the proxies' tests"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Process]:
    process = support.Process(
        tmp_path_factory.mktemp("proxied") / "server.log",
        *("demo", "--port", "0", "--log-level", "info"),
        API_KEYS=KEY,
        TRUSTED_PROXIES="127.0.0.1",
    )
    process.url()
    yield process
    process.stop()


def certificate(folder: Path) -> None:
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "1",
                "-subj",
                "/CN=localhost",
            ),
            *("-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")),
        ],
        check=True,
        capture_output=True,
    )


def check(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def nginx(folder: Path, upstream: str, port: int) -> list[str]:
    """The example with other ports and places, within what Debian's nginx.conf has around it."""
    certificate(folder)
    text = (PROXY / "nginx.conf").read_text()
    for ours, theirs in {
        "127.0.0.1:8080": upstream,
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "stt.example.org": "localhost",
        "/etc/nginx/tls/": f"{folder}/",
        "/etc/nginx/rtc-stt-proxy.conf": str(PROXY / "rtc-stt-proxy.conf"),
        "/var/log/nginx/rtc-stt.log": str(folder / "access.log"),
    }.items():
        assert ours in text, f"{ours} is not in the example any more"
        text = text.replace(ours, theirs)
    places = "".join(
        f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "whole.conf"
    whole.write_text(
        f"pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off; events {{}}\n"
        f"http {{ {places}\n{text}\n}}\n"
    )
    check(["nginx", "-t", "-c", str(whole)])
    return ["nginx", "-c", str(whole)]


def caddy(folder: Path, upstream: str, port: int) -> list[str]:
    """The example with other ports, and a certificate of its own making."""
    text = (PROXY / "Caddyfile").read_text()
    for ours in ("127.0.0.1:8080", "stt.example.org {"):
        assert ours in text
    text = text.replace("127.0.0.1:8080", upstream)
    text = text.replace("stt.example.org {", f"https://localhost:{port} {{\n\ttls internal")
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n"
    options += f"\tstorage file_system {folder}/store\n}}\n"
    whole = folder / "Caddyfile"
    whole.write_text(options + text)
    adapter = ("--config", str(whole), "--adapter", "caddyfile")
    check(["caddy", "validate", *adapter])
    return ["caddy", "run", *adapter]


MAKERS = {"nginx": nginx, "caddy": caddy}


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module", params=sorted(MAKERS))
def proxied(
    request: pytest.FixtureRequest, server: support.Process, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    assert shutil.which(request.param), "tools/ensure_operations.sh installs it"
    folder = tmp_path_factory.mktemp(request.param)
    port = free_port()
    upstream = server.url().removeprefix("http://").replace("localhost", "127.0.0.1")
    command = MAKERS[request.param](folder, upstream, port)
    with (folder / "out.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + 60
            while not listens(port):
                assert process.poll() is None, (folder / "out.log").read_text()
                assert time.monotonic() < deadline, (folder / "out.log").read_text()
                time.sleep(0.05)
            yield f"https://localhost:{port}"
        finally:
            process.terminate()


def client() -> aiohttp.ClientSession:
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=anyone), headers={"Authorization": f"Bearer {KEY}"}
    )


async def test_the_page_and_the_errors_of_the_gateway_come_through(proxied: str) -> None:
    async with client() as http:
        async with http.get(proxied + "/") as answer:
            assert answer.status == 200
            assert "max-age" in answer.headers["Strict-Transport-Security"]
        async with http.get(proxied + "/v1/ready") as answer:
            assert answer.status == 200
        async with http.get(proxied + "/v1/usage", headers={"Authorization": "Bearer wrong"}) as answer:
            assert answer.status == 401
            assert (await answer.json())["error"]["type"] == "unauthorized"
        for path in ("/metrics", "/v1/metrics"):
            async with http.get(proxied + path) as answer:
                assert answer.status == 404, "metrics are not for the outside"


async def test_a_websocket_is_carried(proxied: str, sentences: list[support.Clip]) -> None:
    clip = sentences[0]
    pcm = (np.concatenate([clip.audio, support.silence(1.0)]) * 32767).astype("<i2").tobytes()
    async with client() as http, http.ws_connect(proxied.replace("https", "wss") + "/v1/stream") as ws:
        await ws.send_json({"type": "configure", "audio": {"encoding": "pcm_s16le", "sample_rate": 16_000}})
        await ws.send_bytes(pcm)
        async with asyncio.timeout(20):
            while (event := await ws.receive_json())["type"] != "transcript.final":
                pass
        assert event["text"] == clip.text


async def test_recordings_go_through_and_what_is_too_large_does_not(
    proxied: str, sentences: list[support.Clip], tmp_path: Path
) -> None:
    recording = support.write_wav(tmp_path / "clip.wav", sentences[1].audio, 16_000).read_bytes()
    async with client() as http:
        form = aiohttp.FormData()
        form.add_field("audio", recording, filename="clip.wav")
        async with http.post(proxied + "/v1/transcribe", data=form) as answer:
            assert answer.status == 200
            assert (await answer.json())["text"] == sentences[1].text
        form = aiohttp.FormData()
        form.add_field("audio", io.BytesIO(bytes(17 * 2**20)), filename="large.wav")
        async with http.post(proxied + "/v1/transcribe", data=form) as answer:
            assert answer.status == 413
            assert answer.headers["X-Error-Type"] == "too_large", "the gateway's own words"


async def test_connections_that_have_been_idle_are_no_502(proxied: str) -> None:
    """The proxy lets go before the server does; here by many requests over few connections."""
    async with client() as http:
        for _ in range(50):
            async with http.get(proxied + "/v1/health") as answer:
                assert answer.status == 200
