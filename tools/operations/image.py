"""The images, built from the Dockerfile and run as they are meant to, on a base made of Debian's packages."""

from __future__ import annotations

import argparse
import socket
import tempfile
from pathlib import Path
from typing import Any

from rtc_stt.bench.clips import load
from rtc_stt.bench.words import normalise
from rtc_stt.client import SttClientSync
from tools.images.container import Container
from tools.images.engine import NEEDED, TARGETS, Engine, missing
from tools.images.requirements import LEFT_OUT

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "builds the images in a clean root file system, and runs a server of each"

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "images"
MODELS = ROOT / "rtc_stt" / "demo_models"
KEY = "a-key-for-this-measurement"

READY_S = 60.0
OURS_MB = 25.0
"""What a new version of ours is at most, where the packages stay the same."""

LIBRARIES = "find /opt/rtc-stt -name '*.so*' -type f -exec ldd {} + 2>/dev/null"
"""In the image: what its compiled parts ask for, and where it is found."""

OF_ITS_OWN = {"/tmp", "/var/lib/rtc-stt"}  # noqa: S108 — in the image
PLACES = " ".join(["/", "/etc", "/opt/rtc-stt", "/models", "/models/small", *sorted(OF_ITS_OWN)])
WRITES = f"for place in {PLACES}; do touch $place/x 2>/dev/null && echo $place; done; true"
"""In the image: where its user can write."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--keep", action="store_true", help=f"leave the images in {WORK.relative_to(ROOT)}")
    parser.add_argument(
        "--variant", choices=("cpu", "cuda"), default="cpu", help="cuda takes 6 GB of disk meanwhile"
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    if lacking := missing():
        raise SystemExit(f"{', '.join(lacking)}: not here; as root: apt-get install {' '.join(NEEDED)}")
    engine = Engine(WORK)
    try:
        base_s = engine.bootstrap()
        built = {target: round(engine.build(target, options.variant), 1) for target in TARGETS}
        names = {target: f"rtc-stt-{target}:{options.variant}" for target in TARGETS}
        layers = {target: engine.layers(name) for target, name in names.items()}
        ran = {target: _run(engine, name) for target, name in names.items()}
    finally:
        if not options.keep:
            engine.remove()
    shared = layers[TARGETS[0]]
    return {
        "marks": _marks(layers, ran),
        "base": {"of": "Debian's packages, mmdebstrap --variant=minbase", "seconds": round(base_s, 1)},
        "engine": "buildah, isolation chroot, overlay; run in namespaces by unshare, chroot and setpriv",
        "variant": options.variant,
        "build_seconds": built,
        "layers": [{"by": layer["by"], "mb": layer["mb"]} for layer in shared],
        "mb": {target: round(sum(layer["mb"] for layer in of), 1) for target, of in layers.items()},
        "servers": ran,
    }


def _run(engine: Engine, name: str) -> dict[str, Any]:
    """Start the server of an image, ask it for a text, look at what it may do, and stop it."""
    with engine.mounted(name) as root, tempfile.TemporaryDirectory() as text:
        folder, port = Path(text), _free_port()
        keys = folder / "keys"
        keys.write_text(f"{KEY} name=measurement\n")
        folder.chmod(0o755)
        environment = {"HOST": "127.0.0.1", "PORT": str(port), "API_KEYS_FILE": "/etc/rtc-stt/keys"}
        container = Container(root, engine.image(name)["config"], environment)
        try:
            container.start(MODELS, keys, folder / "log")
            return _look_at(container, port)
        except Exception as error:
            raise RuntimeError(f"{name}: {error}\n{(folder / 'log').read_text()[-2000:]}") from error
        finally:
            if container.process is not None and container.process.poll() is None:
                container.process.kill()
                container.process.wait()


def _look_at(container: Container, port: int) -> dict[str, Any]:
    healthy_s = container.wait_healthy(READY_S)
    clip = load("clean", limit=1)[0]
    with SttClientSync(f"http://127.0.0.1:{port}", key=KEY) as client:
        text = client.transcribe(clip.folder / clip.file).text
    wrong = set(normalise(clip.text)) ^ set(normalise(text))
    linked = container.run("sh", "-c", LIBRARIES).stdout.splitlines()
    writable = set(container.run("sh", "-c", WRITES).stdout.split())
    assert any("=> /" in line for line in linked), "libraries were looked at"
    assert writable >= OF_ITS_OWN, "it was tried to write"
    told = {
        "healthy_s": round(healthy_s, 1),
        "said": clip.text,
        "heard": text,
        "words_wrong": len(wrong),
        "user": container.status("Uid").split()[0],
        "capabilities": container.status("CapEff").lstrip("0") + container.status("CapBnd").lstrip("0"),
        "no_new_privileges": container.status("NoNewPrivs") == "1",
        "rss_mb": round(int(container.status("VmRSS").split()[0]) / 1000),
        "may_write_to": sorted(writable - OF_ITS_OWN),
        "libraries_missing": sorted({line.strip() for line in linked if "not found" in line}),
        "left_out_but_there": [name for name in sorted(LEFT_OUT) if _has(container, name)],
    }
    code, stopped_s = container.stop()
    return {**told, "exit_code": code, "stopped_s": round(stopped_s, 1)}


def _has(container: Container, module: str) -> bool:
    program = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is not None)"
    return container.run("python", "-c", program).returncode == 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _mark(value: float, at_most: float) -> dict[str, Any]:
    return {"value": value, "at_most": at_most, "met": value <= at_most}


def _marks(layers: dict[str, list[dict[str, Any]]], ran: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What must hold of every image, the worst of them."""
    each = list(ran.values())
    digests = {tuple(layer["digest"] for layer in of) for of in layers.values()}
    return {
        "healthy_s": _mark(max(server["healthy_s"] for server in each), READY_S),
        "words_wrong": _mark(max(server["words_wrong"] for server in each), 2),
        "not_as_user_10001": _mark(sum(server["user"] != "10001" for server in each), 0),
        "with_capabilities": _mark(sum(bool(server["capabilities"]) for server in each), 0),
        "writable_places": _mark(sum(len(server["may_write_to"]) for server in each), 0),
        "libraries_missing": _mark(sum(len(server["libraries_missing"]) for server in each), 0),
        "left_out_but_there": _mark(sum(len(server["left_out_but_there"]) for server in each), 0),
        "exit_codes_not_0": _mark(sum(server["exit_code"] != 0 for server in each), 0),
        "images_with_layers_of_their_own": _mark(len(digests) - 1, 0),
        "layer_of_ours_mb": _mark(max(of[-1]["mb"] for of in layers.values()), OURS_MB),
    }
