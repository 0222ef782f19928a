"""What the pods of the manifests run, run here: a model is fetched, the gateway starts with it, and ends."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

import rtc_stt.demo_models
from rtc_stt.engines.fetch import locate
from rtc_stt.engines.store import make_sums
from signaling.key_file import parse_keys
from tests.deploy.manifests import (
    ROOT,
    SECRETS,
    config_of,
    container,
    deployment,
    load,
    of_kind,
    pod,
    role_of,
)

pytestmark = pytest.mark.e2e


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the small model, pinned."""
    folder = tmp_path_factory.mktemp("web")
    shutil.copytree(Path(rtc_stt.demo_models.__file__).parent / "demo-tiny", folder / "small")
    pin = hashlib.sha256(make_sums(folder / "small").read_bytes()).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/small/#sha256={pin}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(url: str, into: Path) -> subprocess.CompletedProcess[str]:
    """The container's command, with another place and another URL."""
    (one,) = pod(deployment(load("gpu"), "gateway"))["initContainers"]
    program, zeroth, source, name = one["args"]
    assert source.startswith("https://models.example/small/#sha256=")
    folder = into / "bin"
    folder.mkdir()
    (folder / "rtc-stt").write_text(f'#!/bin/sh\nexec {sys.executable} -m rtc_stt "$@"\n')
    (folder / "rtc-stt").chmod(stat.S_IRWXU)
    return subprocess.run(
        [*one["command"], program.replace("/models", f"{into}/models"), zeroth, url, name],
        env={"PATH": f"{folder}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HF_HOME": str(into)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def volume(models: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with /models as the container leaves it."""
    folder = tmp_path_factory.mktemp("volume")
    done = fetch(models, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_model_is_where_the_server_looks(volume: Path) -> None:
    folder, name = locate(str(volume / "models" / "small"))
    assert name == "small"
    assert (folder / "model.bin").stat().st_size > 0


def test_a_model_that_is_another_stops_the_pod(models: str, tmp_path: Path) -> None:
    done = fetch(f"{models[:-8]}00000000", tmp_path)
    assert done.returncode != 0
    assert not (tmp_path / "models" / "small").exists()


def test_the_secret_of_the_page_has_what_pods_look_for(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operate" / "kubernetes.md").read_text(encoding="utf-8")
    block = page.partition("```sh\n")[2].partition("```")[0]
    subprocess.run(
        ["bash", "-euc", block],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        timeout=30,
        check=True,
    )
    made = {path.name: path.read_text() for path in (tmp_path / "rtc-stt-secret").iterdir()}
    documents = load("zones")
    (monitor,) = of_kind(documents, "ServiceMonitor")
    wanted = {monitor["spec"]["endpoints"][0]["authorization"]["credentials"]["key"]}
    good = {}
    for document in of_kind(documents, "Deployment"):
        (volume,) = (it for it in pod(document)["volumes"] if it["name"] == "keys")
        (item,) = volume["secret"]["items"]
        good[role_of(document)] = {
            key.text: key.account.name for key in parse_keys(made[item["key"]], item["key"], [])
        }
        named = {it["name"] for it in container(document).get("env", []) if it["name"] in SECRETS}
        wanted |= {item["key"]} | (named & {"FALLBACK_API_KEY", "TOKEN_SECRET", "TURN_SECRET"})
    assert wanted == set(made)
    assert good["fallback"] == {made["FALLBACK_API_KEY"]: "internal", made["metrics-key"]: "prometheus"}
    assert made["metrics-key"] in good["gateway"]
    assert made["FALLBACK_API_KEY"] not in good["gateway"]
    assert good["gateway"] == good["primary"]


def test_the_gateway_starts_and_ends_as_its_pod_does(volume: Path, tmp_path: Path) -> None:
    """Without its fallback, which nothing waits for."""
    (tmp_path / "keys").write_text("a-key-of-sixteen-and-more name=operator\n")
    (tmp_path / "keys").chmod(0o600)
    (tmp_path / "state").mkdir()
    documents = load("gpu")
    document = deployment(documents, "gateway")
    config = {
        name: value.replace("/models", f"{volume}/models")
        .replace("/etc/rtc-stt/keys", f"{tmp_path}/keys")
        .replace("/var/lib/rtc-stt", f"{tmp_path}/state")
        for name, value in config_of(documents, document).items()
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ours = {"HOST": "127.0.0.1", "PORT": port, "DEVICE": "cpu", "COMPUTE_TYPE": "int8"}
    of_secret = {"TURN_SECRET": "s" * 24, "FALLBACK_API_KEY": "k" * 24, "PUBLIC_IP": "10.20.3.4"}
    one = container(document)
    process = subprocess.Popen(
        [sys.executable, "-m", "rtc_stt", *one["command"][1:], *one["args"]],
        env={**config, **ours, **of_secret, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        told = answer(url + one["startupProbe"]["httpGet"]["path"], process)
        assert told["ok"] is True
        assert answer(url + one["readinessProbe"]["httpGet"]["path"], process)["ok"] is True
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=pod(document)["terminationGracePeriodSeconds"])
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.communicate()


def answer(url: str, process: subprocess.Popen[str]) -> dict[str, object]:
    """What is said there, once somebody does."""
    for _ in range(300):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            result: dict[str, object] = httpx.get(url, timeout=5).raise_for_status().json()
            return result
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"nobody answers at {url}")
